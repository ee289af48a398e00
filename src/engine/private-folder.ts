// The folder of the engine's socket and lock: ours alone. Made and looked at by the engine and by
// whoever starts one, so that what is wrong with it is said at once.

import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Failure } from "./failure.ts";
import { quoted } from "./printable.ts";

/** What a socket's address holds, its final zero excluded. */
const pathBytesMax = 107;

/** Fails where no socket can be made at this path. */
export const requireSocketFolder = (socketPath: string): void => {
  if (Buffer.byteLength(socketPath) > pathBytesMax) {
    throw new Failure("output.socket-path", `The socket's path ${socketPath} is too long.`, {
      hint: "Set XDG_RUNTIME_DIR to a shorter folder.",
    });
  }
  makePrivateFolder(dirname(socketPath));
};

/** Made with 0700; refused when it is somebody else's or a link. */
export const makePrivateFolder = (path: string): void => {
  const hint = "Set XDG_RUNTIME_DIR to a private folder of yours, or compute with --here.";
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const text = `The folder for the engine's socket, ${quoted(path, 300)}, cannot be made.`;
    throw new Failure("output.runtime-dir", text, { hint, cause: error });
  }
  const stat = lstatSync(path);
  if (!stat.isDirectory() || (process.getuid !== undefined && stat.uid !== process.getuid())) {
    throw new Failure("output.runtime-dir", `${quoted(path, 300)} is not a folder of yours.`, {
      hint,
    });
  }
  chmodSync(path, 0o700);
};
