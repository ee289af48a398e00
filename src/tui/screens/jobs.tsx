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
import { ago, duration, fit, plural, windowOf, wrapWords } from "../words.ts";
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
  const width = size.columns - 2;
  const listWidth = wide ? Math.floor(width * 0.58) : width;
  // Header, footer and a notice; below the list the detail takes six rows where it cannot stand beside.
  const body = size.rows - 4;
  const rows = wide ? body : Math.max(3, body - detailRows);
  const { from, to } = windowOf(jobs.length, selected, rows);
  const job = jobs[selected];
  return (
    <Box flexDirection={wide ? "row" : "column"} paddingX={1} columnGap={2}>
      <Box flexDirection="column" width={listWidth} height={rows} flexShrink={0}>
        {jobs.slice(from, to).map((one) => (
          <Row key={one.id} job={one} selected={one === job} width={listWidth} now={state.now} />
        ))}
      </Box>
      {job === undefined ? null : (
        <Detail
          job={job}
          state={state}
          width={wide ? width - listWidth - 2 : width}
          rows={wide ? body : detailRows}
          stacked={wide}
        />
      )}
    </Box>
  );
};

const detailRows = 7;

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

type DetailProps = Readonly<{
  job: JobSummary;
  state: State;
  width: number;
  rows: number;
  /** The picture above its facts; else at their left. */
  stacked: boolean;
}>;

const Detail = ({ job, state, width, rows, stacked }: DetailProps): ReactElement => {
  const thumbnails = job.view.sections.findLast((s) => s.thumbnails !== null)?.thumbnails ?? null;
  const frames = useMemo(() => (thumbnails === null ? [] : splitFrames(thumbnails)), [thumbnails]);
  const first = frames[0];
  const { cell } = state.capabilities;
  const box =
    first === undefined
      ? null
      : stacked
        ? fitCells(first, Math.min(width, 50), rows - detailRows - 1, cell)
        : fitCells(first, Math.floor(width * 0.3), rows - 1, cell);
  const textWidth = stacked || box === null ? width : width - box.columns - 2;
  const picture =
    box === null ? null : (
      <PictureView name="job" frames={frames} columns={box.columns} rows={box.rows} />
    );
  const facts = (
    <Box flexDirection="column" width={textWidth} height={detailRows - 1} flexShrink={0}>
      {detailLines(job)
        .flatMap((line) => wrapWords(printable(line), textWidth))
        .slice(0, detailRows - 1)
        .map((line) => (
          <Text key={line} wrap="truncate">
            {line}
          </Text>
        ))}
    </Box>
  );
  // Beside the list the picture is below its facts: the first rows of the list change while a job runs, and text that changes
  // left of a picture has it drawn again.
  return stacked ? (
    <Box flexDirection="column" rowGap={1} flexShrink={0}>
      {facts}
      {picture}
    </Box>
  ) : (
    <Box columnGap={2} marginTop={1} flexShrink={0}>
      {picture}
      {facts}
    </Box>
  );
};

const detailLines = (job: JobSummary): readonly string[] => {
  const { failed, plan } = job.view;
  const { model, order, steps, seed } = job.recipe;
  const lines = [
    failed === null ? null : failed.message,
    playableFile(job.view),
    plan === null
      ? null
      : `${plan.frames} frames, ${plan.seconds.toFixed(2)} s, ${plural(plan.sections, "section")}`,
    `${model} · ${order} · ${steps === null ? "" : `${steps} steps · `}seed ${seed}`,
    job.startedAt !== null && job.endedAt !== null
      ? `took ${duration(job.endedAt - job.startedAt)}`
      : null,
  ];
  return lines.filter((line): line is string => line !== null);
};
