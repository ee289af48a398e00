// Which job a verb means: the one named, else the only one in a state that fits.

import type { EngineClient } from "../engine/client.ts";
import { Failure } from "../engine/failure.ts";
import type { JobState } from "../engine/protocol.ts";

export const chosenJob = async (
  client: EngineClient,
  verb: string,
  named: string | undefined,
  states: readonly JobState[],
): Promise<string> => {
  if (named !== undefined) return named;
  const { jobs = [] } = await client.request({ type: "list", limit: 200 });
  const fitting = jobs.filter((job) => states.includes(job.state));
  // States in order of what is most likely meant: the first that any job is in decides.
  const state = states.find((one) => fitting.some((job) => job.state === one));
  const candidates = fitting.filter((job) => job.state === state);
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) return only.id;
  const why =
    candidates.length === 0
      ? `There is no job to ${verb}.`
      : `There are ${candidates.length} jobs to ${verb}; name one.`;
  throw new Failure("usage.job", why, { hint: "framepack jobs lists them." });
};
