// A run of bytes of a remote file, asked for at once and read as it comes. A line that breaks is
// taken up where it broke, so that nothing is fetched twice.

import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { Passing, refuse } from "./refusals.ts";
import { type Line, type RemoteFile, remoteFile } from "./remote-file.ts";
import { type Answer, ask, Idle, NetworkTrouble } from "./request.ts";
import { trying } from "./retry.ts";

/** Where a file's bytes are; replaced when a signed address has ended. */
export class Source {
  readonly file: RemoteFile;
  readonly #line: Line;
  url: URL;
  #renewal: Promise<void> | undefined;

  constructor(line: Line, file: RemoteFile) {
    this.#line = line;
    this.file = file;
    this.url = file.url;
  }

  /** Asks the hub anew; ranges that need it together ask once. */
  renew(): Promise<void> {
    this.#renewal ??= this.#ask().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #ask(): Promise<void> {
    const now = await remoteFile(this.#line, this.file);
    if (now.etag !== this.file.etag || now.bytes !== this.file.bytes) {
      const { repo, path } = this.file;
      const what = quoted(`${repo}/${path}`, 200);
      throw new Failure("model.changed", `${what} changed on the hub while it was fetched.`, {
        hint: "Run the same command again.",
      });
    }
    this.url = now.url;
  }
}

export class Range {
  readonly from: number;
  readonly to: number;
  /** Resolves when all of it came; rejects when it cannot be had. */
  readonly done: Promise<void>;
  #received = 0;
  #parts: Uint8Array[] = [];
  #isOver = false;
  #wake: () => void = () => undefined;

  /** Starts fetching bytes `from` up to but not including `to`. */
  constructor(
    line: Line,
    source: Source,
    range: Readonly<{ from: number; to: number }>,
    onBytes: (bytes: number) => void,
  ) {
    this.from = range.from;
    this.to = range.to;
    const fetched = trying(() => this.#fetch(line, source, onBytes), {
      ...line,
      progress: () => this.#received,
    });
    this.done = fetched.finally(() => {
      this.#isOver = true;
      this.#wake();
    });
    // Whoever takes the parts awaits it; until then a failure must not count as unhandled.
    this.done.catch(() => undefined);
  }

  /** What came since the last call, waiting for something to come; empty at the end. */
  async take(): Promise<readonly Uint8Array[]> {
    if (this.#parts.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#parts.length === 0) await this.done;
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  async #fetch(line: Line, source: Source, onBytes: (bytes: number) => void): Promise<void> {
    const { hub, retry } = line;
    const first = this.from + this.#received;
    using idle = new Idle(line.signal, retry.idle_ms, source.url.host);
    const range = [first, this.to - 1] as const;
    const answer = await ask(hub, source.url, { method: "GET", range, signal: idle.signal });
    const { response, url } = answer;
    if (!response.ok) {
      await response.body?.cancel();
      // Elsewhere than at the hub this means that the address we were given has ended.
      if (url.origin === hub.origin || ![401, 403, 404, 410].includes(response.status)) {
        refuse(hub, url, response, source.file);
      }
      await source.renew();
      throw new Passing(ended(url));
    }
    checkAnswer(answer, source.file, range);
    for await (const part of readable(answer)) {
      idle.touch();
      if (this.#received + part.length > this.to - this.from) throw wrongSize(source.file, url);
      this.#received += part.length;
      this.#parts.push(part);
      onBytes(part.length);
      this.#wake();
    }
    line.signal.throwIfAborted();
    if (this.#received < this.to - this.from) {
      throw new NetworkTrouble(url.host, new Error("the answer ended early"));
    }
  }
}

const readable = async function* ({ response, url }: Answer): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  try {
    yield* response.body;
  } catch (cause) {
    if (cause instanceof NetworkTrouble) throw cause;
    throw new NetworkTrouble(url.host, cause);
  }
};

/** The answer must be about the bytes that were asked for, of a file of the size that was promised. */
const checkAnswer = (
  { response, url }: Answer,
  file: RemoteFile,
  [first, last]: readonly [number, number],
): void => {
  const isWhole = first === 0 && last === file.bytes - 1;
  if (response.status === 200 && isWhole) {
    const length = response.headers.get("content-length");
    if (length !== null && Number(length) !== file.bytes) throw wrongSize(file, url);
    return;
  }
  const given = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
  if (response.status !== 206 || given === null) {
    throw new Failure("model.hub-answer", `${quoted(url.host)} cannot give parts of a file.`, {
      hint: "Check HF_ENDPOINT and the proxy.",
    });
  }
  const [, from, to, total] = given;
  if (total !== "*" && Number(total) !== file.bytes) throw wrongSize(file, url);
  if (Number(from) !== first || Number(to) !== last) {
    const text = `${quoted(url.host)} gives other bytes than it was asked for.`;
    throw new Failure("model.hub-answer", text, { hint: "Check HF_ENDPOINT and the proxy." });
  }
};

const wrongSize = ({ repo, path, bytes }: RemoteFile, url: URL): Failure =>
  new Failure(
    "model.size",
    `${quoted(`${repo}/${path}`, 200)} from ${quoted(url.host)} has not the ${bytes} bytes that the hub promises.`,
    { hint: "Nothing wrong was kept; try again later, or check HF_ENDPOINT." },
  );

const ended = (url: URL): Failure =>
  new Failure(
    "model.hub-error",
    `${quoted(url.host)} does not give out what the hub sends us to.`,
    {
      hint: "Run the same command again; what is fetched already is kept.",
    },
  );
