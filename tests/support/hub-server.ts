// A hub on 127.0.0.1 in two servers: the hub itself, and another port that large files are redirected
// to. Contents are made up from their names. A test may answer any request in its own way.

import { createHash } from "node:crypto";
import { publishedModels } from "../../src/engine/hub/manifest.ts";

export type Seen = Readonly<{
  at: "hub" | "store";
  method: string;
  path: string;
  authorization: string | null;
  range: string | null;
}>;

/** Answers in place of the server, or leaves it to it. */
export type Behaviour = (
  seen: Seen,
  usual: () => Response,
) => Response | Promise<Response> | undefined;

export type HubOptions = Readonly<{
  /** Bytes of a file, by its path in the repository. */
  bytes?: Readonly<Record<string, number>>;
  behave?: Behaviour;
}>;

type Item = Readonly<{
  data: Uint8Array<ArrayBuffer>;
  sha256: string;
  git: string;
  isLarge: boolean;
}>;

export class HubServer implements Disposable {
  readonly seen: Seen[] = [];
  /** Bytes of every body that was asked for, by path. */
  readonly asked = new Map<string, number>();
  behave: Behaviour;
  readonly #items = new Map<string, Item>();
  readonly #hub: Bun.Server<undefined>;
  readonly #store: Bun.Server<undefined>;

  constructor({ bytes = {}, behave = () => undefined }: HubOptions = {}) {
    this.behave = behave;
    for (const { repo, revision, files } of publishedModels.flatMap((m) => m.repositories)) {
      for (const file of files) {
        const isLarge = file.path.endsWith(".safetensors");
        const length = bytes[file.path] ?? (isLarge ? 30_000 : 300);
        const item = makeItem(`${repo}/${file.path}`, length, isLarge);
        this.#items.set(`/${repo}/resolve/${revision}/${file.path}`, item);
      }
    }
    const serve = (at: Seen["at"]) =>
      Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        idleTimeout: 0,
        fetch: (request) => this.#answer(at, request),
        // A test that cuts a body off means it; nothing is to be said about it.
        error: () => new Response(null, { status: 500 }),
      });
    this.#hub = serve("hub");
    this.#store = serve("store");
  }

  get url(): string {
    return `http://127.0.0.1:${this.#hub.port}`;
  }

  /** The content of a file, by the end of its path. */
  content(path: string): Uint8Array {
    const key = [...this.#items.keys()].find((each) => each.endsWith(`/${path}`)) ?? "";
    return this.#items.get(key)?.data ?? new Uint8Array();
  }

  etag(path: string): string {
    const key = [...this.#items.keys()].find((each) => each.endsWith(`/${path}`)) ?? "";
    const item = this.#items.get(key);
    return (item?.isLarge ? item.sha256 : item?.git) ?? "";
  }

  [Symbol.dispose](): void {
    this.#hub.stop(true);
    this.#store.stop(true);
  }

  async #answer(at: Seen["at"], request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const { method, headers } = request;
    const authorization = headers.get("authorization");
    const seen = { at, method, path: pathname, authorization, range: headers.get("range") };
    this.seen.push(seen);
    return (await this.behave(seen, () => this.#usual(seen))) ?? this.#usual(seen);
  }

  #usual(seen: Seen): Response {
    const item = this.#items.get(seen.path);
    if (item === undefined) return new Response("no such file", { status: 404 });
    const { data, sha256, git, isLarge } = item;
    if (seen.at === "hub" && isLarge) {
      return new Response(null, {
        status: 302,
        headers: {
          location: `http://127.0.0.1:${this.#store.port}${seen.path}?signature=secret`,
          "x-linked-etag": `"${sha256}"`,
          "x-linked-size": String(data.length),
          "x-repo-commit": commitOf(seen.path),
        },
      });
    }
    const [from, to] = rangeOf(seen.range, data.length);
    const body = seen.method === "HEAD" ? null : data.subarray(from, to);
    if (body !== null) {
      this.asked.set(seen.path, (this.asked.get(seen.path) ?? 0) + body.length);
    }
    return new Response(body, {
      status: seen.range === null ? 200 : 206,
      headers: {
        etag: `"${isLarge ? "0123abcd" : git}"`,
        "content-length": String(to - from),
        "x-repo-commit": commitOf(seen.path),
        ...(seen.range && { "content-range": `bytes ${from}-${to - 1}/${data.length}` }),
      },
    });
  }
}

const commitOf = (path: string): string => path.split("/")[4] ?? "";

const rangeOf = (range: string | null, length: number): readonly [from: number, to: number] => {
  const found = /^bytes=(\d+)-(\d+)$/.exec(range ?? "");
  return found === null ? [0, length] : [Number(found[1]), Number(found[2]) + 1];
};

const makeItem = (name: string, length: number, isLarge: boolean): Item => {
  const data = new Uint8Array(length);
  // A short run of bytes of its own, over and over with a counter: cheap, and no two places are equal.
  const seed = createHash("sha256").update(name).digest();
  for (let at = 0; at < length; at += 4096) {
    data.set(seed.subarray(0, Math.min(32, length - at)), at);
    if (at + 40 <= length) new DataView(data.buffer).setUint32(at + 32, at, true);
  }
  const sha256 = createHash("sha256").update(data).digest("hex");
  const git = createHash("sha1").update(`blob ${length}\0`).update(data).digest("hex");
  return { data, sha256, git, isLarge };
};
