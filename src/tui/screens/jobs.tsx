// The queue and what ran before, newest first; the selected job with its picture beside the list where there is room.

import { Box, Text } from "ink";
import { type ReactElement, useMemo } from "react";
import { playableFile } from "../../engine/job-view.ts";
import { printable } from "../../engine/printable.ts";
import type { JobSummary } from "../../engine/protocol.ts";
import { PictureView } from "../components/picture-view.tsx";
import { fitCells, splitFrames } from "../pictures/picture.ts";
import type { State } from "../state.ts";
import { type Tone, tone } from "../theme.ts";
import { ago, duration, fit } from "../words.ts";
import { doneShare } from "./run.tsx";

const tones: Readonly<Record<JobSummary["state"], Tone>> = {
  running: "accent",
  queued: "plain",
  finished: "good",
  failed: "bad",
  cancelled: "dim",
  interrupted: "warn",
};

export const Jobs = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const { jobs, size } = state;
  if (jobs.length === 0) {
    return (
      <Box paddingX={1}>
        <Text>No jobs yet. Alt-1 writes one.</Text>
      </Box>
    );
  }
  const selected = Math.min(state.selected.jobs, jobs.length - 1);
  const wide = size.columns >= 100;
  const listWidth = wide ? Math.floor(size.columns * 0.6) : size.columns - 2;
  const rows = size.rows - (wide ? 5 : 10);
  const from = Math.max(0, Math.min(selected - Math.floor(rows / 2), jobs.length - rows));
  const job = jobs[selected];
  return (
    <Box flexDirection={wide ? "row" : "column"} paddingX={1} columnGap={2}>
      <Box flexDirection="column" width={listWidth} height={rows}>
        {jobs.slice(from, from + rows).map((one) => (
          <Row key={one.id} job={one} selected={one === job} width={listWidth} now={state.now} />
        ))}
      </Box>
      {job === undefined ? null : <Detail job={job} state={state} wide={wide} />}
    </Box>
  );
};

type RowProps = Readonly<{ job: JobSummary; selected: boolean; width: number; now: number }>;

const Row = ({ job, selected, width, now }: RowProps): ReactElement => {
  const when = stateWords(job, now).padEnd(20);
  const prompt = printable(job.recipe.prompt === "" ? "(no prompt)" : job.recipe.prompt);
  return (
    <Text wrap="truncate" {...(selected ? { inverse: true } : {})}>
      <Text {...tone(tones[job.state])}>{` ${job.state.padEnd(11)} `}</Text>
      <Text {...tone("dim")}>{when}</Text>
      {fit(prompt, Math.max(8, width - 34))}
    </Text>
  );
};

const stateWords = (job: JobSummary, now: number): string => {
  switch (job.state) {
    case "running": {
      const left = job.view.step?.jobLeftMs;
      const percent = `${Math.floor(doneShare(job.view) * 100)} %`;
      return left == null ? percent : `${percent}, ${duration(left)} left`;
    }
    case "queued":
      return `place ${(job.place ?? 0) + 1}`;
    default:
      return ago(now - (job.endedAt ?? job.createdAt));
  }
};

const Detail = (
  props: Readonly<{ job: JobSummary; state: State; wide: boolean }>,
): ReactElement => {
  const { job, state, wide } = props;
  const { size, capabilities } = state;
  const thumbnails = job.view.sections.findLast((s) => s.thumbnails !== null)?.thumbnails ?? null;
  const frames = useMemo(() => (thumbnails === null ? [] : splitFrames(thumbnails)), [thumbnails]);
  const columns_max = wide ? Math.floor(size.columns * 0.4) - 6 : 24;
  const first = frames[0];
  const box =
    first === undefined
      ? null
      : fitCells(first, columns_max, wide ? size.rows - 14 : 4, capabilities.cell);
  const file = playableFile(job.view);
  const { failed, plan } = job.view;
  const lines = [
    plan === null
      ? null
      : `${plan.frames} frames, ${plan.seconds.toFixed(2)} s, ${plan.sections} sections`,
    `${job.recipe.model} · ${job.recipe.order} · ${job.recipe.steps} steps · seed ${job.recipe.seed}`,
    job.startedAt !== null && job.endedAt !== null
      ? `took ${duration(job.endedAt - job.startedAt)}`
      : null,
    failed === null ? null : failed.message,
    file,
  ].filter((line): line is string => line !== null);
  return (
    <Box flexDirection={wide ? "column" : "row"} columnGap={2} flexGrow={1}>
      {box === null ? null : (
        <PictureView name="job" frames={frames} columns={box.columns} rows={box.rows} />
      )}
      <Box flexDirection="column" flexShrink={1}>
        {lines.map((line) => (
          <Text key={line} wrap={line === file ? "truncate-middle" : "wrap"}>
            {printable(line)}
          </Text>
        ))}
      </Box>
    </Box>
  );
};
