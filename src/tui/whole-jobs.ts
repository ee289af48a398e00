// The list of jobs comes without their pictures. Asks for the whole of a job when it comes onto the screen, once a connection.

import type { JobSummary } from "../engine/protocol.ts";
import type { EngineLink } from "./engine-link.ts";
import { type State, shownJob } from "./state.ts";
import type { Store } from "./store.ts";

/** Returns what stops it. */
export const fetchWholeJobs = (store: Store, link: EngineLink): (() => void) => {
  const asked = new Set<string>();
  return store.subscribe(() => {
    const state = store.state();
    if (state.connection.state !== "connected") {
      asked.clear();
      return;
    }
    const job = onScreen(state);
    if (job === null || isWhole(job) || asked.has(job.id)) return;
    asked.add(job.id);
    void link.fetchJob(job.id);
  });
};

const onScreen = (state: State): JobSummary | null => {
  if (state.screen === "run") return shownJob(state);
  return state.screen === "jobs" ? (state.jobs[state.selected.jobs] ?? null) : null;
};

const isWhole = ({ view }: JobSummary): boolean =>
  view.preview !== null || view.sections.every((section) => section.thumbnails !== null);
