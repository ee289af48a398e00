// What the hub's refusals and broken lines mean to a user: one Failure each, and which are worth
// another try, when.

import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import type { Hub } from "./endpoint.ts";
import { NetworkTrouble } from "./request.ts";

/** What is being fetched, for messages. */
export type Wanted = Readonly<{ repo: string; revision: string; path: string }>;

/** A failure that may be gone in a moment. */
export class Passing extends Error {
  override readonly name = "Passing";
  readonly failure: Failure;
  /** The least to wait, where the other side said so. */
  readonly wait_ms: number;

  constructor(failure: Failure, wait_ms = 0) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.wait_ms = wait_ms;
  }
}

/** Throws unless the answer is a success. */
export const refuse = (hub: Hub, url: URL, response: Response, wanted: Wanted): never => {
  const { status, headers } = response;
  const file = quoted(`${wanted.repo}/${wanted.path}`, 200);
  const host = quoted(url.host, 100);
  if (status === 429) throw tooMany(headers.get("retry-after"), host);
  if (status >= 500 || status === 408) {
    const text = `${host} answered ${status} when asked for ${file}.`;
    const hint = "It may be better in a while; what is fetched already is kept.";
    throw new Passing(new Failure("model.hub-error", text, { hint }));
  }
  if (status === 401) throw unauthorized(hub, host, file);
  if (status === 403) {
    throw new Failure("model.forbidden", `${host} does not give out ${file} (403).`, {
      hint: `Accept its terms at ${hub.endpoint}/${wanted.repo} and set HF_TOKEN, or try later.`,
    });
  }
  if (status === 404) throw absent(headers.get("x-error-code"), host, wanted);
  throw new Failure("model.hub-answer", `${host} answered ${status} when asked for ${file}.`);
};

/** The last word about something that was tried a few times. */
export const givenUp = (error: unknown): unknown => {
  if (error instanceof Passing) return error.failure;
  if (!(error instanceof NetworkTrouble)) return error;
  return new Failure("model.unreachable", `${quoted(error.host, 100)} cannot be reached.`, {
    hint: "Check the network, HF_ENDPOINT and the proxy; what is fetched already is kept.",
    cause: error,
  });
};

const unauthorized = ({ token, endpoint }: Hub, host: string, file: string): Failure =>
  token === undefined
    ? new Failure("model.unauthorized", `${host} wants a token for ${file} (401).`, {
        hint: `Make one at ${endpoint}/settings/tokens and set HF_TOKEN.`,
      })
    : new Failure("model.unauthorized", `${host} does not accept the token (401).`, {
        hint: "Unset HF_TOKEN, or give a valid one; the published models need none.",
      });

const absent = (code: string | null, host: string, wanted: Wanted): Failure => {
  const { repo, revision, path } = wanted;
  if (code === "RevisionNotFound") {
    const text = `${host} has no revision ${quoted(revision, 60)} of ${quoted(repo, 100)} (404).`;
    return new Failure("model.not-on-hub", text, {
      hint: "framepack models pull --latest takes what is newest instead.",
    });
  }
  if (code === "RepoNotFound") {
    return new Failure("model.not-on-hub", `${host} has no ${quoted(repo, 100)} (404).`, {
      hint: "It may have been renamed or made private.",
    });
  }
  const file = quoted(`${repo}/${path}`, 200);
  return new Failure("model.not-on-hub", `${host} has no ${file} (404).`, {
    hint: "Check HF_ENDPOINT; a mirror may lack it.",
  });
};

const retry_after_max_s = 120;

const tooMany = (after: string | null, host: string): Passing | Failure => {
  const seconds = secondsOf(after);
  const wait = seconds === undefined ? "" : ` for ${seconds} s`;
  const failure = new Failure("model.rate-limited", `${host} wants a pause${wait} (429).`, {
    hint: "Run it again later; what is fetched already is kept.",
  });
  if (seconds !== undefined && seconds > retry_after_max_s) return failure;
  return new Passing(failure, (seconds ?? 0) * 1000);
};

/** Retry-After holds seconds or a date. */
const secondsOf = (after: string | null): number | undefined => {
  if (after === null) return undefined;
  if (/^\d{1,9}$/.test(after.trim())) return Number(after);
  const at = Date.parse(after);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - Date.now()) / 1000));
};
