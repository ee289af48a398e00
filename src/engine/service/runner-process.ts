// The engine's end of the computing process: starts it, talks to it, and says what killed it when it dies.
// Nothing of the queue lives here.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { JobEvent } from "../events.ts";
import type { FailureId } from "../failure.ts";
import { callerEnvironment, type JobEnvironment } from "./environment.ts";
import type { FromRunner, ToRunner } from "./runner-messages.ts";

/** Why the process is no more. */
export type RunnerDeath = Readonly<{ id: FailureId; message: string; hint: string | null }>;

export type RunnerHandlers = Readonly<{
  event: (job: string, event: JobEvent) => void;
  idle: (job: string) => void;
  died: (death: RunnerDeath) => void;
}>;

/** What the engine needs of a computing process; tests put their own in its place. */
export type Runner = Readonly<{
  send: (message: ToRunner) => void;
  kill: () => void;
  /** Resident bytes, for the memory gauge between events. */
  pid: number;
}>;

export type StartRunner = (handlers: RunnerHandlers, environment: JobEnvironment) => Runner;

export const startRunnerProcess: StartRunner = (handlers, environment) => {
  const before = oomKills();
  let peakBytes = 0;
  let asked = false;
  const child = Bun.spawn(
    [process.execPath, fileURLToPath(new URL("runner.ts", import.meta.url))],
    {
      stdin: "ignore",
      env: { ...withoutOurs(process.env), ...environment },
      // What a library prints must not reach a client; the engine's own streams are its log.
      stdout: "inherit",
      stderr: "inherit",
      serialization: "json",
      ipc: (message: FromRunner) => {
        if (message.type === "idle") handlers.idle(message.job);
        else {
          if (message.event.type === "memory")
            peakBytes = Math.max(peakBytes, message.event.rssPeak);
          handlers.event(message.job, message.event);
        }
      },
      onExit: (_process, code, signal) => {
        if (asked && signal === null && code === 0) return;
        handlers.died(deathOf(code, signal, oomKills() > before, peakBytes));
      },
    },
  );
  return {
    pid: child.pid,
    send: (message) => {
      if (message.type === "exit") asked = true;
      if (child.exitCode === null && child.signalCode === null) child.send(message);
    },
    kill: () => {
      asked = true;
      child.kill("SIGKILL");
    },
  };
};

/** The engine's own variables less those that a job brings itself: unset there must mean unset here. */
const withoutOurs = (env: Readonly<Record<string, string | undefined>>): Record<string, string> => {
  const ours = callerEnvironment(env);
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !(entry[0] in ours),
    ),
  );
};

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

export const deathOf = (
  code: number | null,
  signal: number | string | null,
  oomKilled: boolean,
  peakBytes: number,
): RunnerDeath => {
  const peak = peakBytes > 0 ? `, peak ${gigabytes(peakBytes)}` : "";
  if (oomKilled) {
    const limit = memoryLimit();
    const what = limit === null ? "out of memory" : `memory limit ${gigabytes(limit)}`;
    return {
      id: "fit.killed",
      message: `The engine's computing process was killed by the kernel: ${what}${peak}.`,
      hint: "Give it less with --ram, close other programs, or raise the limit; finished sections are kept.",
    };
  }
  if (signal !== null) {
    const maybe = signal === "SIGKILL" ? " (somebody, or the kernel for want of memory)" : "";
    return {
      id: "checkpointed.killed",
      message: `The engine's computing process was killed by ${signal}${maybe}${peak}.`,
      hint: "framepack resume goes on from the last finished section.",
    };
  }
  return {
    id: "checkpointed.died",
    message: `The engine's computing process ended by itself with exit code ${code}.`,
    hint: "The engine's log says more; framepack resume goes on from the last finished section.",
  };
};

/** How often the kernel has killed something in our control group; 0 where it cannot be read. */
const oomKills = (): number => {
  const text = readCgroup("memory.events");
  const found = /^oom_kill (\d+)$/m.exec(text ?? "");
  return found === null ? 0 : Number(found[1]);
};

const memoryLimit = (): number | null => {
  const text = readCgroup("memory.max")?.trim();
  return text === undefined || text === "max" ? null : Number(text);
};

/** A file of our version 2 control group, or null where there is none. */
const readCgroup = (name: string): string | null => {
  try {
    const own = /^0::(\/.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
    return own === undefined ? null : readFileSync(`/sys/fs/cgroup${own}/${name}`, "utf8");
  } catch {
    // No control groups, or version 1: the kernel's verdict is then only a signal number.
    return null;
  }
};
