// Cancels what the main thread computes: loads the same library, waits for the word, sets the flag.

import { cancel, loadLibrary } from "../../src/ffi/library.ts";

declare const self: Worker;

loadLibrary();
self.addEventListener("message", () => cancel(true));
self.postMessage("ready");
