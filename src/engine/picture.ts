// A picture in memory: 8-bit RGB, rows from the top. Nothing but the type and its check.

export type Picture = Readonly<{
  width: number;
  height: number;
  /** height × width × 3. */
  rgb: Uint8Array;
}>;

export const picture = (width: number, height: number, rgb: Uint8Array): Picture => {
  if (width < 1 || height < 1 || rgb.length !== width * height * 3) {
    throw new RangeError(`a picture of ${width} × ${height} does not have ${rgb.length} bytes`);
  }
  return { width, height, rgb };
};
