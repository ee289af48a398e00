import { expect, test } from "bun:test";
import { thumbnailOf } from "../../src/tui/thumbnail.ts";

test.each([
  ["absent", "/nowhere/a.png"],
  ["below a file", `${import.meta.path}/a.png`],
  ["a folder", import.meta.dir],
  ["no picture", import.meta.path],
])("a path that is %s has no thumbnail", async (_what, path) => {
  expect(await thumbnailOf(path)).toBeNull();
});
