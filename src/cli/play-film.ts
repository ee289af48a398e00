// A finished video played on the terminal, as far as somebody is there to see it.

import type { Plan } from "../engine/events.ts";
import { findFfmpeg } from "../engine/media/ffmpeg.ts";
import { readFrames } from "../engine/media/read-video.ts";
import { type PreviewWord, previewWords } from "../tui/preview-words.ts";
import { askTerminal } from "./ask-terminal.ts";
import type { Shown } from "./asked.ts";
import type { Outcome } from "./reporter.ts";
import { showFilm } from "./show-film.ts";

/** Enough for the eye; as characters each costs a slow link some 30 kB. */
const framesPlayed = 40;

/** Plays what a job made, in the way that was asked for; `fallback` where nothing was. */
export const playOutcome = async (
  { path, plan }: Outcome,
  shown: Shown,
  fallback: PreviewWord,
): Promise<void> => {
  const way = shown.preview ?? fallback;
  if (way === "none" || shown.json || shown.quiet || !process.stderr.isTTY) return;
  if (path !== null && plan !== null) await play(path, plan, way);
};

const play = async (path: string, plan: Plan, way: PreviewWord): Promise<void> => {
  const { bucket: size, fps, frames: all } = plan;
  const { path: ffmpeg } = await findFfmpeg();
  const every = Math.max(1, Math.ceil(all / framesPlayed));
  const { frames } = await readFrames(ffmpeg, path, size, every);
  const pictures = frames.map((rgb) => ({ ...size, rgb }));
  const film = { frames: pictures, frame_ms: (1000 / fps) * every };
  const found = await askTerminal();
  const method = previewWords(way) ?? found.method;
  await showFilm(film, process.stderr, { ...found, method });
};
