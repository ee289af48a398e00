// The identity of a model's weights, for recipes and checkpoints. Large files of the shared cache
// are named by their own hash already; small ones are hashed whole; other large ones by their
// header and size.

import { closeSync, openSync, readFileSync, readSync, realpathSync, statSync } from "node:fs";
import { basename } from "node:path";
import { findWeights } from "../weights/layout.ts";
import type { PartName } from "./known-models.ts";
import type { ModelFolder } from "./model-folder.ts";

const wholeBytesMax = 64 << 20;
const headBytes = 1 << 20;

const weighted: readonly PartName[] = [
  "transformer",
  "vae",
  "text_encoder",
  "text_encoder_2",
  "image_encoder",
];

/** Sixteen hex digits over everything that has weights. */
export const modelHash = ({ parts }: ModelFolder): string => {
  const hash = new Bun.CryptoHasher("sha256");
  for (const part of weighted) {
    const layout = findWeights(parts[part]);
    const files = layout.kind === "single" ? [layout.file] : [...layout.shards.keys()];
    for (const file of files) hash.update(`${part} ${fileIdentity(file)}\n`);
  }
  return hash.digest("hex").slice(0, 16);
};

const fileIdentity = (path: string): string => {
  const real = basename(realpathSync(path));
  if (/^[0-9a-f]{64}$/.test(real)) return real;
  const { size } = statSync(path);
  const data = size <= wholeBytesMax ? readFileSync(path) : readHead(path);
  return `${size} ${new Bun.CryptoHasher("sha256").update(data).digest("hex")}`;
};

const readHead = (path: string): Uint8Array => {
  const data = new Uint8Array(headBytes);
  const fd = openSync(path, "r");
  try {
    return data.subarray(0, readSync(fd, data, 0, headBytes, 0));
  } finally {
    closeSync(fd);
  }
};
