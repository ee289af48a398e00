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
import { type Tone, tone } from "../theme.ts";
import { bar, bytes, duration, fit, plural, stepTime, wrapWords } from "../words.ts";

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
  const width = columns - 2;
  const ending = endingLines(job, width);
  const gap = rows >= 30 ? 1 : 0;
  // Header, footer, a notice; title, timeline and progress; what is left is for pictures and facts.
  const free = Math.max(4, rows - 4 - 5 - 3 * gap - ending.length);
  const half = Math.min(Math.floor(width / 2) - 1, Math.max(30, free * 3));
  return (
    <Box flexDirection="column" paddingX={1} rowGap={gap}>
      <Title job={job} width={width} />
      <Timeline job={job} width={width} />
      <Progress job={job} width={width} />
      <Box columnGap={2} height={free} flexShrink={0}>
        <Box flexDirection="column" width={half} flexShrink={0}>
          <Preview
            view={job.view}
            loop={state.loop}
            columns_max={half}
            rows_max={Math.max(3, free - 1)}
            cell={state.capabilities.cell}
          />
        </Box>
        <Box flexDirection="column" width={width - half - 2} flexShrink={0}>
          <Facts job={job} />
          <FilmStrip
            job={job}
            columns_max={width - half - 2}
            rows_max={Math.min(12, free - factsRows_max - 2)}
            cell={state.capabilities.cell}
          />
        </Box>
      </Box>
      <Box flexDirection="column" flexShrink={0}>
        {ending.map(({ text, name }) => (
          <Text key={text} {...tone(name)} wrap="truncate">
            {text}
          </Text>
        ))}
      </Box>
    </Box>
  );
};

const factsRows_max = 6;

const Title = ({ job, width }: Readonly<{ job: JobSummary; width: number }>): ReactElement => {
  const { recipe } = job;
  const words = recipe.prompt === "" ? "(no prompt)" : printable(recipe.prompt);
  const side = `${recipe.model.split("/").at(-1)} · seed ${recipe.seed} · ${job.id}`;
  return (
    <Box justifyContent="space-between" width={width} flexShrink={0}>
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
  const isRunning = job.state === "running";
  if (plan !== null && section !== null && isRunning)
    parts.push(`section ${section + 1}/${plan.sections}`);
  if (step !== null && phase?.name === "sample" && isRunning) {
    const done = step.section === section ? step.step + 1 : 0;
    parts.push(`step ${done}/${step.steps}`, `${stepTime(step.latencyMs)}/step`);
  } else if (phase !== null && isRunning) {
    parts.push(phaseWords[phase.name] ?? phase.name);
  }
  if (job.state === "queued") parts.push(`waiting, place ${(job.place ?? 0) + 1} in the queue`);
  else if (!isRunning) parts.push(job.state);
  const left: string[] = [];
  if (step?.sectionLeftMs != null && phase?.name === "sample" && isRunning) {
    left.push(`section ${duration(step.sectionLeftMs)}`);
  }
  if (step?.jobLeftMs != null && isRunning) left.push(`job ${duration(step.jobLeftMs)}`);
  const share = doneShare(view);
  return (
    <Box flexDirection="column" flexShrink={0}>
      <Text {...tone("accent")} aria-label={`${Math.floor(share * 100)} %`}>
        {bar(share, Math.max(10, width - 6))} {String(Math.floor(share * 100)).padStart(3)} %
      </Text>
      <Text wrap="truncate">
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

const comingWords = "The picture comes with the first step.";

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
    return <Text {...tone("dim")}>{view.finished === null ? comingWords : ""}</Text>;
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
    const { frames, seconds } = view.plan;
    const done = view.sections.at(-1)?.framesDone ?? 0;
    rows.push(["video", `${done} of ${frames} frames · ${seconds.toFixed(2)} s`]);
  }
  if (view.started !== null)
    rows.push(["runs on", `${view.started.device} (${view.started.backend})`]);
  if (view.memory !== null) {
    const { devicePeak, deviceLive, rss } = view.memory;
    rows.push(["device", `${bytes(deviceLive)} now, ${bytes(devicePeak)} at most`]);
    rows.push(["RAM", bytes(rss)]);
  }
  if (job.recipe.teacache) rows.push(["TeaCache", `${plural(view.stepsSkipped, "step")} skipped`]);
  const file = playableFile(view);
  if (file !== null) rows.push(["file", file]);
  return (
    <Box flexDirection="column" flexShrink={0}>
      {rows.map(([label, text]) => (
        <Text key={label} wrap="truncate-middle">
          <Text {...tone("dim")}>{label.padEnd(9)}</Text>
          {printable(text)}
        </Text>
      ))}
    </Box>
  );
};

type Line = Readonly<{ text: string; name: Tone }>;

/** How the job ended, or what to know while it runs; broken into lines of a width. */
export const endingLines = (job: JobSummary, width: number): readonly Line[] => {
  const { finished, failed, cancelled, warnings } = job.view;
  const lines: Line[] = [];
  const say = (name: Tone, text: string): void => {
    for (const line of wrapWords(printable(text), width)) lines.push({ text: line, name });
  };
  if (job.state === "running" || job.state === "queued") {
    const warning = warnings.at(-1);
    if (warning !== undefined) say("warn", warning.text);
  } else if (failed !== null) {
    say("bad", failed.message);
    if (failed.hint !== null) say("plain", failed.hint);
    say("dim", `${failed.kept === null ? "" : `Kept: ${failed.kept}. `}g goes on with it.`);
  } else if (finished !== null) {
    say("good", `Finished in ${duration(finished.latencyMs)}: ${finished.path}`);
  } else if (job.state === "interrupted") {
    say("warn", "Interrupted: its engine ended. g goes on from the last finished section.");
  } else {
    const kept = cancelled?.kept ?? null;
    say("warn", `Stopped; ${kept === null ? "nothing was finished yet" : `kept: ${kept}`}.`);
    say("dim", "g goes on with it.");
  }
  return lines;
};
