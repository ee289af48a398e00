// What the file browser lists of a folder: its folders and pictures.

import { type Dirent, readdirSync } from "node:fs";
import type { FolderEntry } from "../state.ts";

const pictureName = /\.(png|jpe?g|webp|gif|tiff?|avif)$/i;

export type Listing = Readonly<{ entries: readonly FolderEntry[]; problem: string | null }>;

export const listFolder = (folder: string): Listing => {
  const up = { name: "..", isFolder: true };
  let found: Dirent[];
  try {
    found = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { entries: [up], problem: `This folder cannot be read (${code}).` };
  }
  const entries = found
    .filter((one) => !one.name.startsWith("."))
    .map((one) => ({ name: one.name, isFolder: one.isDirectory() }))
    .filter((one) => one.isFolder || pictureName.test(one.name))
    .sort((a, b) => Number(b.isFolder) - Number(a.isFolder) || (a.name < b.name ? -1 : 1));
  return { entries: [up, ...entries], problem: null };
};
