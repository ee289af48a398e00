// A reference case: a folder told by its case.json, with variants, settings and tolerances. Reads
// nothing but JSON here; sizes, seeds and configurations may be any.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { FloatDtype } from "../../ffi/types.ts";
import { readJson } from "../config/read.ts";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { ReferenceFile } from "./tensors.ts";

const limitSchema = z.looseObject({});
const caseSchema = z.looseObject({
  case: z.string().max(200),
  kind: z.string().max(500),
  final: z.string().max(500).optional(),
  tolerance: limitSchema.default({}),
  variants: z.record(z.string(), z.looseObject({ tolerance: limitSchema.optional() })).optional(),
});

type CaseFile = z.output<typeof caseSchema>;
type Raw = Readonly<Record<string, unknown>>;

export const mainVariant = "main";
/** Names of limits in case.json. */
const dtypeWords: Readonly<Record<FloatDtype, string>> = { f32: "fp32", bf16: "bf16", f16: "fp16" };

export interface Limit {
  readonly metric: "rel_l2" | "max_abs";
  readonly value: number;
}

export class Case {
  readonly folder: string;
  readonly file: CaseFile;

  private constructor(folder: string, file: CaseFile) {
    this.folder = folder;
    this.file = file;
  }

  /** Fails with `input.case` where the folder is none. */
  static open(folder: string): Case {
    const path = join(folder, "case.json");
    if (!existsSync(path)) {
      throw new Failure(
        "input.case",
        `${quoted(folder, 300)} is no reference case: it has no case.json.`,
        {
          hint: "Give a folder that holds case.json and its tensors.",
        },
      );
    }
    const parsed = caseSchema.safeParse(readCaseJson(path));
    if (parsed.success) return new Case(folder, parsed.data);
    const issue = parsed.error.issues[0];
    const where = issue?.path.join(".") ?? "";
    throw new Failure(
      "input.case",
      `${quoted(path, 300)} is no case: ${where} ${issue?.message ?? ""}.`,
    );
  }

  get name(): string {
    return this.file.case;
  }

  /** Everything in case.json that this class has no word for. */
  get raw(): Raw {
    return this.file;
  }

  /** Names of the input/output pairs; a pair without a name is `main`. */
  variants(): readonly string[] {
    const files = readdirSync(this.folder).flatMap((name) => {
      const match = /^outputs(?:\.(.+))?\.safetensors$/.exec(name);
      return match === null ? [] : [match[1] ?? mainVariant];
    });
    const named = Object.keys(this.file.variants ?? {});
    return [...new Set([...named, ...files.sort()])].filter((name) => files.includes(name));
  }

  /** case.json's entry of a variant, or an empty one. */
  settings(variant: string): Raw {
    return this.file.variants?.[variant] ?? {};
  }

  inputs(variant = mainVariant): ReferenceFile {
    return new ReferenceFile(this.#pair("inputs", variant));
  }

  outputs(variant = mainVariant): ReferenceFile {
    return new ReferenceFile(this.#pair("outputs", variant));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  json(name: string): unknown {
    return readCaseJson(this.path(name));
  }

  /** What an error is held against, or undefined where the case has no limit for a dtype. */
  limit(dtype: FloatDtype, variant = mainVariant): Limit | undefined {
    const tolerance: Raw = { ...this.file.tolerance, ...this.file.variants?.[variant]?.tolerance };
    for (const metric of ["rel_l2", "max_abs"] as const) {
      const value = tolerance[`${dtypeWords[dtype]}_${metric}`];
      if (typeof value === "number") return { metric, value };
    }
    return undefined;
  }

  /** A limit with a name of its own: a number, or the first number of a sentence. */
  namedLimit(name: string, variant = mainVariant): number | undefined {
    const tolerance: Raw = { ...this.file.tolerance, ...this.file.variants?.[variant]?.tolerance };
    const value = tolerance[name];
    if (typeof value === "number") return value;
    const found = typeof value === "string" ? /\d+(\.\d+)?/.exec(value) : null;
    return found === null ? undefined : Number(found[0]);
  }

  /** Whether a tensor is one of those that count most. */
  isFinal(tensor: string): boolean {
    const names = (this.file.final ?? "").split(/\s*[,/]\s*/);
    return names.some((name) => {
      const pattern = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/<\w+>/g, ".+");
      return name !== "" && new RegExp(`^${pattern}$`).test(tensor);
    });
  }

  #pair(word: string, variant: string): string {
    const plain = this.path(`${word}.safetensors`);
    const own = this.path(`${word}.${variant}.safetensors`);
    return variant === mainVariant && existsSync(plain) ? plain : own;
  }
}

/** A file of the case that cannot be read is bad input, not a broken model. */
const readCaseJson = (path: string): unknown => {
  try {
    return readJson(path);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure("input.case", error.message, { cause: error });
  }
};
