// What the environment says about the hub: which one, with which token, or none at all. The token
// is for the endpoint's own origin; nothing else may read it from here.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Environment, expand, hubHome } from "../config/cache.ts";
import { Failure } from "../failure.ts";

export type Hub = Readonly<{
  /** Without a slash at its end. */
  endpoint: string;
  /** Host and port, for messages: an address may carry a password. */
  host: string;
  origin: string;
  token: string | undefined;
  isOffline: boolean;
}>;

export const hubOf = (env: Environment = process.env): Hub => {
  const text = env.HF_ENDPOINT || "https://huggingface.co";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw new Failure("usage.endpoint", "HF_ENDPOINT is no plain http or https address.", {
      hint: "For example HF_ENDPOINT=https://huggingface.co.",
    });
  }
  const endpoint = `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  const isOffline = /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE?.trim() ?? "");
  return { endpoint, host: url.host, origin: url.origin, token: tokenOf(env), isOffline };
};

/** HF_TOKEN, else what HF_TOKEN_PATH or HF_HOME/token holds. */
const tokenOf = (env: Environment): string | undefined => {
  const given = env.HF_TOKEN?.trim();
  if (given) return checked(given, "HF_TOKEN");
  const path = env.HF_TOKEN_PATH ? expand(env.HF_TOKEN_PATH) : join(hubHome(env), "token");
  const stored = readIfThere(path);
  return stored === "" ? undefined : checked(stored, "the token file");
};

const readIfThere = (path: string): string => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    // No login, which all published models can do without.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new Failure("usage.token", "The file with the hub's token cannot be read.", {
      hint: "HF_TOKEN_PATH says where it lies.",
      cause: error,
    });
  }
};

const checked = (token: string, where: string): string => {
  if (/^[\x21-\x7e]{1,1000}$/.test(token)) return token;
  throw new Failure("usage.token", `What ${where} holds is no token of the hub.`);
};
