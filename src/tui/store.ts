// The one place that holds the state. React reads it through useStore; everything else dispatches actions.

import { createContext, useContext, useSyncExternalStore } from "react";
import type { Recipe } from "../engine/job.ts";
import type { CommandBody } from "../engine/protocol.ts";
import { type Action, reduce, type State } from "./state.ts";

export class Store {
  #state: State;
  readonly #listeners = new Set<() => void>();

  constructor(initial: State) {
    this.#state = initial;
  }

  readonly state = (): State => this.#state;

  readonly dispatch = (action: Action): void => {
    const next = reduce(this.#state, action);
    if (next === this.#state) return;
    this.#state = next;
    for (const listener of this.#listeners) listener();
  };

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };
}

/** What screens may do besides dispatching: everything that reaches outside the program. */
export type Effects = Readonly<{
  /** Sends a command and shows its failure as a notice; resolves to whether it went well. */
  command: (body: CommandBody) => Promise<boolean>;
  start: () => Promise<void>;
  /** Takes a job's settings to the compose screen. */
  compose: (recipe: Recipe) => void;
  copy: (text: string) => void;
  redraw: () => void;
  /** Connects to an engine again, starting one where none runs. */
  reconnect: () => void;
  /** Leaves the interface; what is said goes to the terminal afterwards. */
  leave: (words: string | null) => void;
  refreshModels: () => Promise<void>;
  refreshChecks: () => Promise<void>;
}>;

export type Tui = Readonly<{ store: Store; effects: Effects }>;

export const TuiContext = createContext<Tui | null>(null);

export const useTui = (): Tui => {
  const tui = useContext(TuiContext);
  if (tui === null) throw new Error("a screen was drawn outside the interface");
  return tui;
};

export const useTuiState = (): State => {
  const { store } = useTui();
  return useSyncExternalStore(store.subscribe, store.state);
};
