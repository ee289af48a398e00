// `framepack engine`: the process that owns the queue and computes. Started on demand by every other verb, by hand only to
// watch its log. It ends by itself when idle.

import { z } from "zod";
import { version } from "../../package.json";
import { exitCodes } from "../engine/failure.ts";
import { jobsDatabasePath, lockPath, logPath, socketPath } from "../engine/paths.ts";
import { Engine } from "../engine/service/engine.ts";
import { JobStore } from "../engine/service/job-store.ts";
import { openLog } from "../engine/service/log.ts";
import { startRunnerProcess } from "../engine/service/runner-process.ts";
import { serve, takeEngineLock } from "../engine/service/server.ts";
import { realServices } from "../engine/service/services.ts";
import { number, parseFlags } from "./flags.ts";
import { say } from "./say.ts";

const flags = {
  keepAlive: number(
    "SECONDS",
    "how long models stay warm, and the engine alive, after the last job (300)",
    z.number().min(0).max(86_400),
  ),
  silence: number(
    "SECONDS",
    "how long the computing process may say nothing before that is reported (120)",
    z.number().min(1).max(86_400),
  ),
};

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags: given } = parseFlags("engine", flags, args);
  const lock = takeEngineLock(lockPath());
  if (lock === null) {
    // Two clients started one each: the other engine won, and both clients will find it.
    say("framepack: an engine runs already.");
    return exitCodes.ok;
  }
  using _held = lock;
  const log = openLog(logPath());
  using store = new JobStore(jobsDatabasePath());
  let terminated = false;
  const over = Promise.withResolvers<void>();
  const engine = new Engine({
    store,
    services: realServices(),
    startRunner: startRunnerProcess,
    log,
    version,
    keepAliveMs: (given.keepAlive ?? keepAliveFromEnvironment()) * 1000,
    silenceMs: (given.silence ?? 120) * 1000,
    onIdle: over.resolve,
  });
  await using _server = serve({ engine, log, socketPath: socketPath() });
  log.write("info", "engine started", { pid: process.pid, version });
  const stop = (): void => {
    terminated = true;
    void engine.close();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", () => undefined);
  await over.promise;
  log.write("info", "engine ended", { terminated });
  return terminated ? exitCodes.terminated : exitCodes.ok;
};

const keepAliveFromEnvironment = (): number => {
  const seconds = Number(process.env.FRAMEPACK_KEEP_ALIVE ?? 300);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : 300;
};
