// A process of its own: runs every op case once on the GPU, for a tool that watches the kernels.

import { loadLibrary, sync } from "../../src/ffi/library.ts";
import { cases, withBackend } from "../kernels/backends.ts";
import { runCase } from "../kernels/case.ts";

loadLibrary();
withBackend("cuda", () => {
  for (const each of cases) {
    for (const dtype of each.dtypes) runCase(each, dtype, dtype);
  }
  sync();
});
console.log(`${cases.length} cases ran`);
