// The finished sections side by side, in the order of the video, a few small frames each.

import { Box, Text } from "ink";
import { type ReactElement, useMemo } from "react";
import type { JobSummary } from "../../engine/protocol.ts";
import { fitCells, type Picture, splitFrames } from "../pictures/picture.ts";
import { tone } from "../theme.ts";
import { PictureView } from "./picture-view.tsx";

export type FilmStripProps = Readonly<{
  job: JobSummary;
  columns_max: number;
  rows_max: number;
  cell: Readonly<{ width: number; height: number }>;
}>;

export const FilmStrip = (props: FilmStripProps): ReactElement | null => {
  const { job, columns_max, rows_max, cell } = props;
  const { sections, plan } = job.view;
  const pictures = useMemo(
    () => filmFrames(sections, plan?.order ?? "f1"),
    [sections, plan?.order],
  );
  const first = pictures[0];
  const one = first === undefined ? null : fitCells(first, columns_max, rows_max - 1, cell);
  const room = one === null ? 0 : Math.max(1, Math.floor(columns_max / one.columns));
  // One array as long as its pictures stay: a new one would be sent to the terminal again.
  const frames = useMemo(
    () => (room === 0 || pictures.length === 0 ? [] : [sideBySide(spread(pictures, room))]),
    [pictures, room],
  );
  if (one === null || rows_max < 2) return null;
  const columns = Math.min(columns_max, one.columns * Math.min(room, pictures.length));
  return (
    <Box flexDirection="column" marginTop={1} flexShrink={0}>
      <PictureView name="strip" frames={frames} columns={columns} rows={one.rows} />
      <Text {...tone("dim")} wrap="truncate">
        finished so far, as in the video
      </Text>
    </Box>
  );
};

/** The small frames of the finished sections in the order of the video. */
export const filmFrames = (
  sections: JobSummary["view"]["sections"],
  order: "inverted" | "f1",
): readonly Picture[] => {
  const inOrder = order === "inverted" ? sections.toReversed() : sections;
  return inOrder.flatMap(({ thumbnails }) => (thumbnails === null ? [] : splitFrames(thumbnails)));
};

/** At most `count` of them, evenly spread, first and last included. */
export const spread = <T,>(items: readonly T[], count: number): readonly T[] => {
  if (items.length <= count) return items;
  if (count === 1) return items.slice(0, 1);
  return Array.from(
    { length: count },
    (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))] as T,
  );
};

/** Pictures of one size as a single wide one. */
export const sideBySide = (pictures: readonly Picture[]): Picture => {
  const first = pictures[0];
  if (first === undefined) throw new Error("a strip of no pictures");
  const { width, height } = first;
  const rgb = new Uint8Array(width * pictures.length * height * 3);
  for (const [i, picture] of pictures.entries()) {
    for (let y = 0; y < height; y++) {
      const row = picture.rgb.subarray(y * width * 3, (y + 1) * width * 3);
      rgb.set(row, (y * width * pictures.length + i * width) * 3);
    }
  }
  return { width: width * pictures.length, height, rgb };
};
