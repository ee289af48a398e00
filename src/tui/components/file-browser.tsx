// Choosing a picture from the disk: folders and pictures of one folder, and the selected picture small beside them. A view;
// keys are compose/form.ts, only the thumbnail is fetched from here.

import { join } from "node:path";
import { Box, Text } from "ink";
import { type ReactElement, useEffect, useMemo, useState } from "react";
import { printable } from "../../engine/printable.ts";
import { fitCells, type Picture } from "../pictures/picture.ts";
import type { Over } from "../state.ts";
import { tone } from "../theme.ts";
import { thumbnailOf } from "../thumbnail.ts";
import { fit, windowOf } from "../words.ts";
import { PictureView } from "./picture-view.tsx";

export type FileBrowserProps = Readonly<{
  over: Extract<Over, { kind: "browse" }>;
  width: number;
  height: number;
  cell: Readonly<{ width: number; height: number }>;
}>;

export const FileBrowser = ({ over, width, height, cell }: FileBrowserProps): ReactElement => {
  const { folder, entries, problem, at } = over;
  const entry = entries[at];
  const path = entry === undefined || entry.isFolder ? null : join(folder, entry.name);
  const thumbnail = useThumbnail(path);
  const frames = useMemo(() => (thumbnail === null ? [] : [thumbnail]), [thumbnail]);
  const listWidth = Math.floor(width / 2);
  const room = Math.max(1, height - 2);
  const { from, to } = windowOf(entries.length, at, room);
  const box =
    thumbnail === null ? null : fitCells(thumbnail, width - listWidth - 3, Math.max(3, room), cell);
  return (
    <Box flexDirection="column" paddingX={1}>
      <Text {...tone("strong")}>{fit(printable(folder), width - 2)}</Text>
      <Box columnGap={2}>
        <Box flexDirection="column" width={listWidth} height={room}>
          {problem === null ? null : <Text {...tone("bad")}>{printable(problem)}</Text>}
          {entries.slice(from, to).map((one, i) => (
            <Text key={one.name} wrap="truncate" {...(from + i === at ? { inverse: true } : {})}>
              {fit(printable(one.name) + (one.isFolder ? "/" : ""), listWidth - 1)}
            </Text>
          ))}
        </Box>
        {box === null ? null : (
          <PictureView name="browse" frames={frames} columns={box.columns} rows={box.rows} />
        )}
      </Box>
    </Box>
  );
};

/** The picture small, once the selection rests on it. */
const useThumbnail = (path: string | null): Picture | null => {
  const [picture, setPicture] = useState<Picture | null>(null);
  useEffect(() => {
    setPicture(null);
    if (path === null) return;
    let gone = false;
    const timer = setTimeout(async () => {
      const made = await thumbnailOf(path);
      if (!gone) setPicture(made);
    }, 120);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [path]);
  return picture;
};
