// Where a job's weights lie on a device: whole for a phase, block by block through two slots, or for
// good as far as there is room. The loader places them by what is said here.

import type { FloatDtype } from "../../ffi/types.ts";
import type { LlamaConfig } from "../config/encoders.ts";
import type { TransformerConfig } from "../config/transformer.ts";
import type { WeightGroup } from "../models/lender.ts";
import { llamaGroups } from "../models/llama.ts";
import { blockBytesOf, type StreamPlan } from "../models/streaming-lender.ts";
import { groupsOf } from "../models/transformer-shape.ts";
import { type Placement, placeBlocks } from "../weights/residency.ts";

/**
 * What the driver takes for itself and its libraries, and a margin for what nobody foresees. The
 * library's own budget does not count it.
 */
export const reserveBytes = 600_000_000;

/** What tensors may take of a device's memory. */
export const tensorBytes = (deviceBytes: number | null): number | null =>
  deviceBytes === null ? null : Math.max(0, deviceBytes - reserveBytes);

/** The transformer's blocks in a step, beside `fixedBytes` of everything else. */
export const placeTransformer = (
  config: TransformerConfig,
  dtype: FloatDtype,
  limits: Readonly<{ deviceBytes: number | null; fixedBytes: number }>,
): Placement => {
  const { double, single } = groupsOf(config);
  const blocks = [...double, ...single].map((group) => blockBytesOf(group, dtype));
  const fixedBytes = limits.fixedBytes + bytesOf(keptGroups(config), dtype);
  return placeBlocks(tensorBytes(limits.deviceBytes), { fixedBytes, blocks });
};

/** Small, and needed in every step. */
const keptGroups = (config: TransformerConfig): readonly WeightGroup[] => {
  const { patches, head } = groupsOf(config);
  return [patches, head];
};

/** How the transformer's weights are lent with so many blocks resident. */
export const transformerStream = (config: TransformerConfig, resident: number): StreamPlan => {
  const { double, single } = groupsOf(config);
  return { stream: [...double, ...single], isCycle: true, resident, kept: keptGroups(config) };
};

/** The language model's layers come and go once a prompt. */
export const llamaStream = (config: LlamaConfig): StreamPlan => ({
  stream: llamaGroups(config).layers,
  isCycle: false,
  resident: 0,
  kept: [],
});

/** The most that the language model's weights take at once. */
export const llamaBytes = (config: LlamaConfig, dtype: FloatDtype): number => {
  const { embedding, layers } = llamaGroups(config);
  const slots = layers.slice(0, 2).map((group) => blockBytesOf(group, dtype).slotBytes);
  // As stored, in half precision, whatever the run's dtype is.
  const table = bytesOf([embedding], "f16");
  return Math.max(
    table,
    slots.reduce((sum, bytes) => sum + bytes, 0),
  );
};

/** The most that is on the device at once while what all steps share is computed. */
export const preparingBytes = (config: TransformerConfig, dtype: FloatDtype): number => {
  const groups = groupsOf(config);
  const modulation = [...groups.doubleModulation, ...groups.singleModulation];
  return Math.max(
    bytesOf([groups.conditioning], dtype),
    ...modulation.map((group) => bytesOf([group], dtype)),
  );
};

const bytesOf = (groups: readonly WeightGroup[], dtype: FloatDtype): number =>
  groups.reduce((sum, group) => sum + blockBytesOf(group, dtype).bytes, 0);
