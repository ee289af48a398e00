// What the hub says about one file before it is fetched: hash, size, commit, and where its bytes are.

import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import type { Hub } from "./endpoint.ts";
import { refuse, type Wanted } from "./refusals.ts";
import { type Answer, ask, Idle, redirectOf } from "./request.ts";
import { type Retry, trying } from "./retry.ts";

export type RemoteFile = Wanted &
  Readonly<{
    /** sha256 of large files, git's hash of small ones: names the blob and proves the content. */
    etag: string;
    bytes: number;
    commit: string;
    /** Where its bytes were to be had when it was asked; may be signed, and end soon. */
    url: URL;
  }>;

export type Line = Readonly<{ hub: Hub; retry: Retry; signal: AbortSignal }>;

export const remoteFile = (line: Line, wanted: Wanted): Promise<RemoteFile> =>
  trying(() => once(line, wanted), line);

const once = async ({ hub, retry, signal }: Line, wanted: Wanted): Promise<RemoteFile> => {
  const { repo, revision, path } = wanted;
  const address = new URL(
    `${hub.endpoint}/${repo}/resolve/${encodeURIComponent(revision)}/${path}`,
  );
  const headers = new Headers();
  // Each answer on the way may tell a part; the first to tell it is nearest to the hub.
  const note = ({ response }: Answer): void => {
    for (const [name, value] of response.headers) {
      if (kept.has(name) && !headers.has(name)) headers.set(name, value);
    }
  };
  using idle = new Idle(signal, retry.idle_ms, address.host);
  const head = { method: "HEAD", signal: idle.signal } as const;
  const { response, url } = await ask(hub, address, head, (answer) => {
    note(answer);
    return headers.has("x-linked-etag") && headers.has("x-linked-size");
  });
  note({ response, url });
  const next = redirectOf(response, url);
  if (next === undefined && !response.ok) refuse(hub, url, response, wanted);
  const size = headers.get("x-linked-size") ?? response.headers.get("content-length");
  return {
    ...wanted,
    etag: etagOf(headers.get("x-linked-etag") ?? response.headers.get("etag"), hub, wanted),
    bytes: sizeOf(size, hub, wanted),
    commit: commitOf(headers.get("x-repo-commit"), hub, wanted),
    url: next ?? url,
  };
};

const kept = new Set(["x-linked-etag", "x-linked-size", "x-repo-commit"]);

const useless = (hub: Hub, { repo, path }: Wanted, what: string): Failure =>
  new Failure(
    "model.hub-answer",
    `${quoted(hub.host)} gives no usable ${what} for ${quoted(`${repo}/${path}`, 200)}.`,
    { hint: "Check HF_ENDPOINT; a mirror has to give the hub's own headers." },
  );

const etagOf = (text: string | null, hub: Hub, wanted: Wanted): string => {
  const etag = text?.replace(/^W\//, "").replaceAll('"', "") ?? "";
  if (/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag)) return etag;
  throw useless(hub, wanted, "hash");
};

const sizeOf = (text: string | null, hub: Hub, wanted: Wanted): number => {
  const bytes = Number(text);
  if (text !== null && /^\d+$/.test(text) && Number.isSafeInteger(bytes)) return bytes;
  throw useless(hub, wanted, "size");
};

const commitOf = (text: string | null, hub: Hub, wanted: Wanted): string => {
  const isPinned = /^[0-9a-f]{40}$/.test(wanted.revision);
  const commit = text ?? (isPinned ? wanted.revision : "");
  if (!/^[0-9a-f]{40}$/.test(commit)) throw useless(hub, wanted, "commit");
  if (isPinned && commit !== wanted.revision)
    throw useless(hub, wanted, "commit (it gives another)");
  return commit;
};
