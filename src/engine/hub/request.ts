// One request to the hub or to where it sends us. Redirects are followed here, by hand, so that the
// token goes to the hub's own origin and to nobody else; messages name hosts, never addresses.

import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import type { Hub } from "./endpoint.ts";

const redirects_max = 8;

export type Ask = Readonly<{
  method: "GET" | "HEAD";
  /** First and last byte wanted. */
  range?: readonly [from: number, to: number];
  signal: AbortSignal;
}>;

/** An answer, with the address that gave it. */
export type Answer = Readonly<{ response: Response; url: URL }>;

/**
 * Follows redirects until `stop` says that an answer will do, or one is none. Throws NetworkTrouble
 * when nobody answers, and the signal's reason when it was aborted.
 */
export const ask = async (
  hub: Hub,
  address: URL,
  options: Ask,
  stop: (answer: Answer) => boolean = () => false,
): Promise<Answer> => {
  let url = address;
  for (let i = 0; i <= redirects_max; i++) {
    const response = await send(hub, url, options);
    const next = redirectOf(response, url);
    if (next === undefined || stop({ response, url })) return { response, url };
    await response.body?.cancel();
    url = next;
  }
  throw new Failure("model.redirects", `${quoted(address.host)} redirects without end.`);
};

/** Where an answer sends us, if it does. */
export const redirectOf = (response: Response, url: URL): URL | undefined => {
  const to = response.headers.get("location");
  if (![301, 302, 303, 307, 308].includes(response.status) || to === null) return undefined;
  const next = URL.canParse(to, url.href) ? new URL(to, url) : undefined;
  const isLess = url.protocol === "https:" && next?.protocol !== "https:";
  if (next === undefined || !/^https?:$/.test(next.protocol) || isLess) {
    throw new Failure(
      "model.redirects",
      `${quoted(url.host)} redirects to an address that is not followed.`,
    );
  }
  return next;
};

/** Nobody answered, or the line broke: worth another try. */
export class NetworkTrouble extends Error {
  override readonly name = "NetworkTrouble";
  readonly host: string;

  constructor(host: string, cause: unknown) {
    super(`no answer from ${host}`, { cause });
    this.host = host;
  }
}

/** Ends a try when nothing has come for a while: a line that is silent for ever is a broken one. */
export class Idle implements Disposable {
  readonly #stop = new AbortController();
  readonly #limit_ms: number;
  readonly #host: string;
  readonly signal: AbortSignal;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(signal: AbortSignal, limit_ms: number, host: string) {
    this.#limit_ms = limit_ms;
    this.#host = host;
    this.signal = AbortSignal.any([signal, this.#stop.signal]);
    this.touch();
  }

  /** Something came. */
  touch(): void {
    clearTimeout(this.#timer);
    const why = new Error(`nothing came for ${this.#limit_ms} ms`);
    this.#timer = setTimeout(
      () => this.#stop.abort(new NetworkTrouble(this.#host, why)),
      this.#limit_ms,
    );
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

const send = async (hub: Hub, url: URL, { method, range, signal }: Ask): Promise<Response> => {
  const headers = new Headers({ "accept-encoding": "identity", "user-agent": "framepack" });
  if (range !== undefined) headers.set("range", `bytes=${range[0]}-${range[1]}`);
  if (hub.token !== undefined && url.origin === hub.origin) {
    headers.set("authorization", `Bearer ${hub.token}`);
  }
  try {
    return await fetch(url, { method, headers, signal, redirect: "manual", decompress: false });
  } catch (cause) {
    signal.throwIfAborted();
    throw new NetworkTrouble(url.host, cause);
  }
};
