// The interface itself on a pseudo-terminal, in folders of its own, so that no test meets another's engine or a person's.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Message, protocolVersion } from "../../src/engine/protocol.ts";
import { type Profile, Pty } from "./pty.ts";
import { ScratchFolder } from "./scratch-folder.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const main = join(root, "src/main.ts");

/** The folders that one engine and its clients share. */
export class Home implements AsyncDisposable {
  readonly folder = new ScratchFolder();
  readonly runtime = join(this.folder.path, "run");
  readonly out = join(this.folder.path, "out");

  constructor() {
    for (const path of [this.runtime, this.out]) mkdirSync(path, { mode: 0o700 });
  }

  get env(): Record<string, string> {
    return {
      XDG_RUNTIME_DIR: this.runtime,
      XDG_STATE_HOME: join(this.folder.path, "state"),
      XDG_CONFIG_HOME: join(this.folder.path, "config"),
      FRAMEPACK_OUT: this.out,
    };
  }

  /** Runs a verb in these folders to its end. */
  async verb(...args: readonly string[]): Promise<Readonly<{ code: number; out: string }>> {
    const child = Bun.spawn([process.execPath, main, ...args], {
      cwd: root,
      env: { ...process.env, ...this.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [code, out] = await Promise.all([child.exited, new Response(child.stdout).text()]);
    return { code, out };
  }

  /** The process of the engine that listens here, or null. */
  async enginePid(): Promise<number | null> {
    const reply = await this.#ask({ type: "hello", client: "test", version: "test" });
    return reply?.engine?.pid ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pid = await this.enginePid();
    if (pid !== null && pid !== process.pid) {
      process.kill(pid, "SIGKILL");
      await untilGone(pid);
    }
    this.folder[Symbol.dispose]();
  }

  async #ask(
    command: Readonly<Record<string, unknown>>,
  ): Promise<Extract<Message, { type: "reply" }> | null> {
    const answer = Promise.withResolvers<Extract<Message, { type: "reply" }> | null>();
    let text = "";
    try {
      const socket = await Bun.connect({
        unix: join(this.runtime, "framepack", "engine.sock"),
        socket: {
          data: (_socket, bytes) => {
            text += bytes.toString();
            const line = text.split("\n").find((one) => one.includes('"type":"reply"'));
            if (line !== undefined && text.includes(`${line}\n`)) answer.resolve(JSON.parse(line));
          },
          close: () => answer.resolve(null),
          error: () => answer.resolve(null),
        },
      });
      socket.write(`${JSON.stringify({ v: protocolVersion, id: 1, ...command })}\n`);
      const reply = await answer.promise;
      socket.end();
      return reply;
    } catch {
      // No socket: no engine was started here, or it is gone.
      return null;
    }
  }
}

export type InterfaceOptions = Readonly<{
  profile?: Profile;
  columns?: number;
  rows?: number;
  env?: Readonly<Record<string, string | undefined>>;
  args?: readonly string[];
  /** The folder it is started in; the project's by default. */
  cwd?: string;
  /** A module that is run in the program before its own. */
  preload?: string;
}>;

/** `framepack` on a terminal of the given kind. */
export const openInterface = (home: Home, options: InterfaceOptions = {}): Pty => {
  const { args = [], env = {}, preload, ...terminal } = options;
  const before = preload === undefined ? [] : ["--preload", join(root, preload)];
  // As the launcher does.
  const flags = ["--no-env-file", `--config=${join(root, "bunfig.toml")}`, ...before];
  return new Pty([process.execPath, ...flags, main, ...args], {
    cwd: root,
    ...terminal,
    env: { NODE_ENV: "production", ...home.env, ...env },
  });
};

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
};

export const untilGone = async (pid: number): Promise<void> => {
  const deadline = performance.now() + 15_000;
  while (isAlive(pid)) {
    if (performance.now() > deadline) throw new Error(`process ${pid} does not end`);
    await Bun.sleep(10);
  }
};

/** Keys by name, as a terminal sends them. */
export const keys = {
  up: "\u001b[A",
  down: "\u001b[B",
  right: "\u001b[C",
  left: "\u001b[D",
  enter: "\r",
  altEnter: "\u001b\r",
  escape: "\u001b",
  tab: "\t",
  shiftTab: "\u001b[Z",
  backspace: "\u007f",
  f1: "\u001bOP",
  control: (letter: string): string => String.fromCharCode(letter.charCodeAt(0) & 31),
  alt: (key: string): string => `\u001b${key}`,
  paste: (text: string): string => `\u001b[200~${text}\u001b[201~`,
} as const;
