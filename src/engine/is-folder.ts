// Whether there is a folder at a path. Anything in the way (a file as a parent, no permission) is a
// no.

import { statSync } from "node:fs";

export const isFolder = (path: string): boolean => {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false; // ENOTDIR, EACCES, ELOOP: whoever opens it next gets a sentence about it.
  }
};
