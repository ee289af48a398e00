// Scaling of 8-bit pictures, equal bit for bit to Pillow's: two passes, across then down, with
// fixed-point weights and rounding to 8 bits after each. A window computes only a part of the
// scaled picture.

import { type Picture, picture } from "./picture.ts";

export type Filter = "lanczos" | "bicubic";
type Size = Readonly<{ height: number; width: number }>;
type Window = Size & Readonly<{ left: number; top: number }>;

/** Fractional bits of a weight: 32 less 8 for the pixel and 2 for the overshoot of the lobes. */
const weightBits = 22;

export const resize = (image: Picture, to: Size, filter: Filter, window?: Window): Picture => {
  const part = window ?? { left: 0, top: 0, ...to };
  const rows = taps(image.height, to.height, part.top, part.height, filter);
  const columns = taps(image.width, to.width, part.left, part.width, filter);
  // Rows that the second pass will read; the others need no first pass.
  const first = Math.min(...rows.from);
  const last = Math.max(...rows.from.map((from, i) => from + (rows.count[i] ?? 0)));
  const across = passAcross(image, columns, first, last);
  return picture(part.width, part.height, passDown(across, part.width * 3, rows, first));
};

type Taps = Readonly<{
  /** First source index of each output, and how many follow. */
  from: Int32Array;
  count: Int32Array;
  /** `stride` weights an output. */
  weights: Int32Array;
  stride: number;
}>;

const taps = (sizeIn: number, sizeOut: number, start: number, n: number, name: Filter): Taps => {
  const { support, weight } = filters[name];
  const scale = sizeIn / sizeOut;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const stride = Math.ceil(reach) * 2 + 1;
  const from = new Int32Array(n);
  const count = new Int32Array(n);
  const weights = new Int32Array(n * stride);
  const exact = new Float64Array(stride);
  for (let i = 0; i < n; i++) {
    const center = (start + i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - reach + 0.5));
    const high = Math.min(sizeIn, Math.trunc(center + reach + 0.5));
    let sum = 0;
    for (let k = 0; k < high - low; k++) {
      const w = weight((k + low - center + 0.5) * (1 / stretch));
      exact[k] = w;
      sum += w;
    }
    from[i] = low;
    count[i] = high - low;
    for (let k = 0; k < high - low; k++) {
      const w = ((exact[k] ?? 0) / (sum === 0 ? 1 : sum)) * 2 ** weightBits;
      weights[i * stride + k] = Math.trunc(w < 0 ? w - 0.5 : w + 0.5);
    }
  }
  return { from, count, weights, stride };
};

const passAcross = (image: Picture, columns: Taps, first: number, last: number): Uint8Array => {
  const { from, count, weights, stride } = columns;
  const width = from.length;
  const out = new Uint8ClampedArray((last - first) * width * 3);
  const source = image.rgb;
  for (let y = first; y < last; y++) {
    let to = (y - first) * width * 3;
    for (let x = 0; x < width; x++, to += 3) {
      let at = (y * image.width + (from[x] ?? 0)) * 3;
      let [r, g, b] = [half, half, half];
      const end = x * stride + (count[x] ?? 0);
      for (let k = x * stride; k < end; k++, at += 3) {
        const w = weights[k] ?? 0;
        r = (r + Math.imul(source[at] ?? 0, w)) | 0;
        g = (g + Math.imul(source[at + 1] ?? 0, w)) | 0;
        b = (b + Math.imul(source[at + 2] ?? 0, w)) | 0;
      }
      out[to] = r >> weightBits;
      out[to + 1] = g >> weightBits;
      out[to + 2] = b >> weightBits;
    }
  }
  return new Uint8Array(out.buffer);
};

const passDown = (source: Uint8Array, bytes: number, rows: Taps, first: number): Uint8Array => {
  const height = rows.from.length;
  const out = new Uint8ClampedArray(height * bytes);
  const sums = new Int32Array(bytes);
  for (let y = 0; y < height; y++) {
    sums.fill(half);
    for (let k = 0; k < (rows.count[y] ?? 0); k++) {
      const w = rows.weights[y * rows.stride + k] ?? 0;
      const at = ((rows.from[y] ?? 0) + k - first) * bytes;
      for (let i = 0; i < bytes; i++) sums[i] = (sums[i] ?? 0) + Math.imul(source[at + i] ?? 0, w);
    }
    for (let i = 0; i < bytes; i++) out[y * bytes + i] = (sums[i] ?? 0) >> weightBits;
  }
  return new Uint8Array(out.buffer);
};

const half = 1 << (weightBits - 1);

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

const filters: Record<Filter, { support: number; weight: (x: number) => number }> = {
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
  bicubic: {
    support: 2,
    weight: (x) => {
      const a = -0.5;
      const d = Math.abs(x);
      if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    },
  },
};
