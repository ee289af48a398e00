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
  // What runs comes first in the list: it is meant when nothing is named.
  const running = fitting.filter((job) => job.state === "running");
  const candidates = running.length > 0 ? running : fitting;
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) return only.id;
  const why =
    candidates.length === 0
      ? `There is no job to ${verb}.`
      : `There are ${candidates.length} jobs to ${verb}; name one.`;
  throw new Failure("usage.job", why, { hint: "framepack jobs lists them." });
};
