// Runs reference cases: finds the kind of a folder, runs it in the dtypes it has limits for, and
// hands over every comparison as it is made.

import type { FloatDtype } from "../../ffi/types.ts";
import { Failure } from "../failure.ts";
import type { LoadOptions } from "../models/load.ts";
import { quoted } from "../printable.ts";
import { Case, mainVariant } from "./case.ts";
import { clip, llama, prompts, siglip } from "./encoders.ts";
import { type Check, Judge } from "./measure.ts";
import { pictures } from "./pictures.ts";
import { ReferenceRun } from "./reference-run.ts";
import type { CaseKind } from "./runner.ts";
import { noise, samplingCall, unipc } from "./sampling.ts";
import { sectionLoop } from "./section-loop.ts";
import { sectionPlan } from "./section-plan.ts";
import { teacacheRun } from "./teacache.ts";
import { tokenizers } from "./tokenizers.ts";
import { transformerForward } from "./transformer.ts";
import { rope, timeEmbed, tokenRefiner } from "./transformer-parts.ts";
import { vae } from "./vae.ts";

/** How case.json's `kind` begins, and what runs it. */
const kinds: readonly (readonly [start: string, kind: CaseKind])[] = [
  ["transformer forward", transformerForward],
  ["TeaCache over one sampling run", teacacheRun],
  ["token refiner", tokenRefiner],
  ["timestep / guidance / pooled text embedding", timeEmbed],
  ["rope tables", rope],
  ["llama hidden states", llama],
  ["clip text encoder", clip],
  ["siglip vision encoder", siglip],
  ["prompt to embeddings", prompts],
  ["vae", vae],
  ["sigmas and UniPC steps", unipc],
  ["whole sampling call", samplingCall],
  ["torch's CPU normal generator", noise],
  ["section loop", sectionLoop],
  ["number of sections", sectionPlan],
  ["buckets, resize and crop", pictures],
  ["tokenizers", tokenizers],
];

export interface Verdict {
  readonly checks: readonly Check[];
  /** Dtypes that were asked for and that the case says nothing about. */
  readonly skipped: readonly FloatDtype[];
  /** Outputs of the case that nothing here makes. */
  readonly unseen: readonly string[];
}

/** A case folder, or a model that brings a reference run. */
export type Subject = Case | ReferenceRun;

export const openCase = (word: string): Subject => ReferenceRun.find(word) ?? Case.open(word);

/** Runs a case in each of `dtypes`. `load` is told the dtype of each run. */
export const verifyCase = async (
  of: Subject,
  dtypes: readonly FloatDtype[],
  load: (dtype: FloatDtype) => LoadOptions,
): Promise<Verdict> =>
  of instanceof Case ? runCase(of, dtypes, load) : runWhole(of, dtypes, load);

const runWhole = async (
  of: ReferenceRun,
  dtypes: readonly FloatDtype[],
  load: (dtype: FloatDtype) => LoadOptions,
): Promise<Verdict> => {
  const checks: Check[] = [];
  for (const dtype of dtypes.filter((each) => of.dtypes.includes(each))) {
    checks.push(...(await of.run(load(dtype))).checks);
  }
  return { checks, skipped: dtypes.filter((each) => !of.dtypes.includes(each)), unseen: [] };
};

const runCase = async (
  of: Case,
  dtypes: readonly FloatDtype[],
  load: (dtype: FloatDtype) => LoadOptions,
): Promise<Verdict> => {
  const { folder } = of;
  const kind = kinds.find(([start]) => of.file.kind.startsWith(start))?.[1];
  if (kind === undefined) {
    const known = kinds.map(([start]) => start).join("; ");
    throw new Failure(
      "input.case",
      `${quoted(folder, 300)} is a case of an unknown kind: ${quoted(of.file.kind, 100)}.`,
      { hint: `Known kinds begin with: ${known}.` },
    );
  }
  const checks: Check[] = [];
  const skipped: FloatDtype[] = [];
  const unseen = new Set<string>();
  for (const dtype of dtypes) {
    const variants = kind.perVariant ? of.variants() : [mainVariant];
    const limited = variants.filter((variant) => limitOf(of, kind, dtype, variant) !== undefined);
    if (!kind.dtypes.includes(dtype) || limited.length === 0) {
      skipped.push(dtype);
      continue;
    }
    for (const variant of limited) {
      const limit = limitOf(of, kind, dtype, variant);
      if (limit === undefined) continue;
      const judge = new Judge(of, variant, dtype, limit);
      await kind.run({ case: of, variant, judge, load: load(dtype) });
      if (judge.checks.length === 0) throw nothingCompared(folder, variant);
      for (const name of unseenOutputs(of, variant, judge)) unseen.add(name);
      checks.push(...judge.checks);
    }
  }
  return { checks, skipped, unseen: [...unseen] };
};

const unseenOutputs = (of: Case, variant: string, judge: Judge): readonly string[] => {
  if (!of.variants().includes(variant)) return [];
  const seen = new Set(judge.checks.map(({ tensor }) => tensor));
  return of
    .outputs(variant)
    .names()
    .filter((name) => !seen.has(name));
};

/** Tables are exact and need no limit of their own. */
const limitOf = (
  of: Case,
  kind: CaseKind,
  dtype: FloatDtype,
  variant: string,
): ReturnType<Case["limit"]> =>
  of.limit(dtype, variant) ??
  (dtype === "f32" && !kind.perVariant ? { metric: "max_abs", value: 0 } : undefined);

const nothingCompared = (folder: string, variant: string): Failure =>
  new Failure(
    "input.case",
    `Nothing in ${quoted(folder, 300)} could be compared for its variant ${quoted(variant)}.`,
  );
