// The video as a line of sections: which are finished, which is being made, which wait. In the inverted order it fills from
// the end, and says so.

import { Box, Text } from "ink";
import type { ReactElement } from "react";
import type { JobSummary } from "../../engine/protocol.ts";
import { tone } from "../theme.ts";

export type SectionState = "done" | "now" | "waiting";

/** The sections in the order they are seen in the video, from its start. */
export const sectionStates = (job: JobSummary): readonly SectionState[] => {
  const { plan, sections, phase } = job.view;
  if (plan === null) return [];
  const made = Array.from({ length: plan.sections }, (_, i): SectionState => {
    if (i < sections.length) return "done";
    return i === sections.length && job.state === "running" && phase?.section === i
      ? "now"
      : "waiting";
  });
  return plan.order === "inverted" ? made.toReversed() : made;
};

const marks = { done: "█", now: "▒", waiting: "·" } as const;
const tones = { done: "good", now: "accent", waiting: "dim" } as const;

export const Timeline = ({
  job,
  width,
}: Readonly<{ job: JobSummary; width: number }>): ReactElement | null => {
  const states = sectionStates(job);
  const { plan } = job.view;
  if (plan === null) return null;
  const cells = Math.max(1, Math.floor((width - states.length) / states.length));
  const each = Math.min(cells, 12);
  const gap = cells >= 2 ? " " : "";
  return (
    <Box flexDirection="column" flexShrink={0}>
      <Text wrap="truncate" aria-hidden>
        {states.map((state, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a section is its place.
          <Text key={i} {...tone(tones[state])}>
            {marks[state].repeat(each)}
            {gap}
          </Text>
        ))}
      </Text>
      <Text {...tone("dim")} wrap="truncate">
        {explain(job)}
      </Text>
    </Box>
  );
};

/** One line that says what the picture above shows. */
export const explain = (job: JobSummary): string => {
  const { plan, sections } = job.view;
  if (plan === null) return "";
  const next = plan.sectionFrames[sections.length];
  const order =
    plan.order === "inverted"
      ? "the end is made first, the start last"
      : "made forwards, from start to end";
  if (next === undefined) return `all ${plan.sections} sections are made (${order})`;
  // The first section's frames are all blended with the next one's: none is final yet.
  const frames =
    next.from === next.to
      ? plan.order === "inverted"
        ? "the last moments"
        : "the first moments"
      : `frames ${next.from + 1}–${next.to} of ${plan.frames}`;
  return `section ${sections.length + 1} of ${plan.sections} makes ${frames}; ${order}`;
};
