// Draws the whole interface for a state, as text, without a terminal.

import { renderToString } from "ink";
import { App } from "../../src/tui/app.tsx";
import type { Capabilities } from "../../src/tui/pictures/capabilities.ts";
import { type Action, initialState, reduce, type State } from "../../src/tui/state.ts";
import { type Effects, Store } from "../../src/tui/store.ts";
import { now } from "../support/scene.ts";

export const capabilities: Capabilities = {
  method: "none",
  cell: { width: 10, height: 20 },
  animates: false,
  synchronised: true,
  tmux: false,
  name: "test",
};

export const small = { columns: 80, rows: 24 } as const;
export const large = { columns: 200, rows: 60 } as const;

/** A connected interface of a size after some actions. */
export const stateAfter = (
  size: Readonly<{ columns: number; rows: number }>,
  ...actions: readonly Action[]
): State => {
  const connected: Action = {
    type: "connection",
    connection: {
      state: "connected",
      engine: { version: "test", protocol: 1, pid: 1, startedAt: now },
    },
  };
  return [connected, ...actions].reduce(reduce, initialState(capabilities, size, now));
};

/** Effects that only note what was asked of them. */
export const notedEffects = (noted: unknown[]): Effects => ({
  command: async (body) => {
    noted.push(body);
    return true;
  },
  start: async () => void noted.push("start"),
  compose: (recipe) => void noted.push({ compose: recipe.prompt }),
  copy: (text) => void noted.push({ copy: text }),
  redraw: () => void noted.push("redraw"),
  reconnect: () => void noted.push("reconnect"),
  leave: (words) => void noted.push({ leave: words }),
  refreshModels: async () => void noted.push("models"),
  refreshChecks: async () => void noted.push("checks"),
});

export const drawn = (state: State): string => {
  const tui = { store: new Store(state), effects: notedEffects([]) };
  return renderToString(<App tui={tui} gallery={null} />, { columns: state.size.columns });
};
