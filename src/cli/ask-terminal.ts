// Asks the terminal once what it can draw, from a verb that otherwise reads no keys.

import { type Capabilities, capabilitiesFrom } from "../tui/pictures/capabilities.ts";
import { detect, surroundings } from "../tui/pictures/detect.ts";
import { TerminalInput } from "../tui/pictures/terminal-input.ts";

/** Without a keyboard to answer through, what the environment says has to do. */
export const askTerminal = async (): Promise<Capabilities> => {
  const { stdin, stderr } = process;
  const size = { columns: stderr.columns || 80, rows: stderr.rows || 24 };
  const around = surroundings(process.env, size);
  if (!stdin.isTTY || !stderr.isTTY) return capabilitiesFrom("", "", around);
  let heard: (answer: string) => void = () => undefined;
  // Raw first: else the answers are echoed onto the screen.
  stdin.setRawMode(true);
  const input = new TerminalInput(stdin, (answer) => heard(answer));
  try {
    return await detect({
      write: (text) => stderr.write(text),
      listen: (listener) => {
        heard = listener;
        return () => {
          heard = () => undefined;
        };
      },
      around,
    });
  } finally {
    input.close();
    stdin.setRawMode(false);
  }
};
