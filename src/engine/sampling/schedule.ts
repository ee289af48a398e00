// The noise levels of a sampling run: a flow schedule whose shift follows the number of noisy
// tokens. Also the roundings that the network's scalar inputs go through.

export type ScheduleOptions = Readonly<{
  steps: number;
  /** A fixed shift; null takes it from the tokens. */
  shift?: number | null;
  /** Below 1 every sigma is scaled by it, for a start from a given latent. */
  strength?: number;
}>;

/**
 * Steps + 1 float32 sigmas, from 1 (times strength) down to 0. `tokens`: noisy ones only. Rounded
 * to float32 after each operation, as the published sampler does: the network sees sigma rounded to
 * few bits, and a last-bit difference can fall on the other side of a tie.
 */
export const sigmas = (tokens: number, options: ScheduleOptions): Float32Array => {
  const { steps, shift = null, strength = 1 } = options;
  const f = Math.fround;
  const e = f(Math.exp(shift === null ? flowMu(tokens) : Math.log(shift)));
  const step = f(-1 / steps);
  const half = Math.floor((steps + 1) / 2);
  return Float32Array.from({ length: steps + 1 }, (_, i) => {
    const u = i < half ? f(1 + step * i) : f(-step * (steps - i));
    const sigma = u === 0 ? 0 : f(f(1 / f(e + f(f(1 / u) - 1))) * e);
    return f(sigma * f(strength));
  });
};

/**
 * Logarithm of the shift; grows with the tokens of the noisy window and is capped at a shift of 7.
 */
export const flowMu = (tokens: number): number => {
  const slope = (1.15 - 0.5) / (4096 - 256);
  return Math.min(slope * tokens + (0.5 - 256 * slope), Math.log(7));
};

/** Tokens the schedule counts: a quarter of the latent pixels of the window. */
export const scheduleTokens = (latent: { frames: number; height: number; width: number }): number =>
  Math.floor((latent.frames * latent.height * latent.width) / 4);

/** The nearest bf16, ties to even; NaN stays NaN. */
export const roundBf16 = (x: number): number => {
  bits.f[0] = x;
  const u = bits.u[0] ?? 0;
  if ((u & 0x7f800000) === 0x7f800000) return bits.f[0];
  bits.u[0] = (u + 0x7fff + ((u >>> 16) & 1)) & 0xffff0000;
  return bits.f[0];
};

const bits = (() => {
  const f = new Float32Array(1);
  return { f, u: new Uint32Array(f.buffer) };
})();

/** Python's round: halves go to the even neighbour. */
export const roundHalfEven = (x: number): number => {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
};
