// A few tries with growing pauses for what may be gone in a moment. A try that got somewhere starts
// the count anew: a long download over a bad line is many short successes.

import { givenUp, Passing } from "./refusals.ts";
import { NetworkTrouble } from "./request.ts";

export type Retry = Readonly<{
  tries: number;
  first_ms: number;
  /** How long a line may be silent. */
  idle_ms: number;
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
}>;

export const patience: Retry = {
  tries: 5,
  first_ms: 500,
  idle_ms: 30_000,
  wait: (ms, signal) =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", stop);
        resolve();
      }, ms);
      signal.addEventListener("abort", stop, { once: true });
    }),
};

/** `progress` counts whatever shows that a try got somewhere. */
export const trying = async <T>(
  act: () => Promise<T>,
  options: Readonly<{ retry: Retry; signal: AbortSignal; progress?: () => number }>,
): Promise<T> => {
  const { retry, signal, progress = () => 0 } = options;
  let failed = 0;
  for (;;) {
    signal.throwIfAborted();
    const before = progress();
    try {
      return await act();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Passing || error instanceof NetworkTrouble)) throw error;
      failed = progress() > before ? 1 : failed + 1;
      if (failed >= retry.tries) throw givenUp(error);
      const least = error instanceof Passing ? error.wait_ms : 0;
      await retry.wait(Math.max(least, retry.first_ms * 2 ** (failed - 1)), signal);
    }
  }
};
