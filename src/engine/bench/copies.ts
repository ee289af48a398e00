// Copies to the device, from it and within it, as the rest of the program makes them.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { Sizes } from "./sizes.ts";
import { opTask, type Task } from "./task.ts";

export const copyTasks = ({ copyBytes: bytes }: Sizes): readonly Task[] => {
  const about = { part: "copy" as const, dtype: "u8" as const, bytes: 2 * bytes };
  const mega = `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 2 : 0)} MiB`;
  // Every page is written once before anything is timed.
  const data = (): Uint8Array => new Uint8Array(bytes).fill(1);
  return [
    opTask({ ...about, name: `host to device, ${mega}`, work: { link: bytes } }, () => {
      const source = data();
      return () => Tensor.fromBytes(source, [bytes], "u8")[Symbol.dispose]();
    }),
    opTask({ ...about, name: `device to host, ${mega}`, work: { link: bytes } }, (bag) => {
      const there = bag.add(Tensor.fromBytes(data(), [bytes], "u8"));
      return () => void there.u8();
    }),
    opTask({ ...about, name: `within the device, ${mega}`, work: { memory: 2 * bytes } }, (bag) => {
      const from = bag.add(Tensor.fromBytes(data(), [bytes], "u8"));
      const to = bag.add(Tensor.empty([bytes], "u8"));
      return () => void ops.copy(to, from);
    }),
  ];
};
