// A picture, or a moving one, in a box of cells. Says which place it is; how the terminal shows it is the gallery's business.

import { Box, type DOMElement, Text } from "ink";
import { createContext, type ReactElement, useContext, useEffect, useRef, useState } from "react";
import type { Place } from "../pictures/frame-stream.ts";
import type { Gallery } from "../pictures/gallery.ts";
import type { Picture } from "../pictures/picture.ts";

export const GalleryContext = createContext<Gallery | null>(null);

export type PictureViewProps = Readonly<{
  /** One picture on the screen: the same name replaces, another is another picture. */
  name: string;
  frames: readonly Picture[];
  columns: number;
  rows: number;
  gap_ms?: number;
}>;

export const PictureView = (props: PictureViewProps): ReactElement | null => {
  const { name, frames, columns, rows, gap_ms = 160 } = props;
  const gallery = useContext(GalleryContext);
  const box = useRef<DOMElement>(null);
  const turn = useTurn(gallery, name, frames.length, gap_ms);
  const frame = frames[turn % Math.max(1, frames.length)];

  useEffect(() => {
    if (gallery === null || frame === undefined) return;
    const shown = gallery.turnsByHand ? [frame] : frames;
    const locate = (): Place | null => locateBox(box.current, columns, rows);
    gallery.show(name, { frames: shown, box: { columns, rows }, gap_ms, locate });
  }, [gallery, name, frames, frame, columns, rows, gap_ms]);

  useEffect(() => () => gallery?.remove(name), [gallery, name]);

  if (gallery === null) return null;
  const lines = gallery.textRows(name, { columns, rows });
  if (lines.length === 0) return null;
  return (
    <Box ref={box} width={columns} height={rows} flexShrink={0} flexDirection="column">
      <Text wrap="truncate">{lines.join("\n")}</Text>
    </Box>
  );
};

/** Which frame is up, where the terminal does not turn them itself; never faster than the link takes them. */
const useTurn = (gallery: Gallery | null, name: string, frames: number, gap_ms: number): number => {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (gallery === null || !gallery.turnsByHand || frames < 2) return;
    const timer = setInterval(() => {
      gallery.whenTaken(name, () => setTurn((t) => t + 1));
    }, gallery.turnPause(gap_ms));
    return () => clearInterval(timer);
  }, [gallery, name, frames, gap_ms]);
  return turn;
};

/** Where Yoga put a box, asked when a frame leaves: from an effect it would be a frame late. */
const locateBox = (node: DOMElement | null, columns: number, rows: number): Place | null => {
  let [column, row] = [0, 0];
  let at: DOMElement | undefined = node ?? undefined;
  while (at !== undefined && at.nodeName !== "ink-root") {
    const layout = at.yogaNode?.getComputedLayout();
    if (layout === undefined) return null;
    column += layout.left;
    row += layout.top;
    at = at.parentNode;
  }
  return at === undefined ? null : { column, row, columns, rows };
};
