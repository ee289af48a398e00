// Asks the terminal what it can show and waits for the answers, once, at the start. Raw mode must be on already, or the
// answers are echoed onto the screen. What the answers mean is capabilities.ts.

import {
  answeredAll,
  type Capabilities,
  capabilitiesFrom,
  questions,
  questionsThroughTmux,
  type Surroundings,
} from "./capabilities.ts";

/** A terminal that says nothing costs this much, once. */
const answerTimeoutMs = 1000;
const tmuxTimeoutMs = 400;

export type Asking = Readonly<{
  write: (text: string) => unknown;
  /** Hands every answer of the terminal to `listener` until called back. */
  listen: (listener: (answer: string) => void) => () => void;
  around: Surroundings;
}>;

export const detect = async (asking: Asking): Promise<Capabilities> => {
  if (asking.around.term === "dumb") return capabilitiesFrom("", "", asking.around);
  const answers = await ask(asking, questions, answerTimeoutMs);
  const outer = asking.around.insideTmux
    ? await ask(asking, questionsThroughTmux, tmuxTimeoutMs)
    : "";
  return capabilitiesFrom(answers, outer, asking.around);
};

const ask = async (asking: Asking, text: string, timeout_ms: number): Promise<string> => {
  let answers = "";
  const done = Promise.withResolvers<void>();
  const stop = asking.listen((answer) => {
    answers += answer;
    if (answeredAll(answers)) done.resolve();
  });
  const timer = setTimeout(done.resolve, timeout_ms);
  asking.write(text);
  await done.promise;
  clearTimeout(timer);
  stop();
  return answers;
};

/** tmux is told by its own variable, or by TERM where the variable was not handed on (over ssh). */
export const surroundings = (
  env: Readonly<Record<string, string | undefined>>,
  size: Readonly<{ columns: number; rows: number }>,
): Surroundings => {
  const term = env.TERM ?? "dumb";
  return {
    term,
    colorterm: env.COLORTERM ?? "",
    insideTmux: (env.TMUX ?? "") !== "" || /^(tmux|screen)/.test(term),
    noColor: (env.NO_COLOR ?? "") !== "",
    size,
  };
};
