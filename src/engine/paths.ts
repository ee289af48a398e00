// Where framepack keeps its files (XDG base directories). Only names are made here; nothing is read or created.

import { homedir } from "node:os";
import { join } from "node:path";

const base = (variable: string, fallback: string): string => {
  const value = process.env[variable];
  // The XDG specification: a relative path there is invalid and must be ignored.
  return value?.startsWith("/") ? value : join(homedir(), fallback);
};

/** User configuration: config.toml and presets/. */
export const configDir = (): string => join(base("XDG_CONFIG_HOME", ".config"), "framepack");

/** Jobs, checkpoints, logs: what outlives the engine. */
export const stateDir = (): string => join(base("XDG_STATE_HOME", ".local/state"), "framepack");

/** The engine's socket and lock; gone after a reboot. Falls back to the state folder where no runtime dir is given. */
export const runtimeDir = (): string => {
  const value = process.env.XDG_RUNTIME_DIR;
  return value?.startsWith("/") ? join(value, "framepack") : join(stateDir(), "run");
};

export const socketPath = (): string => join(runtimeDir(), "engine.sock");
export const lockPath = (): string => join(runtimeDir(), "engine.lock");
export const jobsDatabasePath = (): string => join(stateDir(), "jobs.sqlite");
export const logPath = (): string => join(stateDir(), "engine.log");

/** Checkpoints and partial files of one job. */
export const jobDir = (id: string): string => join(stateDir(), "jobs", id);
