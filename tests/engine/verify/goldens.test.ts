import { expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { LoadOptions } from "../../../src/engine/models/load.ts";
import { Case } from "../../../src/engine/verify/case.ts";
import { allDtypes } from "../../../src/engine/verify/runner.ts";
import { openCase, verifyCase } from "../../../src/engine/verify/verify.ts";
import { openLibrary } from "../../../src/ffi/library.ts";
import { tensorMapper } from "../../../src/ffi/mapped-file.ts";
import type { FloatDtype } from "../../../src/ffi/types.ts";
import { goldenFolder } from "../../support/golden.ts";

openLibrary({ backend: "cpu", threads: 2 });

const load = (dtype: FloatDtype): LoadOptions => ({ dtype, mapper: tensorMapper, upload: false });

const folders = readdirSync(goldenFolder)
  .map((name) => join(goldenFolder, name))
  .filter((path) => statSync(path).isDirectory());

/** Enough for a machine that is busy with other things. */
const ms_max = 120_000;

test.each(folders)(
  "every tensor of %s is within its limit",
  async (folder) => {
    const { checks, unseen } = await verifyCase(openCase(folder), allDtypes, load);

    expect(checks.filter(({ pass }) => !pass)).toEqual([]);
    expect(checks.length).toBeGreaterThan(0);
    expect(unseen).toEqual([]);
  },
  ms_max,
);

const finals = folders.map((folder) => Case.open(folder)).filter((of) => of.file.final);

test.each(finals.map((of) => [of.name, of] as const))(
  "the final output of %s is compared",
  async (_, of) => {
    const { checks } = await verifyCase(of, ["f32"], load);

    expect(checks.some(({ final }) => final)).toBe(true);
  },
  ms_max,
);

test(
  "the demo model repeats its reference run in f32 and in bf16",
  async () => {
    const { checks } = await verifyCase(openCase("demo"), ["f32", "bf16"], load);

    expect(checks.filter(({ pass }) => !pass)).toEqual([]);
    expect(checks.filter(({ final }) => final).length).toBe(4);
  },
  ms_max,
);
