// Rates that devices are known to reach, to hold a measured one against. Measured elsewhere, by other
// programs; a device that is not here has none, and its rows carry absolute numbers alone.

import type { LibraryInfo } from "../../ffi/library.ts";
import type { Task, Work, WorkKind } from "./task.ts";

/** TFLOP/s of products and attention, GB/s of memory and bus. */
export type Limits = Readonly<Partial<Record<WorkKind, number>>>;

/**
 * By name. H200: a product of 8192 cubed, FlashAttention 3 at 16k tokens, a copy within memory, PCIe 5
 * x16. The others: what their tensor cores can do at most in half precision with float32 sums.
 */
const gpus: readonly (readonly [name: RegExp, limits: Limits])[] = [
  [/\bH200\b/, { matmul: 790, attention: 648, memory: 4300, link: 52 }],
  [/\bA100\b/, { matmul: 312, attention: 312 }],
  [/\bRTX 5090$/, { matmul: 210, attention: 210 }],
  [/\bRTX 4090$/, { matmul: 165, attention: 165 }],
  [/\bRTX 3090$/, { matmul: 71, attention: 71 }],
];

/** Of one thread of a Zen 4 server core: fused multiply-adds in float32, dot products in bfloat16. */
const zen4 = { f32: 0.116, bf16: 0.235 } as const;
/** Up to here the rate was seen to grow with the threads. */
const zen4Threads = 2;

export const limitsOf = (info: LibraryInfo, dtype: Task["dtype"]): Limits => {
  if (info.backend === "cuda") {
    const known = gpus.find(([name]) => name.test(info.device))?.[1] ?? {};
    const { matmul: _, attention: __, ...moving } = known;
    return dtype === "bf16" || dtype === "f16" ? known : moving;
  }
  const isZen4 = /^AMD EPYC/.test(info.device) && info.cpu === "avx512bf16";
  if (info.backend !== "cpu" || !isZen4 || info.threads > zen4Threads) return {};
  if (dtype !== "f32" && dtype !== "bf16") return {};
  const rate = zen4[dtype] * info.threads;
  return { matmul: rate, attention: rate };
};

export type Rate = Readonly<{ unit: "tflops" | "gbps"; amount: number }>;

/** What was done in a time, in the unit of its kind. */
export const rateOf = (work: Work, ms: number): Rate => {
  const { flops, bytes } = totals(work);
  return flops > 0
    ? { unit: "tflops", amount: flops / ms / 1e9 }
    : { unit: "gbps", amount: bytes / ms / 1e6 };
};

/** The rate at which every kind of the work runs at its limit; undefined where one is not known. */
export const limitRate = (work: Work, limits: Limits): number | undefined => {
  let ms = 0;
  for (const [kind, amount] of entries(work)) {
    const limit = limits[kind];
    if (limit === undefined) return undefined;
    ms += amount / limit / (isFlops(kind) ? 1e9 : 1e6);
  }
  return ms > 0 ? rateOf(work, ms).amount : undefined;
};

export const totals = (work: Work): Readonly<{ flops: number; bytes: number }> => {
  let [flops, bytes] = [0, 0];
  for (const [kind, amount] of entries(work)) {
    if (isFlops(kind)) flops += amount;
    else bytes += amount;
  }
  return { flops, bytes };
};

const isFlops = (kind: WorkKind): boolean => kind === "matmul" || kind === "attention";
const entries = (work: Work): readonly (readonly [WorkKind, number])[] =>
  Object.entries(work) as [WorkKind, number][];
