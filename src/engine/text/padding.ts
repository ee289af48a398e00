// Token lists of a fixed length.

export type PaddedTokens = Readonly<{
  ids: readonly number[];
  /** Ids before the padding. */
  length: number;
}>;

/** `ids`, which must not be longer than `tokens`, with padding after them. */
export const padRight = (ids: readonly number[], tokens: number, pad: number): PaddedTokens => ({
  ids: [...ids, ...Array<number>(Math.max(0, tokens - ids.length)).fill(pad)],
  length: ids.length,
});
