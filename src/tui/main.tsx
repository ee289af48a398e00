// Starts the interface on a terminal: takes the terminal, connects to the engine, draws, and gives everything back at the end.
// Returns the exit code.

import { render } from "ink";
import { exitCodes, reportOf } from "../engine/failure.ts";
import { App } from "./app.tsx";
import { prepareCompose, startJob } from "./compose/effects.ts";
import { EngineLink } from "./engine-link.ts";
import { notification } from "./notify.ts";
import { type Method, unknownCapabilities } from "./pictures/capabilities.ts";
import { Gallery } from "./pictures/gallery.ts";
import { type Ending, TerminalSession } from "./session.ts";
import { initialState, type Screen } from "./state.ts";
import { type Effects, Store } from "./store.ts";
import { fetchWholeJobs } from "./whole-jobs.ts";

export type TuiOptions = Readonly<{
  version: string;
  screen: Screen;
  /** The job to watch at once. */
  job: string | null;
  /** How pictures are shown; null: as the terminal says. */
  preview: Method | null;
  bytesPerSecond: number | null;
  notify: "auto" | "bell" | "none";
}>;

const tickMs = 1000;
const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 129,
  SIGINT: exitCodes.interrupted,
  SIGTERM: exitCodes.terminated,
};

export const runTui = async (options: TuiOptions): Promise<number> => {
  let parting: string | null = null;
  const over = Promise.withResolvers<number>();
  const onEnding = (ending: Ending): void => {
    if ("signal" in ending) over.resolve(signalNumbers[ending.signal] ?? exitCodes.unknown);
    else {
      const report = reportOf(ending.error);
      parting = `framepack: ${report.message}`;
      if (process.env.FRAMEPACK_DEBUG) console.error(ending.error);
      over.resolve(report.code);
    }
  };
  const isRead = process.env.INK_SCREEN_READER === "true";
  const session = TerminalSession.open({ onEnding, alternateScreen: !isRead });
  const size = { columns: session.output.columns, rows: session.output.rows };
  const store = new Store({
    ...initialState(unknownCapabilities, size, Date.now()),
    screen: options.screen,
    watched: options.job,
  });
  const link = new EngineLink(store, {
    version: options.version,
    previews: options.preview !== "none" && !isRead,
  });
  const leave = (words: string | null): void => {
    parting = words;
    over.resolve(exitCodes.ok);
  };
  const redraw = (): void => {
    session.output.emit("resizing");
    session.output.emit("resize");
  };
  const tui = { store, effects: effectsOf({ store, link, session, leave, redraw }) };
  // Drawn at once, without pictures: what the terminal can show is known only when it has answered.
  const app = render(<App tui={tui} gallery={null} />, {
    stdout: session.output as unknown as NodeJS.WriteStream,
    stdin: session.input as unknown as NodeJS.ReadStream,
    exitOnCtrlC: false,
    patchConsole: false,
    incrementalRendering: true,
    interactive: true,
  });
  // Before Ink draws for the new size: nothing of the old one stays, and the state knows the new one.
  session.output.on("resizing", () => {
    const { columns, rows } = session.output;
    if (!isRead) {
      app.clear();
      session.output.clear();
    }
    store.dispatch({ type: "resized", columns, rows });
  });
  const ticking = setInterval(() => store.dispatch({ type: "tick", now: Date.now() }), tickMs);
  const notified = watchEndings(store, options.notify);
  const fetching = fetchWholeJobs(store, link);
  void link.connect();
  const composed = prepareCompose(store, link);
  void openGallery(options, session, isRead).then((gallery) => {
    if (gallery === null) return;
    store.dispatch({ type: "capabilities", capabilities: gallery.capabilities });
    app.rerender(<App tui={tui} gallery={gallery} />);
  });
  const code = await over.promise;
  clearInterval(ticking);
  notified();
  fetching();
  composed();
  app.unmount();
  link[Symbol.dispose]();
  session[Symbol.dispose]();
  if (parting !== null) console.log(parting);
  return code;
};

/** Asks the terminal and makes what shows pictures its way; null where a screen reader reads. */
const openGallery = async (
  options: TuiOptions,
  session: TerminalSession,
  isRead: boolean,
): Promise<Gallery | null> => {
  if (isRead) return null;
  const found = await session.ask();
  const gallery = new Gallery({
    capabilities: options.preview === null ? found : { ...found, method: options.preview },
    output: session.output,
    owns: (id) => session.owns(id),
    freed: (id) => session.freed(id),
    bytesPerSecond: options.bytesPerSecond,
  });
  session.listen((answer) => {
    if (answer === "\u001b[0n") gallery.acknowledged();
  });
  session.atEnd(() => gallery[Symbol.dispose]());
  return gallery;
};

type Parts = Readonly<{
  store: Store;
  link: EngineLink;
  session: TerminalSession;
  leave: (words: string | null) => void;
  redraw: () => void;
}>;

const effectsOf = ({ store, link, session, leave, redraw }: Parts): Effects => ({
  command: (body) => link.tell(body),
  start: () => startJob(store, link),
  compose: (recipe) => {
    const { image, prompt, preset } = recipe;
    const changes = changesOf(recipe);
    const draft = { image, prompt, preset, changes, field: "prompt", cursor: prompt.length };
    store.dispatch({ type: "draft", draft });
    store.dispatch({ type: "show", screen: "compose" });
  },
  copy: (text) =>
    session.output.writeGraphics(`\u001b]52;c;${Buffer.from(text).toString("base64")}\u0007`),
  reconnect: () => void link.connect(),
  redraw,
  leave,
  refreshModels: async () => {
    try {
      const { models } = await link.request({ type: "models" });
      store.dispatch({ type: "models", models: models ?? [] });
    } catch (error) {
      link.complain(error);
    }
  },
  refreshChecks: async () => {
    store.dispatch({ type: "checks", checks: null });
    try {
      const { checks } = await link.request({ type: "doctor" });
      store.dispatch({ type: "checks", checks: checks ?? [] });
    } catch (error) {
      link.complain(error);
    }
  },
});

/** A job's settings as typed changes; picture, prompt and preset have fields of their own. */
const changesOf = (recipe: Readonly<Record<string, unknown>>): Record<string, string> => {
  const own = new Set(["v", "image", "prompt", "preset", "out"]);
  return Object.fromEntries(
    Object.entries(recipe)
      .filter(([key, value]) => !own.has(key) && value !== null)
      .map(([key, value]) => [key, String(value)]),
  );
};

/** Tells the person when a job ends, in the way their terminal notifies. Returns what stops it. */
const watchEndings = (store: Store, how: TuiOptions["notify"]): (() => void) => {
  const seen = new Map<string, string>();
  return store.subscribe(() => {
    for (const job of store.state().jobs) {
      const before = seen.get(job.id);
      seen.set(job.id, job.state);
      if (before !== "running" || job.state === "running" || how === "none") continue;
      process.stdout.write(notification(job, how));
    }
  });
};
