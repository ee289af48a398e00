// framepack jobs: the queue and what ran before. Reads from the engine; where none runs, from one started for it.

import { z } from "zod";
import { version } from "../../package.json";
import { EngineClient } from "../engine/client.ts";
import { exitCodes } from "../engine/failure.ts";
import { playableFile } from "../engine/job-view.ts";
import { jsonLine, printable } from "../engine/printable.ts";
import type { JobSummary } from "../engine/protocol.ts";
import { number, parseFlags, toggle } from "./flags.ts";
import { say } from "./say.ts";

const jobsFlags = {
  limit: number("N", "at most this many (20)", z.int().min(1).max(1000)),
  json: toggle("one line of JSON a job"),
};

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags } = parseFlags("jobs", jobsFlags, args);
  using client = await EngineClient.connect({}, { start: true, version, name: "jobs" });
  const { jobs = [] } = await client.request({ type: "list", limit: flags.limit ?? 20 });
  if (flags.json) for (const job of jobs) console.log(jsonLine(plain(job)));
  else if (jobs.length === 0) say("There are no jobs.");
  else for (const job of jobs) console.log(lineOf(job));
  return exitCodes.ok;
};

/** What a script wants of a job: no pictures. */
const plain = ({ id, state, place, createdAt, startedAt, endedAt, recipe, view }: JobSummary) => ({
  id,
  state,
  place,
  createdAt,
  startedAt,
  endedAt,
  sections: view.plan?.sections ?? null,
  sectionsDone: view.sections.length,
  frames: view.plan?.frames ?? null,
  file: playableFile(view),
  error: view.failed === null ? null : { id: view.failed.id, message: view.failed.message },
  recipe,
});

const lineOf = (job: JobSummary): string => {
  const { plan, sections } = job.view;
  const done = plan === null ? "" : `${sections.length}/${plan.sections}`;
  const file = playableFile(job.view);
  const words = printable(job.recipe.prompt, 60);
  return [
    job.id.padEnd(16),
    job.state.padEnd(12),
    done.padEnd(7),
    words,
    printable(file ?? "", 4096),
  ]
    .join(" ")
    .trimEnd();
};
