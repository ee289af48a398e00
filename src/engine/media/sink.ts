// Where finished frames go. The section loop calls this; the video writer implements it.
// A film is a run of final frames, joined at one end only ("front" in the inverted order, "back" in
// the forward one), plus provisional frames at that same end that the next section will replace.

/** The end of the film that still grows. */
export type FilmEnd = "front" | "back";

export type FilmInfo = Readonly<{
  width: number;
  height: number;
  fps: number;
  /** Frames the whole film will have; for space checks and metadata, not a limit. */
  framesExpected: number;
  grows: FilmEnd;
  /** What an earlier run's `state()` returned: its segments are already on disk. */
  resume?: FilmState;
}>;

/** Plain data that goes into a checkpoint, and comes back through `FilmInfo.resume`. */
export type FilmState = Readonly<{
  /** Files of the finished segments, in film order, relative to the sink's own work folder. */
  segments: readonly Readonly<{ file: string; frames: number }>[];
}>;

export type Film = Readonly<{
  path: string;
  /** Final and provisional frames that the file shows. */
  frames: number;
  bytes: number;
}>;

/**
 * Frames are RGB u8, n × height × width × 3, in time order inside one call. The buffer belongs to
 * the sink from the call on. Calls are made one after another, each after the last has resolved:
 * `begin`, then a section's `segment` and `provisional` (either may have no frames) and `publish`,
 * section after section, then `finish` or `abandon`. Failures reject with a `Failure`.
 */
export interface FrameSink {
  /**
   * Finds a broken encoder, an unwritable folder or too little space, before anything is computed.
   */
  begin(info: FilmInfo): Promise<void>;
  /**
   * Final frames: they join the film at its growing end and never change again. Resolves when
   * accepted.
   */
  segment(frames: Uint8Array, n: number): Promise<void>;
  /**
   * Frames at the growing end that the next section replaces; they take the place of the last ones.
   */
  provisional(frames: Uint8Array, n: number): Promise<void>;
  /**
   * Resolves when the file on disk holds everything given so far and plays. May run beside
   * sampling.
   */
  publish(): Promise<Film>;
  /** For a checkpoint, after `publish`: enough for another process to go on from here. */
  state(): FilmState;
  /**
   * Makes the finished file (with any provisional frames there still are) and removes the work
   * files.
   */
  finish(): Promise<Film>;
  /** Stops the encoder and leaves the last published file and the work files as they are. */
  abandon(): Promise<void>;
}
