// Rotary tables, computed in float32 as the reference does: one row a token, cosines then sines.
// The packed transformer rotates neighbouring channels over three axes; Llama rotates halves.

const { fround } = Math;

export interface RopeGrid {
  /** Channels of each axis: time, rows, columns. Their sum is the head size. */
  readonly axes: readonly number[];
  readonly theta: number;
  /** Patches a frame. */
  readonly rows: number;
  readonly columns: number;
}

/** Cosines and sines of one axis: `values[position][channel]`, cosines in the first half. */
interface AxisTable {
  readonly width: number;
  readonly rows: readonly Float32Array[];
}

/**
 * Table rows for frames at the given positions, [n, 2·headDim], ordered (frame, row, column).
 * With `pool` 2 or 4 cosines and sines are averaged, each on its own, over pool³ neighbours of the
 * table whose last frame, row and column are repeated up to a multiple of `pool`.
 */
export const ropeTable = (
  grid: RopeGrid,
  frames: readonly number[],
  pool: 1 | 2 | 4 = 1,
): Float32Array => {
  const [time = 0, vertical = 0, horizontal = 0] = grid.axes;
  const axis = (positions: readonly number[], width: number): AxisTable =>
    averaged(axisTable(positions, width, grid.theta), pool);
  const t = axis(frames, time);
  const y = axis(upTo(grid.rows), vertical);
  const x = axis(upTo(grid.columns), horizontal);
  const head = time + vertical + horizontal;
  const table = new Float32Array(t.rows.length * y.rows.length * x.rows.length * 2 * head);
  let offset = 0;
  for (const tRow of t.rows) {
    for (const yRow of y.rows) {
      for (const xRow of x.rows) {
        for (const half of [0, 1]) {
          table.set(halfOf(tRow, half), offset);
          table.set(halfOf(yRow, half), offset + time);
          table.set(halfOf(xRow, half), offset + time + vertical);
          offset += head;
        }
      }
    }
  }
  return table;
};

/** Table rows for positions 0..count−1 in the half-split form, [count, 2·headDim]. */
export const halvesTable = (
  count: number,
  headDim: number,
  theta: number,
  round: (frequency: number) => number = fround,
): Float32Array => {
  const half = headDim / 2;
  const frequencies = Array.from({ length: half }, (_, k) => round(frequency(k, headDim, theta)));
  const table = new Float32Array(count * 2 * headDim);
  for (let position = 0; position < count; position++) {
    const row = position * 2 * headDim;
    frequencies.forEach((omega, k) => {
      const angle = fround(position * omega);
      table[row + k] = table[row + half + k] = Math.cos(angle);
      table[row + headDim + k] = table[row + headDim + half + k] = Math.sin(angle);
    });
  }
  return table;
};

/** θ^(−2k/width) with the exponent, the power and the reciprocal each rounded to float32. */
const frequency = (k: number, width: number, theta: number): number =>
  fround(1 / fround(theta ** fround((2 * k) / width)));

const axisTable = (positions: readonly number[], width: number, theta: number): AxisTable => {
  const rows = positions.map((position) => {
    const row = new Float32Array(2 * width);
    for (let k = 0; k < width / 2; k++) {
      const angle = fround(fround(position) * frequency(k, width, theta));
      row[2 * k] = row[2 * k + 1] = Math.cos(angle);
      row[width + 2 * k] = row[width + 2 * k + 1] = Math.sin(angle);
    }
    return row;
  });
  return { width, rows };
};

// A value of one axis does not change along the others, so the mean over a block of the padded
// three-dimensional table is the mean along its own axis.
const averaged = ({ width, rows }: AxisTable, pool: number): AxisTable => {
  if (pool === 1) return { width, rows };
  const count = Math.ceil(rows.length / pool);
  const means = Array.from({ length: count }, (_, group) => {
    const mean = new Float32Array(2 * width);
    for (let i = 0; i < 2 * width; i++) {
      let sum = 0;
      for (let j = 0; j < pool; j++) {
        sum += rows[Math.min(group * pool + j, rows.length - 1)]?.[i] ?? 0;
      }
      mean[i] = sum / pool;
    }
    return mean;
  });
  return { width, rows: means };
};

const halfOf = (row: Float32Array, half: number): Float32Array => {
  const width = row.length / 2;
  return row.subarray(half * width, (half + 1) * width);
};

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
