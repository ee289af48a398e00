// A picture in few colours: palette PNGs for kitty and iTerm2, palettes for sixel. sharp chooses the colours, without
// dithering, which measured smaller and nearer to the source. Loaded on first use: start-up does not pay for it.

import type { Picture } from "./picture.ts";

/** libvips knows palettes of 2, 4, 16 and 256 only; anything between silently becomes 256. */
export type Colours = 16 | 256;

export const palettePng = async (picture: Picture, colours: Colours): Promise<Uint8Array> => {
  const { default: sharp } = await import("sharp");
  const { width, height, rgb } = picture;
  return new Uint8Array(
    await sharp(rgb, { raw: { width, height, channels: 3 } })
      .png({ palette: true, colours, dither: 0, effort: 1 })
      .toBuffer(),
  );
};

export type Quantised = Readonly<{
  /** width × height × 4, opaque, every pixel one of the palette's colours. */
  rgba: Uint8Array;
  palette: readonly (readonly [number, number, number])[];
}>;

export const quantise = async (picture: Picture, colours: Colours): Promise<Quantised> => {
  const { default: sharp } = await import("sharp");
  const png = await palettePng(picture, colours);
  const raw = await sharp(png).ensureAlpha().raw().toBuffer();
  const rgba = new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength);
  const seen = new Map<number, readonly [number, number, number]>();
  for (let i = 0; i < rgba.length; i += 4) {
    const [r, g, b] = [rgba[i] ?? 0, rgba[i + 1] ?? 0, rgba[i + 2] ?? 0];
    const key = (r << 16) | (g << 8) | b;
    if (!seen.has(key)) seen.set(key, [r, g, b]);
  }
  return { rgba, palette: [...seen.values()] };
};
