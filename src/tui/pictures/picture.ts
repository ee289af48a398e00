// A picture as the terminal code handles it: RGB bytes and a size. Scaling for cells happens here; how a terminal is told
// about it is the business of the encoders beside this file.

/** rgb holds width × height × 3 bytes, rows from the top. */
export type Picture = Readonly<{ width: number; height: number; rgb: Uint8Array }>;

/** `frames` pictures of one size, as events carry them: base64 of all of them in time order. */
export const splitFrames = (
  packed: Readonly<{ frames: number; width: number; height: number; rgb: string }>,
): Picture[] => {
  const { frames, width, height } = packed;
  const bytes = new Uint8Array(Buffer.from(packed.rgb, "base64"));
  const each = width * height * 3;
  if (bytes.length !== each * frames) {
    throw new Error(`pictures: ${bytes.length} bytes, want ${frames} × ${height} × ${width} × 3`);
  }
  return Array.from({ length: frames }, (_, i) => ({
    width,
    height,
    rgb: bytes.subarray(i * each, (i + 1) * each),
  }));
};

/** Area average when shrinking, nearest when growing: sharp pixels stay sharp. */
export const scale = (picture: Picture, width: number, height: number): Picture => {
  if (picture.width === width && picture.height === height) return picture;
  const xs = weights(picture.width, width);
  const ys = weights(picture.height, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = ys[y] ?? [];
    for (let x = 0; x < width; x++) {
      const column = xs[x] ?? [];
      let [r, g, b] = [0, 0, 0];
      for (const { at: sy, share: wy } of row) {
        for (const { at: sx, share: wx } of column) {
          const from = (sy * picture.width + sx) * 3;
          const share = wy * wx;
          r += share * (picture.rgb[from] ?? 0);
          g += share * (picture.rgb[from + 1] ?? 0);
          b += share * (picture.rgb[from + 2] ?? 0);
        }
      }
      const to = (y * width + x) * 3;
      rgb[to] = Math.round(r);
      rgb[to + 1] = Math.round(g);
      rgb[to + 2] = Math.round(b);
    }
  }
  return { width, height, rgb };
};

type Share = Readonly<{ at: number; share: number }>;

/** For each output pixel, which source pixels it is the mean of. */
const weights = (from: number, to: number): Share[][] =>
  Array.from({ length: to }, (_, i) => {
    if (to >= from) return [{ at: Math.floor(((i + 0.5) * from) / to), share: 1 }];
    const start = (i * from) / to;
    const end = ((i + 1) * from) / to;
    const shares: Share[] = [];
    for (let at = Math.floor(start); at < Math.min(from, Math.ceil(end)); at++) {
      const share = (Math.min(end, at + 1) - Math.max(start, at)) / (end - start);
      if (share > 0) shares.push({ at, share });
    }
    return shares;
  });

/** Size in cells that shows a picture in its shape inside columns × rows. */
export const fitCells = (
  picture: Readonly<{ width: number; height: number }>,
  columns_max: number,
  rows_max: number,
  cell: Readonly<{ width: number; height: number }>,
): Readonly<{ columns: number; rows: number }> => {
  const aspect = (picture.width / picture.height) * (cell.height / cell.width);
  const rows = Math.max(1, Math.min(rows_max, Math.round(columns_max / aspect)));
  const columns = Math.max(1, Math.min(columns_max, Math.round(rows * aspect)));
  return { columns, rows };
};
