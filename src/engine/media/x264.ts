// The one set of encoder settings. Every segment of a film is encoded with the same ones: only then
// can segments be joined without encoding again. BT.709, limited range, as nearly all players
// expect.

/** For conversions between RGB and YUV in either direction: exact rather than fast. */
export const scaleFlags = "bicubic+accurate_rnd+full_chroma_int";

/** For rgb24 input: converted with the BT.709 matrix, and tagged so. */
export const colourArgs: readonly string[] = [
  "-vf",
  [
    `scale=in_range=full:out_range=limited:out_color_matrix=bt709:flags=${scaleFlags}`,
    "format=yuv420p",
    "setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709",
  ].join(","),
  ...["-color_range", "tv", "-colorspace", "bt709"],
  ...["-color_primaries", "bt709", "-color_trc", "bt709"],
];

/**
 * Closed GOPs, so that a segment needs nothing from its neighbours. The time base is one tick a
 * frame: times stay whole numbers when segments are joined. Threads are fixed: their number changes
 * the bytes, and the same job must give the same file on every number of cores.
 */
export const encodeArgs = ({ crf, fps }: Readonly<{ crf: number; fps: number }>): string[] => [
  ...["-an", "-c:v", "libx264", "-preset", "medium", "-crf", String(crf), "-threads", "4"],
  ...["-g", "250", "-flags", "+cgop", "-fflags", "+bitexact"],
  ...["-video_track_timescale", String(fps), "-f", "mp4"],
];

/** Raw frames on standard input. */
export const rawInputArgs = (
  size: Readonly<{ width: number; height: number; fps: number }>,
): string[] => [
  ...["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", `${size.width}x${size.height}`],
  ...["-r", String(size.fps), "-i", "pipe:0"],
];

/**
 * About what a film needs, for space checks and plans: 0.5 bit a pixel at CRF 16, half as much for
 * every 6 more. Moving pictures differ by a factor of three either way.
 */
export const filmBytesEstimate = (
  film: Readonly<{ width: number; height: number; frames: number; crf: number }>,
): number => {
  const bitsPerPixel = 0.5 * 2 ** ((16 - film.crf) / 6);
  return Math.ceil((film.width * film.height * film.frames * bitsPerPixel) / 8) + 65_536;
};
