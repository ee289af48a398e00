// What the compose screen does outside the program: reads presets, asks the engine about the draft when typing pauses, starts
// the job.

import { homedir } from "node:os";
import { Failure } from "../../engine/failure.ts";
import { listPresets } from "../../engine/presets.ts";
import { callerEnvironment } from "../../engine/service/environment.ts";
import type { EngineLink } from "../engine-link.ts";
import type { State } from "../state.ts";
import type { Store } from "../store.ts";
import { resolveDraft } from "./resolve.ts";

/** Typing pauses this long before the engine is asked. */
const pauseMs = 250;
const promptsKept = 50;

/** Loads the presets and keeps recipe, problems and inspection up to date with the draft. */
export const prepareCompose = (store: Store, link: EngineLink): (() => void) => {
  const presets = listPresets()
    .filter((preset) => preset.problems.length === 0)
    .map(({ name, description, picture }) => ({ name, description, picture }));
  store.dispatch({ type: "presets", presets });
  let draft: State["compose"]["draft"] | null = null;
  let jobs: State["jobs"] | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const follow = (): void => {
    const state = store.state();
    if (state.jobs !== jobs) {
      jobs = state.jobs;
      const history = promptsOf(jobs);
      if (history.join("\0") !== state.compose.history.join("\0")) {
        store.dispatch({ type: "history", history });
      }
    }
    const { connection } = state;
    if (state.compose.draft === draft || connection.state !== "connected") return;
    draft = state.compose.draft;
    const { recipe, problems } = resolveDraft(draft, homedir(), process.cwd());
    store.dispatch({ type: "resolved", recipe, problems });
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(() => void inspect(store, link), pauseMs);
  };
  const stop = store.subscribe(follow);
  follow();
  return () => {
    stop();
    if (timer !== null) clearTimeout(timer);
  };
};

const inspect = async (store: Store, link: EngineLink): Promise<void> => {
  const { recipe, draft } = store.state().compose;
  if (recipe === null) {
    store.dispatch({ type: "inspected", inspection: null });
    return;
  }
  store.dispatch({ type: "inspecting" });
  try {
    const { inspection } = await link.request({ type: "inspect", recipe });
    // What was typed meanwhile is asked about on its own; this answer would be about the past.
    if (store.state().compose.draft === draft) {
      store.dispatch({ type: "inspected", inspection: inspection ?? null });
    }
  } catch (error) {
    store.dispatch({ type: "inspected", inspection: null });
    link.complain(error);
  }
};

/** Submits the draft's recipe, or moves to the field that stands in the way. */
export const startJob = async (store: Store, link: EngineLink): Promise<void> => {
  const { draft, inspection } = store.state().compose;
  const { recipe, problems } = resolveDraft(draft, homedir(), process.cwd());
  store.dispatch({ type: "resolved", recipe, problems });
  const problem = problems[0] ?? inspection?.problems[0];
  if (recipe === null || problem !== undefined) {
    if (problem !== undefined) store.dispatch({ type: "draft", draft: { field: problem.field } });
    link.complain(new Failure("usage.draft", problem?.message ?? "The job is not complete."));
    return;
  }
  try {
    const environment = callerEnvironment(process.env);
    const { job } = await link.request({ type: "submit", recipe, front: false, environment });
    store.dispatch({ type: "watch", job: job?.id ?? null });
  } catch (error) {
    link.complain(error);
  }
};

/** Prompts of earlier jobs, newest first, each once. */
const promptsOf = (jobs: State["jobs"]): string[] => {
  const newest = jobs.toSorted((a, b) => b.createdAt - a.createdAt);
  const prompts = newest.map((job) => job.recipe.prompt).filter((prompt) => prompt !== "");
  return [...new Set(prompts)].slice(0, promptsKept);
};
