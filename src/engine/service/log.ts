// The engine's log: one JSON object a line in the state folder, rotated by size. Prompts and tokens never go in.

import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";

export type LogLevel = "info" | "warn" | "error";
export type Log = Readonly<{
  write: (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void;
}>;

const bytesMax = 4 << 20;

export const openLog = (path: string): Log => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return {
    write: (level, message, fields) => {
      const line = `${JSON.stringify({ at: new Date().toISOString(), level, message, ...fields })}\n`;
      try {
        if (bytes + line.length > bytesMax) {
          renameSync(path, `${path}.1`);
          bytes = 0;
        }
        appendFileSync(path, line, { mode: 0o600 });
        bytes += line.length;
      } catch (error) {
        // A full disk must not end a job because its log cannot be written; stderr is the last resort.
        console.error(`log: ${String(error)}: ${line.trimEnd()}`);
      }
    },
  };
};

/** For tests, and for an engine inside another program. */
export const silentLog: Log = { write: () => undefined };
