// Choosing a picture from the disk: folders and pictures of one folder, and the selected picture small beside them.

import { type Dirent, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { Box, Text, useInput } from "ink";
import { type ReactElement, useEffect, useMemo, useState } from "react";
import { printable } from "../../engine/printable.ts";
import { fitCells, type Picture } from "../pictures/picture.ts";
import { tone } from "../theme.ts";
import { thumbnailOf } from "../thumbnail.ts";
import { fit } from "../words.ts";
import { PictureView } from "./picture-view.tsx";

export type FileBrowserProps = Readonly<{
  from: string;
  width: number;
  height: number;
  cell: Readonly<{ width: number; height: number }>;
  onChoose: (path: string | null) => void;
}>;

const pictureName = /\.(png|jpe?g|webp|gif|tiff?|avif)$/i;

type Entry = Readonly<{ name: string; isFolder: boolean }>;

export const FileBrowser = (props: FileBrowserProps): ReactElement => {
  const { width, height, cell, onChoose } = props;
  const [folder, setFolder] = useState(props.from);
  const [at, setAt] = useState(0);
  const { entries, problem } = useMemo(() => listFolder(folder), [folder]);
  const entry = entries[at];
  const path = entry === undefined || entry.isFolder ? null : join(folder, entry.name);
  const thumbnail = useThumbnail(path);
  const go = (to: string): void => {
    setFolder(to);
    setAt(0);
  };
  useInput((input, key) => {
    if (key.escape || (key.ctrl && input === "c")) onChoose(null);
    else if (key.downArrow) setAt(Math.min(entries.length - 1, at + 1));
    else if (key.upArrow) setAt(Math.max(0, at - 1));
    else if (key.pageDown) setAt(Math.min(entries.length - 1, at + 10));
    else if (key.pageUp) setAt(Math.max(0, at - 10));
    else if (key.backspace || key.leftArrow) go(dirname(folder));
    else if (key.return || key.rightArrow) {
      if (entry?.isFolder) go(entry.name === ".." ? dirname(folder) : join(folder, entry.name));
      else if (path !== null && key.return) onChoose(path);
    }
  });
  const listWidth = Math.floor(width / 2);
  const room = Math.max(1, height - 3);
  const from = Math.max(0, Math.min(at - Math.floor(room / 2), entries.length - room));
  const box =
    thumbnail === null ? null : fitCells(thumbnail, width - listWidth - 3, Math.max(3, room), cell);
  return (
    <Box flexDirection="column" paddingX={1}>
      <Text {...tone("strong")}>{fit(printable(folder), width - 2)}</Text>
      <Box columnGap={2}>
        <Box flexDirection="column" width={listWidth} height={room}>
          {problem === null ? null : <Text {...tone("bad")}>{printable(problem)}</Text>}
          {entries.slice(from, from + room).map((one, i) => (
            <Text key={one.name} wrap="truncate" {...(from + i === at ? { inverse: true } : {})}>
              {fit(printable(one.name) + (one.isFolder ? "/" : ""), listWidth - 1)}
            </Text>
          ))}
        </Box>
        {thumbnail === null || box === null ? null : (
          <PictureView name="browse" frames={[thumbnail]} columns={box.columns} rows={box.rows} />
        )}
      </Box>
      <Text {...tone("dim")}>Enter opens or takes, ← goes up, Esc goes back.</Text>
    </Box>
  );
};

const listFolder = (
  folder: string,
): Readonly<{ entries: readonly Entry[]; problem: string | null }> => {
  const up = { name: "..", isFolder: true };
  let found: Dirent[];
  try {
    found = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    return {
      entries: [up],
      problem: `This folder cannot be read (${(error as NodeJS.ErrnoException).code}).`,
    };
  }
  const entries = found
    .filter((one) => !one.name.startsWith("."))
    .map((one) => ({ name: one.name, isFolder: one.isDirectory() }))
    .filter((one) => one.isFolder || pictureName.test(one.name))
    .sort((a, b) => Number(b.isFolder) - Number(a.isFolder) || (a.name < b.name ? -1 : 1));
  return { entries: [up, ...entries], problem: null };
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
