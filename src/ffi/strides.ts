// Strides of shapes, in elements. Pure; memory is checked by the library.

type Dims = readonly number[];

/** Strides of a contiguous tensor. */
export const rowMajor = (dims: Dims): number[] => {
  const strides = new Array<number>(dims.length);
  let stride = 1;
  for (let i = dims.length - 1; i >= 0; i--) {
    // A dimension nobody can step along may be wider than a stride can say.
    strides[i] = stride >>> 0 === stride ? stride : 0;
    stride *= Math.max(dims[i]!, 1);
  }
  return strides;
};

/**
 * Strides that show `from`'s elements in `to`'s shape without moving them, or undefined.
 * Runs of dimensions that lie without gaps are regrouped; a gap must stay between dimensions.
 */
export const reshaped = (from: Dims, strides: Dims, to: Dims): number[] | undefined => {
  if (from.includes(0)) return rowMajor(to);
  const result = new Array<number>(to.length);
  let view = to.length - 1;
  let run = 1;
  let base = strides[from.length - 1]!;
  let seen = 1;
  for (let i = from.length - 1; i >= 0; i--) {
    run *= from[i]!;
    const before = from[i - 1];
    const isEnd = i === 0 || (before !== 1 && strides[i - 1] !== run * base);
    if (!isEnd) continue;
    while (view >= 0 && (seen < run || to[view] === 1)) {
      result[view] = seen * base;
      seen *= to[view]!;
      view--;
    }
    if (seen !== run) return undefined;
    if (i > 0) {
      base = strides[i - 1]!;
      run = 1;
      seen = 1;
    }
  }
  return view === -1 ? result : undefined;
};
