// The noise of a seed, equal to torch's CPU generator: a 32-bit Mersenne Twister and Box-Muller
// pairs. One generator per job; every draw goes on where the last one ended. Its state fits in a
// checkpoint.

const words = 624;
const middle = 397;

/** Plain data; `words` is base64 of the 624 state words, little endian. */
export type NoiseState = Readonly<{ words: string; index: number; spare: number | null }>;

export class NoiseGenerator {
  private readonly mt = new Uint32Array(words);
  private index = words;
  /** The second half of a double pair: torch keeps it in the generator across small draws. */
  private spare: number | null = null;

  /** The low 32 bits of the seed count; negative seeds wrap as two's complement. */
  constructor(seed: number) {
    const mt = this.mt;
    mt[0] = seed >>> 0;
    for (let i = 1; i < words; i++) {
      const last = mt[i - 1] ?? 0;
      mt[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
    }
  }

  static restore(state: NoiseState): NoiseGenerator {
    const bytes = Uint8Array.fromBase64(state.words);
    if (
      bytes.length !== words * 4 ||
      !Number.isInteger(state.index) ||
      state.index < 0 ||
      state.index > words
    ) {
      throw new RangeError("the saved state of the noise generator is not one");
    }
    const generator = new NoiseGenerator(0);
    new Uint8Array(generator.mt.buffer).set(bytes);
    generator.index = state.index;
    generator.spare = state.spare;
    return generator;
  }

  state(): NoiseState {
    return {
      words: new Uint8Array(this.mt.buffer).toBase64(),
      index: this.index,
      spare: this.spare,
    };
  }

  /** The next n standard normals, in memory order. */
  normals(n: number): Float32Array {
    const out = new Float32Array(n);
    if (n < 16) {
      for (let i = 0; i < n; i++) out[i] = this.small();
      return out;
    }
    for (let i = 0; i < n; i++) out[i] = this.uniform24();
    for (let i = 0; i + 16 <= n; i += 16) boxMuller16(out, i);
    if (n % 16 !== 0) {
      // The last 16 are drawn anew, over values that were already normals.
      for (let i = n - 16; i < n; i++) out[i] = this.uniform24();
      boxMuller16(out, n - 16);
    }
    return out;
  }

  /** One raw output of the twister. */
  next(): number {
    if (this.index >= words) this.refill();
    let y = this.mt[this.index++] ?? 0;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  private uniform24(): number {
    return (this.next() & 0xffffff) * 2 ** -24;
  }

  private uniform53(): number {
    const high = this.next() & 0x1fffff;
    return (high * 2 ** 32 + this.next()) * 2 ** -53;
  }

  /**
   * Draws of fewer than 16 numbers use double pairs, the second of which waits for the next call.
   */
  private small(): number {
    if (this.spare !== null) {
      const kept = this.spare;
      this.spare = null;
      return kept;
    }
    const angle = 2 * Math.PI * this.uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.uniform53()));
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  private refill(): void {
    const mt = this.mt;
    for (let i = 0; i < words; i++) {
      const y = ((mt[i] ?? 0) & 0x80000000) | ((mt[(i + 1) % words] ?? 0) & 0x7fffffff);
      mt[i] = (mt[(i + middle) % words] ?? 0) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.index = 0;
  }
}

/** Sixteen uniforms at `at` become sixteen normals: j and j + 8 make a pair. */
const boxMuller16 = (x: Float32Array, at: number): void => {
  for (let j = at; j < at + 8; j++) {
    const radius = Math.sqrt(-2 * Math.log(1 - (x[j] ?? 0)));
    const angle = 2 * Math.PI * (x[j + 8] ?? 0);
    x[j] = radius * Math.cos(angle);
    x[j + 8] = radius * Math.sin(angle);
  }
};
