// Everything the interface shows, as one plain value and one reducer. Screens are pure views of it; what comes from outside
// (the engine, keys, timers) becomes an action. Nothing here reads a clock, a file or a socket.

import type { Recipe } from "../engine/job.ts";
import { emptyView, reduceView } from "../engine/job-view.ts";
import type {
  Check,
  Download,
  EngineInfo,
  Inspection,
  JobSummary,
  Message,
  ModelStatus,
} from "../engine/protocol.ts";
import type { Capabilities } from "./pictures/capabilities.ts";

export const screens = ["compose", "run", "jobs", "models", "doctor"] as const;
export type Screen = (typeof screens)[number];

/** A question over the screen; its answer is an action of the key table. */
export type Dialog = Readonly<
  | { kind: "cancelJob"; job: string }
  | { kind: "pullModel"; model: string }
  /** Pages of lines; `from` is the first line shown. */
  | { kind: "recipe"; job: string; from: number }
  | { kind: "help"; from: number }
>;

export type Connection = Readonly<
  | { state: "connecting" }
  | { state: "connected"; engine: EngineInfo }
  | { state: "lost"; reason: string }
>;

/** A line at the bottom that goes by itself; `until` is the time it goes. */
export type Notice = Readonly<{ text: string; tone: "info" | "good" | "bad"; until: number }>;

/** What is being written on the compose screen. Empty text means: as the preset or the model says. */
export type Draft = Readonly<{
  image: string;
  prompt: string;
  preset: string | null;
  /** Settings changed by hand, by recipe key, as typed. */
  changes: Readonly<Record<string, string>>;
  /** The field that has the keys, and the cursor's place in its text. */
  field: string;
  cursor: number;
  expert: boolean;
}>;

export type FolderEntry = Readonly<{ name: string; isFolder: boolean }>;

/** A list over the form; `at` is the row that has the keys. */
export type Over = Readonly<
  | { kind: "quick" | "history"; at: number }
  | {
      kind: "browse";
      folder: string;
      entries: readonly FolderEntry[];
      problem: string | null;
      at: number;
    }
>;

export type ComposeState = Readonly<{
  draft: Draft;
  over: Over | null;
  /** The recipe that the draft makes, when it makes one; else what is wrong, by field. */
  recipe: Recipe | null;
  problems: readonly Readonly<{ field: string; message: string; hint: string | null }>[];
  inspection: Inspection | null;
  /** An inspection is under way. */
  inspecting: boolean;
  presets: readonly Readonly<{ name: string; description: string; picture: string }>[];
  /** Prompts used before, newest first. */
  history: readonly string[];
}>;

export type State = Readonly<{
  screen: Screen;
  dialog: Dialog | null;
  notice: Notice | null;
  size: Readonly<{ columns: number; rows: number }>;
  capabilities: Capabilities;
  /** The clock of the screen, moved by ticks; ages and time left are taken against it. */
  now: number;
  connection: Connection;
  compose: ComposeState;
  jobs: readonly JobSummary[];
  /** The job that the run screen shows; null for the one that runs. */
  watched: string | null;
  /** What moves on the run screen: the latents of the newest step, or the video so far. */
  loop: "latents" | "video";
  /** The row that has the keys in a list screen. */
  selected: Readonly<Record<"jobs" | "models" | "doctor", number>>;
  models: readonly ModelStatus[] | null;
  downloads: readonly Download[];
  checks: readonly Check[] | null;
}>;

/** What the engine says by itself. */
export type News = Exclude<Message, { type: "reply" }>;

export type Action = Readonly<
  | { type: "show"; screen: Screen }
  | { type: "open"; dialog: Dialog }
  | { type: "close" }
  | { type: "notice"; notice: Notice | null }
  | { type: "resized"; columns: number; rows: number }
  | { type: "tick"; now: number }
  | { type: "capabilities"; capabilities: Capabilities }
  | { type: "connection"; connection: Connection }
  | { type: "message"; message: News }
  | { type: "messages"; messages: readonly News[] }
  | { type: "jobs"; jobs: readonly JobSummary[] }
  | { type: "watch"; job: string | null }
  | { type: "loop" }
  | { type: "select"; list: keyof State["selected"]; row: number }
  | { type: "models"; models: readonly ModelStatus[] }
  | { type: "checks"; checks: readonly Check[] | null }
  | { type: "scroll"; by: number }
  | { type: "draft"; draft: Partial<Draft> }
  | { type: "over"; over: Over | null }
  | { type: "presets"; presets: ComposeState["presets"] }
  | { type: "history"; history: readonly string[] }
  | { type: "resolved"; recipe: Recipe | null; problems: ComposeState["problems"] }
  | { type: "inspecting" }
  | { type: "inspected"; inspection: Inspection | null }
>;

export const initialState = (
  capabilities: Capabilities,
  size: State["size"],
  now: number,
): State => ({
  screen: "compose",
  dialog: null,
  notice: null,
  size,
  capabilities,
  now,
  connection: { state: "connecting" },
  compose: {
    draft: {
      image: "",
      prompt: "",
      preset: null,
      changes: {},
      field: "image",
      cursor: 0,
      expert: false,
    },
    over: null,
    recipe: null,
    problems: [],
    inspection: null,
    inspecting: false,
    presets: [],
    history: [],
  },
  jobs: [],
  watched: null,
  loop: "latents",
  selected: { jobs: 0, models: 0, doctor: 0 },
  models: null,
  downloads: [],
  checks: null,
});

export const reduce = (state: State, action: Action): State => {
  switch (action.type) {
    case "show":
      return { ...state, screen: action.screen, dialog: null };
    case "open":
      return { ...state, dialog: action.dialog };
    case "close":
      return { ...state, dialog: null };
    case "notice":
      return { ...state, notice: action.notice };
    case "resized":
      return { ...state, size: { columns: action.columns, rows: action.rows } };
    case "tick":
      return {
        ...state,
        now: action.now,
        notice: state.notice !== null && state.notice.until <= action.now ? null : state.notice,
      };
    case "capabilities":
      return { ...state, capabilities: action.capabilities };
    case "connection":
      return { ...state, connection: action.connection };
    case "message":
      return reduceMessage(state, action.message);
    case "messages":
      return action.messages.reduce(reduceMessage, state);
    case "jobs":
      return withJobs(state, action.jobs);
    case "watch":
      return { ...state, watched: action.job, screen: "run", dialog: null };
    case "loop":
      return { ...state, loop: state.loop === "latents" ? "video" : "latents" };
    case "select":
      return { ...state, selected: { ...state.selected, [action.list]: Math.max(0, action.row) } };
    case "models":
      return { ...state, models: action.models };
    case "scroll":
      return scroll(state, action.by);
    case "checks":
      return { ...state, checks: action.checks };
    default:
      return { ...state, compose: reduceCompose(state.compose, action) };
  }
};

/** Moves a page of lines; how far it goes down is known where it is drawn. */
const scroll = (state: State, by: number): State => {
  const { dialog } = state;
  if (dialog === null || !("from" in dialog)) return state;
  return { ...state, dialog: { ...dialog, from: Math.max(0, dialog.from + by) } };
};

type ComposeAction = Extract<
  Action,
  { type: "draft" | "over" | "presets" | "history" | "resolved" | "inspecting" | "inspected" }
>;

const reduceCompose = (compose: ComposeState, action: ComposeAction): ComposeState => {
  switch (action.type) {
    case "draft":
      return { ...compose, draft: { ...compose.draft, ...action.draft } };
    case "over":
      return { ...compose, over: action.over };
    case "presets":
      return { ...compose, presets: action.presets };
    case "history":
      return { ...compose, history: action.history };
    case "resolved":
      return { ...compose, recipe: action.recipe, problems: action.problems };
    case "inspecting":
      return { ...compose, inspecting: true };
    case "inspected":
      return { ...compose, inspection: action.inspection, inspecting: false };
    default:
      return unreachable(action);
  }
};

const reduceMessage = (state: State, message: News): State => {
  switch (message.type) {
    case "event":
      return {
        ...state,
        jobs: state.jobs.map((job) =>
          job.id === message.job ? { ...job, view: reduceView(job.view, message.event) } : job,
        ),
      };
    case "job":
      return withJobs(state, placeJob(state.jobs, message.job));
    case "state": {
      const known = state.jobs.find((job) => job.id === message.job.id);
      const before = known?.view ?? emptyView;
      // Going on with a stopped job: how it stopped is past, what it made is not.
      const isEnded = message.job.endedAt !== null;
      const view = isEnded ? before : { ...before, finished: null, failed: null, cancelled: null };
      return withJobs(state, placeJob(state.jobs, { ...message.job, view }));
    }
    case "forgotten":
      return withJobs(
        state,
        state.jobs.filter((job) => job.id !== message.job),
      );
    case "download": {
      const others = state.downloads.filter((d) => d.model !== message.download.model);
      return { ...state, downloads: [...others, message.download] };
    }
    case "bye":
      return { ...state, connection: { state: "lost", reason: message.reason } };
    default:
      return unreachable(message);
  }
};

/** Other jobs in the list: the selected one stays selected wherever it moved. */
const withJobs = (state: State, jobs: readonly JobSummary[]): State => {
  const id = state.jobs[state.selected.jobs]?.id;
  const at = jobs.findIndex((job) => job.id === id);
  const row = at >= 0 ? at : Math.min(state.selected.jobs, Math.max(0, jobs.length - 1));
  return { ...state, jobs, selected: { ...state.selected, jobs: row } };
};

const rank = { running: 0, queued: 1 } as const;
const rankOf = (job: JobSummary): number =>
  job.state === "running" || job.state === "queued" ? rank[job.state] : 2;

/** Puts a job in its place: what runs, what waits in order, then the newest of the rest. */
const placeJob = (jobs: readonly JobSummary[], job: JobSummary): JobSummary[] =>
  [...jobs.filter((other) => other.id !== job.id), job].sort(
    (a, b) => rankOf(a) - rankOf(b) || (a.place ?? 0) - (b.place ?? 0) || b.createdAt - a.createdAt,
  );

/** The job on the run screen: the watched one, else the running one, else the newest. */
export const shownJob = (state: State): JobSummary | null =>
  state.jobs.find((job) => job.id === state.watched) ??
  state.jobs.find((job) => job.state === "running") ??
  state.jobs[0] ??
  null;

const unreachable = (value: never): never => {
  throw new Error(`unknown ${JSON.stringify(value)}`);
};
