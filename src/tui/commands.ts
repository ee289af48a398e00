// What the commands of the key table do, on every screen but inside the compose form's own fields.

import { playableFile } from "../engine/job-view.ts";
import type { JobSummary } from "../engine/protocol.ts";
import { formCommand } from "./compose/form.ts";
import type { Command } from "./keys.ts";
import { type Dialog, type Screen, type State, shownJob } from "./state.ts";
import type { Tui } from "./store.ts";

const noticeMs = 4000;

export const runCommand = (tui: Tui, command: Command): void => {
  const { store, effects } = tui;
  const state = store.state();
  if (state.dialog !== null && (command === "yes" || command === "no" || command === "back")) {
    store.dispatch({ type: "close" });
    if (command === "yes") answerYes(tui, state.dialog);
    return;
  }
  if (state.dialog !== null && (command === "up" || command === "down")) {
    store.dispatch({ type: "scroll", by: command === "up" ? -1 : 1 });
    return;
  }
  switch (command) {
    case "showCompose":
    case "showRun":
    case "showJobs":
    case "showModels":
    case "showDoctor":
      show(tui, screenOf[command]);
      return;
    case "help":
      store.dispatch({ type: "open", dialog: { kind: "help", from: 0 } });
      return;
    case "quit":
    case "detach":
      effects.leave(partingWords(state));
      return;
    case "redraw":
      effects.redraw();
      return;
    case "start":
      void effects.start();
      return;
    case "reconnect":
      effects.reconnect();
      return;
    case "up":
    case "down":
    case "first":
    case "last":
      if (state.screen === "compose") formCommand(tui, command);
      else select(tui, command);
      return;
    case "again":
      if (state.screen === "doctor") void effects.refreshChecks();
      else void effects.refreshModels();
      return;
    default:
      if (state.screen === "compose") formCommand(tui, command);
      else if (state.screen === "models") modelCommand(tui, command);
      else jobCommand(tui, command);
  }
};

const screenOf = {
  showCompose: "compose",
  showRun: "run",
  showJobs: "jobs",
  showModels: "models",
  showDoctor: "doctor",
} as const satisfies Partial<Record<Command, Screen>>;

const show = ({ store, effects }: Tui, screen: Screen): void => {
  store.dispatch({ type: "show", screen });
  if (screen === "models") void effects.refreshModels();
  if (screen === "doctor" && store.state().checks === null) void effects.refreshChecks();
};

/** Said on the terminal after leaving: that the work goes on, and how to come back. */
export const partingWords = (state: State): string | null => {
  const running = state.jobs.find((job) => job.state === "running");
  if (running === undefined) return null;
  return `The job ${running.id} goes on. framepack attach ${running.id} comes back to it; framepack cancel ${running.id} stops it.`;
};

const select = ({ store }: Tui, command: "up" | "down" | "first" | "last"): void => {
  const state = store.state();
  const { screen } = state;
  if (screen === "compose" || screen === "run") return;
  const counts = {
    jobs: state.jobs.length,
    models: state.models?.length ?? 0,
    doctor: state.checks?.length ?? 0,
  };
  const last = Math.max(0, counts[screen] - 1);
  const at = Math.min(state.selected[screen], last);
  const row = { up: at - 1, down: Math.min(last, at + 1), first: 0, last }[command];
  store.dispatch({ type: "select", list: screen, row });
};

const selectedJob = (state: State): JobSummary | null =>
  state.screen === "jobs"
    ? (state.jobs[Math.min(state.selected.jobs, state.jobs.length - 1)] ?? null)
    : shownJob(state);

const say = ({ store }: Tui, text: string): void => {
  const until = Date.now() + noticeMs;
  store.dispatch({ type: "notice", notice: { text, tone: "info", until } });
};

const jobCommand = (tui: Tui, command: Command): void => {
  const { store, effects } = tui;
  const state = store.state();
  const job = selectedJob(state);
  if (job === null) return;
  switch (command) {
    case "open":
      store.dispatch({ type: "watch", job: job.id });
      return;
    case "cancel":
      if (job.state === "running" || job.state === "queued") {
        store.dispatch({ type: "open", dialog: { kind: "cancelJob", job: job.id } });
      }
      return;
    case "retry":
      void effects.command({ type: "retry", job: job.id });
      return;
    case "resume":
      void effects.command({ type: "resume", job: job.id });
      return;
    case "forget":
      void effects.command({ type: "forget", job: job.id });
      return;
    case "moveUp":
    case "moveDown":
      move(tui, job, command === "moveUp" ? -1 : 1);
      return;
    case "recipe":
      store.dispatch({ type: "open", dialog: { kind: "recipe", job: job.id, from: 0 } });
      return;
    case "copyPath": {
      const path = playableFile(job.view);
      if (path === null) say(tui, "There is no file yet.");
      else {
        effects.copy(path);
        say(tui, `Copied: ${path}`);
      }
      return;
    }
    case "copySettings":
      effects.compose(job.recipe);
      return;
    case "loop":
      store.dispatch({ type: "loop" });
      return;
    default:
      return;
  }
};

const move = ({ store, effects }: Tui, job: JobSummary, by: -1 | 1): void => {
  const queued = store.state().jobs.filter((one) => one.state === "queued");
  const at = queued.findIndex((one) => one.id === job.id);
  const others = queued.filter((one) => one.id !== job.id);
  if (at < 0 || at + by < 0 || at + by > others.length) return;
  const before = others[at + by]?.id ?? null;
  void effects.command({ type: "reorder", job: job.id, before });
};

const modelCommand = ({ store, effects }: Tui, command: Command): void => {
  const state = store.state();
  const models = state.models ?? [];
  const model = models[Math.min(state.selected.models, models.length - 1)];
  if (model === undefined) return;
  if (command === "pull") {
    store.dispatch({ type: "open", dialog: { kind: "pullModel", model: model.name } });
  } else if (command === "cancel") {
    void effects.command({ type: "cancelPull", model: model.name });
  } else if (command === "verify") {
    void effects.command({ type: "verifyModel", model: model.name });
  }
};

const answerYes = ({ effects }: Tui, dialog: Dialog): void => {
  switch (dialog.kind) {
    case "cancelJob":
      void effects.command({ type: "cancel", job: dialog.job });
      return;
    case "pullModel":
      void effects.command({ type: "pull", model: dialog.model });
      return;
    case "recipe":
    case "help":
      return;
  }
};
