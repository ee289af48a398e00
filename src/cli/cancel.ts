// framepack cancel JOB: stops a running job after its block, or takes a queued one out. What is finished stays.

import { version } from "../../package.json";
import { EngineClient } from "../engine/client.ts";
import { exitCodes } from "../engine/failure.ts";
import { chosenJob } from "./chosen-job.ts";
import { parseFlags } from "./flags.ts";
import { say } from "./say.ts";

export const run = async (args: readonly string[]): Promise<number> => {
  const { rest } = parseFlags("cancel", {}, args, { usage: "[JOB]", rest_max: 1 });
  using client = await EngineClient.connect({}, { start: true, version, name: "cancel" });
  const job = await chosenJob(client, "cancel", rest[0], ["running", "queued", "interrupted"]);
  await client.request({ type: "cancel", job });
  say(`Job ${job} is told to stop.`);
  return exitCodes.ok;
};
