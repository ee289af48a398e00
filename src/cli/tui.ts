// `framepack` on a terminal: the interface. Only flags of the interface itself are taken here; jobs are written inside.

import { version } from "../../package.json";
import { Failure } from "../engine/failure.ts";
import { previewWordList, previewWords } from "../tui/preview-words.ts";
import { choice, number, parseFlags, text } from "./flags.ts";

const flags = {
  preview: choice(previewWordList, "how pictures are shown (auto asks the terminal)"),
  previewRate: number("KB/S", "most kilobytes a second for pictures"),
  notify: choice(["auto", "bell", "none"], "how the end of a job is told"),
  job: text("ID", "watch this job at once"),
};

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags: given } = parseFlags("tui", flags, args);
  if ((process.env.TERM ?? "dumb") === "dumb") {
    throw new Failure(
      "usage.terminal",
      "The interface needs a terminal that moves its cursor; TERM is dumb.",
      {
        hint: "framepack run makes a video without it.",
      },
    );
  }
  const { runTui } = await import("../tui/main.tsx");
  return runTui({
    version,
    screen: given.job === undefined ? "compose" : "run",
    job: given.job ?? null,
    preview: previewWords(given.preview ?? "auto"),
    bytesPerSecond: given.previewRate === undefined ? null : given.previewRate * 1000,
    notify: given.notify ?? "auto",
  });
};
