// The screen of a job: what it is, how far it is, what it looks like so far. A pure view of the shown job.

import { Box, Text } from "ink";
import type { ReactElement } from "react";
import { useMemo } from "react";
import { type JobView, playableFile } from "../../engine/job-view.ts";
import { printable } from "../../engine/printable.ts";
import type { JobSummary } from "../../engine/protocol.ts";
import { FilmStrip, filmFrames, spread } from "../components/film-strip.tsx";
import { PictureView } from "../components/picture-view.tsx";
import { Timeline } from "../components/timeline.tsx";
import { fitCells, splitFrames } from "../pictures/picture.ts";
import { type State, shownJob } from "../state.ts";
import { tone } from "../theme.ts";
import { bar, bytes, duration, fit, plural, stepTime } from "../words.ts";

export const Run = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const job = shownJob(state);
  if (job === null) {
    return (
      <Box flexDirection="column" paddingX={1}>
        <Text>Nothing runs and nothing ran yet.</Text>
        <Text {...tone("dim")}>Alt-1 writes a first job.</Text>
      </Box>
    );
  }
  const { columns, rows } = state.size;
  // Header, footer and this screen's own lines leave this much for the picture.
  const free = Math.max(4, rows - 15);
  const wide = columns >= 100;
  return (
    <Box flexDirection="column" paddingX={1}>
      <Title job={job} width={columns - 2} />
      <Timeline job={job} width={columns - 2} />
      <Progress job={job} width={columns - 2} />
      <Box flexDirection={wide ? "row" : "column"} marginTop={1} columnGap={3}>
        <Preview
          view={job.view}
          loop={state.loop}
          columns_max={wide ? Math.floor(columns / 2) - 2 : columns - 2}
          rows_max={wide ? free : Math.max(3, Math.floor(free * 0.6))}
          cell={state.capabilities.cell}
        />
        <Box flexDirection="column" flexGrow={1}>
          <Facts job={job} />
          <FilmStrip
            job={job}
            columns_max={wide ? Math.floor(columns / 2) - 4 : columns - 2}
            rows_max={
              wide ? Math.max(3, Math.floor(free / 2)) : Math.max(2, Math.floor(free * 0.3))
            }
            cell={state.capabilities.cell}
          />
        </Box>
      </Box>
      <Ending job={job} width={columns - 2} />
    </Box>
  );
};

const Title = ({ job, width }: Readonly<{ job: JobSummary; width: number }>): ReactElement => {
  const { recipe } = job;
  const words = recipe.prompt === "" ? "(no prompt)" : printable(recipe.prompt);
  const side = `${recipe.model.split("/").at(-1)} · seed ${recipe.seed} · ${job.id}`;
  return (
    <Box justifyContent="space-between" width={width}>
      <Text {...tone("strong")}>{fit(words, Math.max(10, width - side.length - 2))}</Text>
      <Text {...tone("dim")}>{printable(side)}</Text>
    </Box>
  );
};

/** Sections and steps done, as a share of the job. */
export const doneShare = (view: JobView): number => {
  const { plan, step, sections } = view;
  if (view.finished !== null) return 1;
  if (plan === null) return 0;
  const inSection =
    step !== null && step.section === sections.length ? (step.step + 1) / step.steps : 0;
  return (sections.length + inSection * 0.95) / plan.sections;
};

const phaseWords: Readonly<Record<string, string>> = {
  check: "checking",
  load: "loading the model",
  text: "reading the prompt",
  vision: "looking at the picture",
  encode: "encoding the picture",
  prepare: "preparing",
  sample: "sampling",
  decode: "decoding frames",
  write: "writing the video",
  finish: "finishing",
};

const Progress = ({ job, width }: Readonly<{ job: JobSummary; width: number }>): ReactElement => {
  const { view } = job;
  const { plan, step, phase } = view;
  const parts: string[] = [];
  const section = phase?.section ?? step?.section ?? null;
  if (plan !== null && section !== null) parts.push(`section ${section + 1}/${plan.sections}`);
  if (step !== null && phase?.name === "sample") {
    const done = step.section === section ? step.step + 1 : 0;
    parts.push(`step ${done}/${step.steps}`, `${stepTime(step.latencyMs)}/step`);
  } else if (phase !== null && job.state === "running") {
    parts.push(phaseWords[phase.name] ?? phase.name);
  }
  if (job.state === "queued") parts.push(`waiting, place ${(job.place ?? 0) + 1} in the queue`);
  const left: string[] = [];
  if (step?.sectionLeftMs != null && phase?.name === "sample") {
    left.push(`section ${duration(step.sectionLeftMs)}`);
  }
  if (step?.jobLeftMs != null && job.state === "running")
    left.push(`job ${duration(step.jobLeftMs)}`);
  const share = doneShare(view);
  return (
    <Box flexDirection="column" marginTop={1}>
      <Text {...tone("accent")}>
        {bar(share, Math.max(10, width - 6))} {String(Math.floor(share * 100)).padStart(3)} %
      </Text>
      <Text>
        {parts.join(" · ")}
        {left.length > 0 ? <Text {...tone("dim")}> left: {left.join(", ")}</Text> : null}
      </Text>
    </Box>
  );
};

type PreviewProps = Readonly<{
  view: JobView;
  loop: State["loop"];
  columns_max: number;
  rows_max: number;
  cell: Readonly<{ width: number; height: number }>;
}>;

/** A loop never has more frames than this: each is bytes on the link. */
const loopFramesMax = 48;

/** The latents of the newest step, or the video so far; once the job is over only the video is left. */
const Preview = ({ view, loop, columns_max, rows_max, cell }: PreviewProps): ReactElement => {
  const { preview, sections, plan } = view;
  const latents = useMemo(() => (preview === null ? [] : splitFrames(preview.pictures)), [preview]);
  const video = useMemo(
    () => spread(filmFrames(sections, plan?.order ?? "f1"), loopFramesMax),
    [sections, plan?.order],
  );
  const showsVideo = video.length > 0 && (loop === "video" || latents.length === 0);
  const frames = showsVideo ? video : latents;
  const first = frames[0];
  if (first === undefined)
    return <Text {...tone("dim")}>The picture comes with the first step.</Text>;
  const box = fitCells(first, columns_max, rows_max, cell);
  const words =
    showsVideo || preview === null
      ? `the video so far, ${frames.length} of its frames`
      : `now: frames ${preview.from + 1}–${preview.to}, step ${preview.step + 1}`;
  return (
    <Box flexDirection="column">
      <PictureView
        name={showsVideo ? "video" : "preview"}
        frames={frames}
        columns={box.columns}
        rows={box.rows}
      />
      <Text {...tone("dim")}>{fit(words, columns_max)}</Text>
    </Box>
  );
};

const Facts = ({ job }: Readonly<{ job: JobSummary }>): ReactElement => {
  const { view } = job;
  const rows: (readonly [string, string])[] = [];
  if (view.plan !== null) {
    const { frames, seconds, bucket } = view.plan;
    const done = view.sections.at(-1)?.framesDone ?? 0;
    rows.push([
      "video",
      `${done} of ${frames} frames · ${seconds.toFixed(2)} s · ${bucket.width}×${bucket.height}`,
    ]);
  }
  if (view.started !== null)
    rows.push(["runs on", `${view.started.device} (${view.started.backend})`]);
  if (view.memory !== null) {
    const { deviceLive, devicePeak, rss } = view.memory;
    rows.push([
      "memory",
      `device ${bytes(deviceLive)}, peak ${bytes(devicePeak)} · RAM ${bytes(rss)}`,
    ]);
  }
  if (job.recipe.teacache) rows.push(["TeaCache", `${plural(view.stepsSkipped, "step")} skipped`]);
  const file = playableFile(view);
  if (file !== null) rows.push(["file", file]);
  return (
    <Box flexDirection="column">
      {rows.map(([label, text]) => (
        <Text key={label} wrap="truncate-middle">
          <Text {...tone("dim")}>{label.padEnd(9)}</Text>
          {printable(text)}
        </Text>
      ))}
    </Box>
  );
};

const Ending = ({
  job,
  width,
}: Readonly<{ job: JobSummary; width: number }>): ReactElement | null => {
  const { finished, failed, cancelled } = job.view;
  const warning = job.view.warnings.at(-1);
  if (failed !== null) {
    return (
      <Box flexDirection="column" marginTop={1} width={width}>
        <Text {...tone("bad")}>{printable(failed.message)}</Text>
        {failed.hint === null ? null : <Text>{printable(failed.hint)}</Text>}
        {failed.kept === null ? null : <Text>Kept: {printable(failed.kept)}</Text>}
        <Text {...tone("dim")}>g goes on from the last finished section.</Text>
      </Box>
    );
  }
  if (finished !== null) {
    return (
      <Text {...tone("good")}>
        Finished in {duration(finished.latencyMs)}: {printable(finished.path)}
      </Text>
    );
  }
  if (cancelled !== null) {
    const kept = cancelled.kept === null ? "nothing was finished yet" : `kept: ${cancelled.kept}`;
    return <Text {...tone("warn")}>Stopped; {printable(kept)}. g goes on with it.</Text>;
  }
  return warning === undefined ? null : (
    <Text {...tone("warn")} wrap="truncate">
      {printable(warning.text)}
    </Text>
  );
};
