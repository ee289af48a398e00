// Every reference case on a real GPU, in all precisions that it has limits for, and the demo model's
// whole run. Asked for with `framepack test --gpu`; elsewhere these say skipped.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { LoadOptions } from "../../src/engine/models/load.ts";
import { allDtypes } from "../../src/engine/verify/runner.ts";
import { openCase, verifyCase } from "../../src/engine/verify/verify.ts";
import { closeLibrary, openLibrary } from "../../src/ffi/library.ts";
import { tensorMapper } from "../../src/ffi/mapped-file.ts";
import type { FloatDtype } from "../../src/ffi/types.ts";
import { goldenFolder } from "../support/golden.ts";
import { isAsked } from "./asked.ts";

const load = (dtype: FloatDtype): LoadOptions => ({ dtype, mapper: tensorMapper, upload: true });

const listFolders = (): readonly string[] =>
  readdirSync(goldenFolder)
    .filter((name) => statSync(join(goldenFolder, name)).isDirectory())
    .sort();

const folders = isAsked ? listFolders() : [];

describe.skipIf(!isAsked)("on a GPU", () => {
  beforeAll(() => {
    openLibrary({ backend: "cuda" });
  });

  afterAll(() => {
    closeLibrary();
  });

  test.each(folders)("every tensor of %s is within its limit", async (name) => {
    const { checks } = await verifyCase(openCase(join(goldenFolder, name)), allDtypes, load);

    expect(checks.filter(({ pass }) => !pass)).toEqual([]);
    expect(checks.length).toBeGreaterThan(0);
  });

  test("the demo model repeats its reference run in f32 and in bf16", async () => {
    const { checks } = await verifyCase(openCase("demo"), ["f32", "bf16"], load);

    expect(checks.filter(({ pass }) => !pass)).toEqual([]);
    expect(checks.filter(({ final }) => final).length).toBe(4);
  });
});
