// Every failure a user can see: one sentence, a stable id, an exit code, and what to do next.
// The id's first word decides the exit code, so the two can never disagree.

import { printable } from "./printable.ts";

/** The program's exit codes. The names before the code are the first words of failure ids. */
export const exitCodes = {
  ok: 0,
  unknown: 1,
  usage: 2,
  fit: 3,
  model: 4,
  input: 5,
  gpu: 6,
  output: 7,
  numbers: 8,
  checkpointed: 75,
  interrupted: 130,
  terminated: 143,
} as const;

export type FailureArea = Exclude<keyof typeof exitCodes, "ok">;
/** For example "model.missing": an area, which gives the exit code, and a stable name inside it. */
export type FailureId = `${FailureArea}.${string}`;

export type FailureDetails = Readonly<{ hint?: string | undefined; cause?: unknown }>;

/**
 * `throw new Failure("model.missing", "There is no model in ./x.", { hint: "Run …" })`.
 * Message and hint are full sentences; control characters in them are made visible.
 */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly id: FailureId;
  /** The exit code. */
  readonly code: number;
  readonly hint: string | undefined;

  constructor(id: FailureId, message: string, details: FailureDetails = {}) {
    super(printable(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.id = id;
    this.code = codeOf(id);
    this.hint = details.hint === undefined ? undefined : printable(details.hint);
  }
}

/** A failure as plain data: what `--json` prints and what goes into events and logs. */
export type FailureReport = Readonly<{
  id: string;
  code: number;
  message: string;
  hint?: string;
}>;

/** Any thrown value as a report. What is no Failure is a bug or the system's refusal: code 1. */
export const reportOf = (error: unknown): FailureReport => {
  if (error instanceof Failure) {
    const { id, code, message, hint } = error;
    return hint === undefined ? { id, code, message } : { id, code, message, hint };
  }
  const kernel = kernelReport(error);
  if (kernel !== undefined) return kernel;
  const text = error instanceof Error ? error.message || error.name : String(error);
  return {
    id: "unknown.error",
    code: exitCodes.unknown,
    message: sentence(`Something unexpected happened: ${printable(text, 500)}`),
    hint: "Set FRAMEPACK_DEBUG=1 to see where it happened.",
  };
};

/** Ends text with a full stop unless it has an end already. */
export const sentence = (text: string): string => (/[.!?…]$/.test(text) ? text : `${text}.`);

const codeOf = (id: FailureId): number => {
  const area = id.slice(0, id.indexOf(".")) as FailureArea;
  return exitCodes[area];
};

// The library's errors carry a status instead of an id. They are told by shape: this file stays
// below src/ffi, so that a client can use it without loading the library.
const kernelAreas: Readonly<Record<string, FailureArea>> = {
  out_of_budget: "fit",
  out_of_memory: "fit",
  device: "gpu",
  cancelled: "interrupted",
};

const kernelReport = (error: unknown): FailureReport | undefined => {
  if (!(error instanceof Error) || error.name !== "KernelError") return undefined;
  const { op, status, detail } = error as Error & Record<"op" | "status" | "detail", unknown>;
  const area = kernelAreas[String(status)] ?? "unknown";
  const text = printable(String(detail || error.message), 500);
  return {
    id: `${area}.${String(status)}`,
    code: exitCodes[area],
    message: sentence(`The computation stopped in ${printable(String(op))}: ${text}`),
  };
};
