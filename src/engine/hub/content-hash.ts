// The hash that names a blob: sha256 of large files, git's own hash of small ones.

import { open } from "node:fs/promises";

const block_bytes = 4 << 20;

export class ContentHash {
  readonly #hasher: Bun.CryptoHasher;

  /** `etag` says which hash; `bytes` is the length of the whole file. */
  constructor(etag: string, bytes: number) {
    this.#hasher = new Bun.CryptoHasher(etag.length === 64 ? "sha256" : "sha1");
    if (etag.length === 40) this.#hasher.update(`blob ${bytes}\0`);
  }

  add(part: Uint8Array): void {
    this.#hasher.update(part);
  }

  /** Adds the first `bytes` of a file. The next block is read while one is hashed. */
  async addFile(
    path: string,
    bytes: number,
    options: Readonly<{ signal?: AbortSignal; onBytes?: (bytes: number) => void }> = {},
  ): Promise<void> {
    await using handle = await open(path, "r");
    const buffers = [new Uint8Array(block_bytes), new Uint8Array(block_bytes)] as const;
    const read = (turn: number, at: number) =>
      handle.read(buffers[turn === 0 ? 0 : 1], 0, Math.min(block_bytes, bytes - at), at);
    let at = 0;
    let turn = 0;
    let coming = bytes > 0 ? read(turn, at) : undefined;
    while (coming !== undefined) {
      const { bytesRead, buffer } = await coming;
      options.signal?.throwIfAborted();
      if (bytesRead === 0) throw new Error(`${path} was cut short while it was read`);
      at += bytesRead;
      turn = 1 - turn;
      coming = at < bytes ? read(turn, at) : undefined;
      this.add(buffer.subarray(0, bytesRead));
      options.onBytes?.(bytesRead);
    }
  }

  digest(): string {
    return this.#hasher.digest("hex");
  }
}

/** Whether a blob's name can be its hash. */
export const isEtag = (name: string): boolean => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(name);
