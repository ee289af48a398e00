// Yes or no, asked on a terminal.

import { createInterface } from "node:readline/promises";
import { say } from "./say.ts";

/** Off a terminal nobody can answer: then `offTerminal` counts. Enter alone means no. */
export const agrees = async (
  question: string,
  { offTerminal }: Readonly<{ offTerminal: boolean }>,
): Promise<boolean> => {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY) {
    if (!offTerminal) say(`${question} --yes answers it off a terminal.`);
    return offTerminal;
  }
  using lines = createInterface({ input: stdin, output: stderr });
  const answer = await lines.question(`${question} [y/N] `);
  return /^y(es)?$/i.test(answer.trim());
};
