// What tells somebody in another window that a job ended: notification sequences that terminals know, or the bell.

import { printable } from "../engine/printable.ts";
import type { JobSummary } from "../engine/protocol.ts";

/** OSC 9 (iTerm2, WezTerm, foot), OSC 777 (urxvt, foot), OSC 99 (kitty), then the bell; unknown ones are ignored. */
export const notification = (job: JobSummary, how: "auto" | "bell"): string => {
  if (how === "bell") return "\u0007";
  // Semicolons separate the fields of these sequences.
  const words = printable(job.recipe.prompt, 60).replaceAll(";", ",");
  const text = `framepack: ${job.state}${words === "" ? "" : `: ${words}`}`;
  return [
    `\u001b]9;${text}\u0007`,
    `\u001b]777;notify;framepack;${text}\u0007`,
    `\u001b]99;i=framepack;${text}\u001b\\`,
    "\u0007",
  ].join("");
};
