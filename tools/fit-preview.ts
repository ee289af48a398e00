// Fits the linear latent-to-RGB preview of the demo model and writes it into its framepack.json.
//   bun tools/fit-preview.ts demo/model
// Least squares over clips of the model's own world: latents of the autoencoder's encoder against
// the mean colour of the 8 × 8 pixels and the frames that each latent pixel stands for.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadVae } from "../src/engine/models/load.ts";
import { defaultTiling } from "../src/engine/models/vae-tiling.ts";
import { openLibrary } from "../src/ffi/library.ts";
import { tensorMapper } from "../src/ffi/mapped-file.ts";
import * as ops from "../src/ffi/ops.ts";
import { Tensor } from "../src/ffi/tensor.ts";
import { randomFrom, randomScene, render } from "./demo-world.ts";

const clips = 60;
const frames = 37;
const size = 48;
const cell = 8;
const channels = 16;
/** Sixteen channels and a constant. */
const unknowns = channels + 1;
/**
 * Weight of small factors against a small error, a sample. The channels of flat pictures depend on
 * each other; without it large factors of opposite signs would cancel on clean latents and show the
 * noise of others tenfold.
 */
const ridge = 0.003;

const main = async (folder: string): Promise<void> => {
  openLibrary({ backend: "cpu" });
  using vae = loadVae(join(folder, "vae"), { dtype: "f32", mapper: tensorMapper, upload: false });
  const random = randomFrom(5);
  const sums = new NormalEquations();
  for (let k = 0; k < clips; k++) {
    const rgb = render(randomScene(random), frames, size);
    using bytes = Tensor.from(rgb, [frames, size, size, 3]);
    using pixels = ops.fromU8(bytes, "f32");
    // In one piece: the preview is to show what the latents mean, not where tiles meet.
    using posterior = await vae.network.encode(pixels, {
      tiling: { ...defaultTiling, frames: 4096, frameStride: 4096 },
    });
    const scale = vae.network.config.scalingFactor;
    const latents = posterior.mean.f32().map((v) => v * scale);
    sums.add(latents, cellColours(rgb));
  }
  const solution = sums.solve();
  const rounded = solution.map((row) => row.map((v) => Number(v.toFixed(5))));
  report(sums.rmsOf(rounded));
  writeMatrix(join(folder, "framepack.json"), rounded);
};

const latentFrames = (frames - 1) / 4 + 1;
const side = size / cell;
const cells = latentFrames * side * side;

/** Mean colours, 0 … 1, of every latent pixel's part of the clip: [cells, 3]. */
const cellColours = (rgb: Uint8Array): Float64Array => {
  const out = new Float64Array(cells * 3);
  for (let k = 0; k < latentFrames; k++) {
    const first = Math.max(0, 4 * k - 3);
    const share = 1 / (255 * (4 * k + 1 - first) * cell * cell);
    for (let t = first; t <= 4 * k; t++) {
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const from = ((t * size + y) * size + x) * 3;
          const to = ((k * side + Math.floor(y / cell)) * side + Math.floor(x / cell)) * 3;
          for (let c = 0; c < 3; c++)
            out[to + c] = (out[to + c] ?? 0) + (rgb[from + c] ?? 0) * share;
        }
      }
    }
  }
  return out;
};

/** A·A and A·y of a least squares problem, gathered clip by clip in double precision. */
class NormalEquations {
  private readonly left = Array.from({ length: unknowns }, () => new Float64Array(unknowns));
  private readonly right = Array.from({ length: unknowns }, () => new Float64Array(3));
  private readonly samples: { row: Float64Array; colour: Float64Array }[] = [];

  add(latents: Float32Array, colours: Float64Array): void {
    for (let i = 0; i < cells; i++) {
      const row = new Float64Array(unknowns).fill(1);
      for (let c = 0; c < channels; c++) row[c] = latents[c * cells + i] ?? 0;
      const colour = colours.slice(i * 3, i * 3 + 3);
      this.samples.push({ row, colour });
      for (let a = 0; a < unknowns; a++) {
        for (let b = 0; b < unknowns; b++) bump(this.left[a], b, (row[a] ?? 0) * (row[b] ?? 0));
        for (let c = 0; c < 3; c++) bump(this.right[a], c, (row[a] ?? 0) * (colour[c] ?? 0));
      }
    }
  }

  /** Rows of the matrix, the bias last. Elimination with row exchange. */
  solve(): number[][] {
    const a = this.left.map((row, i) => {
      const damped = row.map((v, k) =>
        k === i && i < channels ? v + ridge * this.samples.length : v,
      );
      return [...damped, ...(this.right[i] ?? [])];
    });
    for (let c = 0; c < unknowns; c++) {
      const rest = a.slice(c).map((row) => Math.abs(row[c] ?? 0));
      const best = c + rest.indexOf(Math.max(...rest));
      [a[c], a[best]] = [a[best] ?? [], a[c] ?? []];
      const pivot = a[c] ?? [];
      for (const [r, row] of a.entries()) {
        if (r === c) continue;
        const factor = (row[c] ?? 0) / (pivot[c] ?? 1);
        a[r] = row.map((v, k) => v - factor * (pivot[k] ?? 0));
      }
    }
    return a.map((row, i) => row.slice(unknowns).map((v) => v / (row[i] ?? 1)));
  }

  /** Root mean square error of each colour, and the colours' own deviation. */
  rmsOf(matrix: readonly (readonly number[])[]): { error: number[]; deviation: number[] } {
    const of = (
      value: (sample: { row: Float64Array; colour: Float64Array }, c: number) => number,
    ) =>
      [0, 1, 2].map((c) => {
        const list = this.samples.map((sample) => value(sample, c));
        return Math.sqrt(list.reduce((sum, v) => sum + v * v, 0) / list.length);
      });
    const means = [0, 1, 2].map(
      (c) => this.samples.reduce((sum, s) => sum + (s.colour[c] ?? 0), 0) / this.samples.length,
    );
    return {
      error: of(({ row, colour }, c) => {
        const guess = row.reduce((sum, v, k) => sum + v * (matrix[k]?.[c] ?? 0), 0);
        return guess - (colour[c] ?? 0);
      }),
      deviation: of(({ colour }, c) => (colour[c] ?? 0) - (means[c] ?? 0)),
    };
  }
}

const bump = (row: Float64Array | undefined, i: number, by: number): void => {
  if (row !== undefined) row[i] = (row[i] ?? 0) + by;
};

const report = ({ error, deviation }: { error: number[]; deviation: number[] }): void => {
  const show = (list: number[]): string => list.map((v) => v.toFixed(4)).join(" ");
  console.log(`rms error ${show(error)}, deviation of the colours ${show(deviation)}`);
};

const writeMatrix = (path: string, rows: readonly (readonly number[])[]): void => {
  const settings = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  const { latentRgb: _old, ...others } = settings;
  const lines = Object.entries(others).map(([key, v]) => `  ${JSON.stringify(key)}: ${inline(v)}`);
  const factors = rows.slice(0, channels).map((row) => `      ${inline(row)}`);
  const matrix = [
    '  "latentRgb": {',
    `    "factors": [\n${factors.join(",\n")}\n    ],`,
    `    "bias": ${inline(rows[channels])}`,
    "  }",
  ].join("\n");
  writeFileSync(path, `{\n${[...lines, matrix].join(",\n")}\n}\n`);
};

const inline = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map(inline).join(", ")}]` : JSON.stringify(value);

const [folder] = process.argv.slice(2);
if (folder === undefined)
  throw new Error("which model folder? bun tools/fit-preview.ts demo/model");
await main(folder);
