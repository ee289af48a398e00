// Ctrl-C, SIGTERM and a lost terminal. The first asks the job to stop after its block; then the
// system's own handling comes back, so that a second one ends the process at once, whatever it
// does.

import { exitCodes, Failure } from "../engine/failure.ts";

const reasons = {
  SIGINT: new Failure("interrupted.by-user", "The job was stopped by Ctrl-C."),
  SIGTERM: new Failure("terminated.by-system", "The job was stopped by the system (SIGTERM)."),
  SIGHUP: new Failure("terminated.terminal-lost", "The terminal went away (SIGHUP)."),
} as const;

export type StopSignal = keyof typeof reasons;
const names = Object.keys(reasons) as readonly StopSignal[];

/** Aborts `stop` at the first signal and tells which; disposing restores what was. */
export const stopOnSignals = (
  stop: AbortController,
  stopped: (signal: StopSignal) => void,
): Disposable => {
  const take = (signal: NodeJS.Signals): void => {
    release();
    const name = signal as StopSignal;
    stop.abort(reasons[name]);
    stopped(name);
  };
  const release = (): void => {
    for (const name of names) process.removeListener(name, take);
  };
  for (const name of names) process.on(name, take);
  return { [Symbol.dispose]: release };
};

/** The exit code of a job that was stopped by `signal`. */
export const stopCode = (signal: AbortSignal): number =>
  signal.reason instanceof Failure ? signal.reason.code : exitCodes.interrupted;
