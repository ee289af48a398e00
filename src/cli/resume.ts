// framepack resume [JOB]: goes on with a job that was stopped or cut off, from its last finished section.

import { version } from "../../package.json";
import { EngineClient } from "../engine/client.ts";
import { exitCodes } from "../engine/failure.ts";
import { chosenJob } from "./chosen-job.ts";
import { parseFlags, toggle } from "./flags.ts";
import { followInForeground } from "./foreground.ts";

const resumeFlags = {
  detach: toggle("do not watch; the engine goes on with it"),
  json: toggle("one line of JSON an event"),
  quiet: toggle("nothing but the video's path and errors"),
};

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags, rest } = parseFlags("resume", resumeFlags, args, { usage: "[JOB]", rest_max: 1 });
  const job = await resumed(rest[0]);
  if (flags.detach) {
    console.log(job);
    return exitCodes.ok;
  }
  const options = { json: flags.json ?? false, quiet: flags.quiet ?? false };
  return (await followInForeground(job, options)).code;
};

const resumed = async (word: string | undefined): Promise<string> => {
  using client = await EngineClient.connect({}, { start: true, version, name: "resume" });
  const job = await chosenJob(client, "resume", word, ["interrupted", "failed", "cancelled"]);
  await client.request({ type: "resume", job });
  return job;
};
