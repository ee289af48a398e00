// framepack attach [JOB]: watch a job, from where it stands. Leaving with Ctrl-C leaves the job running.

import { version } from "../../package.json";
import { EngineClient } from "../engine/client.ts";
import { chosenJob } from "./chosen-job.ts";
import { parseFlags, toggle } from "./flags.ts";
import { followInForeground } from "./foreground.ts";

const attachFlags = {
  json: toggle("one line of JSON an event"),
  quiet: toggle("nothing but the video's path and errors"),
};

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags, rest } = parseFlags("attach", attachFlags, args, { usage: "[JOB]", rest_max: 1 });
  const job = await named(rest[0]);
  const options = { json: flags.json ?? false, quiet: flags.quiet ?? false };
  return (await followInForeground(job, options)).code;
};

const named = async (word: string | undefined): Promise<string> => {
  if (word !== undefined) return word;
  using client = await EngineClient.connect({}, { start: true, version, name: "attach" });
  return chosenJob(client, "attach", undefined, ["running", "queued"]);
};
