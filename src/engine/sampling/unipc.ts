// Coefficients of the UniPC multistep solver for flow matching, as weights of a linear combination.
// Everything here is double precision: with fine steps the phi recursion cancels badly in float32.

export type Variant = "bh1" | "bh2";

/** Weights of x, then of the x0 predictions: mt (newest), m0 (one back), m1, m2. */
export type CorrectorWeights = readonly [number, number, number, number, number];
/** Weights of x, then of the x0 predictions: newest, one back, two back. */
export type PredictorWeights = readonly [number, number, number, number];

/** Order of the step to sigma i of N steps. */
export const orderOf = (i: number, steps: number): number => Math.min(i, 3, steps - 1);

/**
 * Weights that lead x from sigma i − 1 to sigma i, before the model is asked there.
 * `past` of the predictions are m0 at i − 1, m1 at i − 2, m2 at i − 3.
 */
export const predictor = (
  sigma: ArrayLike<number>,
  i: number,
  variant: Variant,
): PredictorWeights => {
  const step = stepFacts(sigma, i, variant);
  const rho = predictorRho(step);
  const slopes = rho.map((weight, k) => (step.big * weight) / at(step.r, k));
  const toM0 = 1 - step.ratio + slopes.reduce((sum, v) => sum + v, 0);
  return [step.ratio, toM0, -(slopes[0] ?? 0), -(slopes[1] ?? 0)];
};

/**
 * Weights that correct x at sigma i − 1 into x at sigma i, once the model's answer mt there is
 * known.
 */
export const corrector = (
  sigma: ArrayLike<number>,
  i: number,
  variant: Variant,
): CorrectorWeights => {
  const step = stepFacts(sigma, i, variant);
  const rho = correctorRho(step);
  const newest = step.big * at(rho, rho.length - 1);
  const slopes = rho.slice(0, -1).map((weight, k) => (step.big * weight) / at(step.r, k));
  const toM0 = 1 - step.ratio + slopes.reduce((sum, v) => sum + v, 0) + newest;
  return [step.ratio, -newest, toM0, -(slopes[0] ?? 0), -(slopes[1] ?? 0)];
};

type StepFacts = Readonly<{
  /** t / s, that is e^z. */
  ratio: number;
  /** B: z, or e^z − 1 in the second variant. */
  big: number;
  order: number;
  /** r_1 … r_{p−1}. */
  r: readonly number[];
  /** b_1 … b_p. */
  b: readonly number[];
}>;

const stepFacts = (sigma: ArrayLike<number>, i: number, variant: Variant): StepFacts => {
  const t = at(sigma, i);
  const s = at(sigma, i - 1);
  const order = orderOf(i, sigma.length - 1);
  const z = Math.log(t / s);
  const big = variant === "bh1" ? z : Math.expm1(z);
  const r = range(1, order).map((k) => Math.log(s / at(sigma, i - 1 - k)) / Math.log(s / t));
  const b = range(1, order + 1).map((j) => (factorial(j) * z * phi(j + 1, z)) / big);
  return { ratio: t / s, big, order, r, b };
};

const predictorRho = ({ order, r, b }: StepFacts): number[] => {
  if (order <= 1) return [];
  if (order === 2) return [0.5];
  const [r1, r2, b1, b2] = [at(r, 0), at(r, 1), at(b, 0), at(b, 1)];
  return [(b1 * r2 - b2) / (r2 - r1), (b2 - b1 * r1) / (r2 - r1)];
};

const correctorRho = ({ order, r, b }: StepFacts): number[] => {
  if (order === 1) return [0.5];
  const nodes = [...r, 1];
  return solve(
    range(0, order).map((power) => nodes.map((node) => node ** power)),
    b,
  );
};

/** phi_j(z) = Σ z^n / (n + j)!, by its series: no cancellation for the small z that occur here. */
export const phi = (j: number, z: number): number => {
  let term = 1 / factorial(j);
  let sum = term;
  for (let n = 1; n < 100; n++) {
    term *= z / (n + j);
    if (sum + term === sum) break;
    sum += term;
  }
  return sum;
};

/** Gauss with row exchange; the systems are 2 × 2 and 3 × 3 Vandermonde ones. */
const solve = (rows: readonly (readonly number[])[], right: readonly number[]): number[] => {
  const n = rows.length;
  const a = rows.map((row, i) => [...row, at(right, i)]);
  for (let c = 0; c < n; c++) {
    const best = range(c, n).reduce((p, q) => (abs(a, q, c) > abs(a, p, c) ? q : p), c);
    [a[c], a[best]] = [rowOf(a, best), rowOf(a, c)];
    for (let q = 0; q < n; q++) {
      if (q === c) continue;
      const factor = at(rowOf(a, q), c) / at(rowOf(a, c), c);
      a[q] = rowOf(a, q).map((v, k) => v - factor * at(rowOf(a, c), k));
    }
  }
  return range(0, n).map((q) => at(rowOf(a, q), n) / at(rowOf(a, q), q));
};

const abs = (a: readonly number[][], q: number, c: number): number => Math.abs(at(rowOf(a, q), c));

const rowOf = (a: readonly number[][], i: number): number[] => {
  const row = a[i];
  if (row === undefined) throw new RangeError(`no row ${i}`);
  return row;
};

const at = (list: ArrayLike<number>, i: number): number => {
  const value = list[i];
  if (value === undefined) throw new RangeError(`no entry ${i} of ${list.length}`);
  return value;
};

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));
