// Reads golden cases for tests: small safetensors files, whole, into plain arrays. The product has
// its own reader, with every check; this one trusts its files.

import { readFileSync } from "node:fs";

export type GoldenTensor = Readonly<{
  dims: readonly number[];
  data: Float32Array | Int32Array | Uint8Array;
}>;

export const goldenFolder = new URL("../golden/", import.meta.url).pathname;

export const goldenJson = (path: string): unknown =>
  JSON.parse(readFileSync(goldenFolder + path, "utf8"));

export class Golden {
  private readonly tensors = new Map<string, GoldenTensor>();

  /** For example `new Golden("unipc/inputs.safetensors")`, or an absolute path. */
  constructor(path: string) {
    const file = readFileSync(path.startsWith("/") ? path : goldenFolder + path);
    const headerBytes = Number(file.readBigUInt64LE(0));
    const header = JSON.parse(file.toString("utf8", 8, 8 + headerBytes)) as Header;
    for (const [name, entry] of Object.entries(header)) {
      if (name === "__metadata__") continue;
      const [from, to] = entry.data_offsets;
      const bytes = Uint8Array.from(file.subarray(8 + headerBytes + from, 8 + headerBytes + to));
      this.tensors.set(name, { dims: entry.shape, data: view(entry.dtype, bytes) });
    }
  }

  get(name: string): GoldenTensor {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw new Error(`the golden file has no ${name}`);
    return tensor;
  }

  f32(name: string): Float32Array {
    const { data } = this.get(name);
    if (!(data instanceof Float32Array)) throw new Error(`${name} is not float32`);
    return data;
  }

  u8(name: string): Uint8Array {
    const { data } = this.get(name);
    if (!(data instanceof Uint8Array)) throw new Error(`${name} is not u8`);
    return data;
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }
}

/** ||got − want|| / ||want||. */
export const relL2 = (got: ArrayLike<number>, want: ArrayLike<number>): number => {
  if (got.length !== want.length) throw new Error(`${got.length} values, not ${want.length}`);
  let [difference, size] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    difference += ((got[i] ?? 0) - (want[i] ?? 0)) ** 2;
    size += (want[i] ?? 0) ** 2;
  }
  return Math.sqrt(difference / size);
};

export const maxAbs = (got: ArrayLike<number>, want: ArrayLike<number>): number => {
  if (got.length !== want.length) throw new Error(`${got.length} values, not ${want.length}`);
  let worst = 0;
  for (let i = 0; i < want.length; i++) {
    const d = Math.abs((got[i] ?? 0) - (want[i] ?? 0));
    worst = d > worst || Number.isNaN(d) ? d : worst;
  }
  return worst;
};

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

const view = (dtype: string, bytes: Uint8Array<ArrayBuffer>): GoldenTensor["data"] => {
  switch (dtype) {
    case "F32":
      return new Float32Array(bytes.buffer);
    case "I32":
      return new Int32Array(bytes.buffer);
    case "U8":
      return bytes;
    case "I64":
      return Int32Array.from(new BigInt64Array(bytes.buffer), Number);
    default:
      throw new Error(`no reader for ${dtype}`);
  }
};
