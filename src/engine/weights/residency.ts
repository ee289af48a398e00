// What of a network's blocks lies on the device for good and what streams through two slots, from
// the memory there is. Pure arithmetic: the plan and the loader ask the same question here.

/** Blocks that are used one after the other, again and again, and what has to lie beside them. */
export type Demand = Readonly<{
  /** Activations and everything else that stays, at its most. */
  fixedBytes: number;
  /** Weights of each block, in the order of use. */
  blocks: readonly BlockBytes[];
}>;

/** What a block takes tensor by tensor, and in a slot. */
export type BlockBytes = Readonly<{ bytes: number; slotBytes: number }>;

/** What the library takes for one tensor: sixteenths of a power of two, small ones nearly exactly. */
export const allocated = (bytes: number): number => {
  const step = bytes <= 16_384 ? 64 : Math.max(4096, 2 ** (Math.floor(Math.log2(bytes)) - 4));
  return Math.ceil(Math.max(1, bytes) / step) * step;
};

export type Placement = Readonly<{
  /** How many of the first blocks stay. */
  resident: number;
  residentBytes: number;
  /** One block computes out of one slot while the next one comes into the other. */
  slots: 0 | 1 | 2;
  slotBytes: number;
  /** What comes over the link in every pass. */
  streamedBytes: number;
  /** The whole of it: fixed, resident and slots. */
  deviceBytes: number;
  fits: boolean;
}>;

/** As many blocks resident as fit; null for no limit. With none that fits, nothing is resident. */
export const placeBlocks = (limit: number | null, demand: Demand): Placement => {
  for (let resident = demand.blocks.length; resident >= 0; resident--) {
    const placement = placeFirst(resident, demand, limit);
    if (placement.fits || resident === 0) return placement;
  }
  return placeFirst(0, demand, limit);
};

/** The first so many blocks resident, whether that fits or not. */
export const placeFirst = (
  resident: number,
  { fixedBytes, blocks }: Demand,
  limit: number | null = null,
): Placement => {
  const staying = blocks.slice(0, resident);
  const streamed = blocks.slice(resident);
  const slots = streamed.length === 0 ? 0 : streamed.length === 1 ? 1 : 2;
  const slotBytes = Math.max(0, ...streamed.map((block) => block.slotBytes));
  const residentBytes = sum(staying);
  const deviceBytes = fixedBytes + residentBytes + slots * slotBytes;
  return {
    resident,
    residentBytes,
    slots,
    slotBytes,
    streamedBytes: sum(streamed),
    deviceBytes,
    fits: limit === null || deviceBytes <= limit,
  };
};

export type HostDemand = Readonly<{
  /** What a pass reads of the mapped files. */
  streamedBytes: number;
  /** Memory that the program itself takes, page cache left out. */
  programBytes: number;
  /** Memory there is: the machine's, the control group's or the user's limit. */
  ramBytes: number | null;
}>;

/**
 * Where streamed weights come from. Files are mapped, so that they take memory only as far as there
 * is any to spare; a ring of pinned buffers is all that is ever held for the transfer.
 */
export type HostPlacement = Readonly<{
  cachedBytes: number;
  /** Read from the disk again in every pass. */
  diskBytes: number;
}>;

/** The page cache drops what was used longest ago, so that a cycle that does not fit is read whole. */
export const placeHost = ({ streamedBytes, programBytes, ramBytes }: HostDemand): HostPlacement => {
  const room = ramBytes === null ? streamedBytes : Math.max(0, ramBytes - programBytes);
  const isCached = streamedBytes <= room;
  return { cachedBytes: Math.min(streamedBytes, room), diskBytes: isCached ? 0 : streamedBytes };
};

/** Bytes a second. */
export type Links = Readonly<{ device: number; disk: number }>;

/** How long a pass waits for its weights: transfers hide behind computing as far as that lasts. */
export const passMs = (
  computeMs: number,
  placement: Placement,
  host: HostPlacement,
  links: Links,
): number => {
  const link = (placement.streamedBytes * 1000) / links.device;
  const disk = (host.diskBytes * 1000) / links.disk;
  return Math.max(computeMs, link, disk);
};

const sum = (blocks: readonly BlockBytes[]): number =>
  blocks.reduce((all, { bytes }) => all + bytes, 0);
