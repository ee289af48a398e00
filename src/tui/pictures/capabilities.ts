// What a terminal can show, worked out from its own answers. Pure: the questions as bytes, the answers as text in, a verdict
// out. Asking and waiting is detect.ts. Names decide only what no terminal can be asked (placeholders, animation, iTerm2).

export const methods = [
  "kitty-cells",
  "kitty-place",
  "iterm2",
  "sixel",
  "blocks-24bit",
  "blocks-256",
  "blocks-16",
  "ascii",
  "none",
] as const;
export type Method = (typeof methods)[number];

export type Cell = Readonly<{ width: number; height: number }>;

export type Capabilities = Readonly<{
  method: Method;
  /** Pixels of a cell; a guess of 8×16 where the terminal does not say. */
  cell: Cell;
  /** The terminal runs loops of pictures by itself. */
  animates: boolean;
  /** Synchronised output (mode 2026): a frame appears at once. */
  synchronised: boolean;
  /** Graphics must be wrapped for the terminal outside tmux. */
  tmux: boolean;
  /** What the terminal calls itself, cleaned; for doctor. */
  name: string;
}>;

/** Before the terminal has answered: no pictures. */
export const unknownCapabilities: Capabilities = {
  method: "none",
  cell: { width: 8, height: 16 },
  animates: false,
  synchronised: false,
  tmux: false,
  name: "not asked yet",
};

const question = {
  name: "\u001b[>0q",
  kitty: "\u001b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\u001b\\",
  cell: "\u001b[16t",
  area: "\u001b[14t",
  registers: "\u001b[?1;1;0S",
  sixelSize: "\u001b[?2;1;0S",
  synchronised: "\u001b[?2026$p",
  truecolour: "\u001b[48;2;1;2;3m\u001bP$qm\u001b\\\u001b[m",
  attributes: "\u001b[c",
} as const;

/** Everything asked at once; the answer to the last question ends the wait. */
export const questions = Object.values(question).join("");

/** Asked again of the terminal around tmux. */
export const questionsThroughTmux = [question.name, question.kitty, question.attributes]
  .map((q) => `\u001bPtmux;${q.replaceAll("\u001b", "\u001b\u001b")}\u001b\\`)
  .join("");

/** True once the primary device attributes came, the last answer. */
export const answeredAll = (answers: string): boolean => attributes(answers) !== null;

export type Surroundings = Readonly<{
  term: string;
  colorterm: string;
  insideTmux: boolean;
  noColor: boolean;
  size: Readonly<{ columns: number; rows: number }>;
}>;

/** The verdict. `outer` holds what came back through tmux's passthrough, "" outside tmux. */
export const capabilitiesFrom = (
  answers: string,
  outer: string,
  around: Surroundings,
): Capabilities => {
  // Inside tmux only the outer terminal counts: tmux claims sixel whatever its client is.
  const believed = around.insideTmux ? outer : answers;
  const name = terminalName(believed);
  const base = {
    cell: cellOf(answers, around) ?? { width: 8, height: 16 },
    synchronised: /\u001b\[\?2026;[12]\$y/.test(answers),
    tmux: around.insideTmux,
    animates: false,
    name: name === "" ? around.term : name,
  };
  if (kittyAnswered(believed)) {
    const placeholders = versionAtLeast(name, "kitty", [0, 28]) || /^ghostty/i.test(name);
    if (placeholders) {
      return { ...base, method: "kitty-cells", animates: /^kitty\b/.test(name) };
    }
    if (!around.insideTmux) {
      return { ...base, method: "kitty-place", animates: /^kitty\b/.test(name) };
    }
  }
  if (!around.insideTmux && /^(iTerm2|WezTerm)/.test(name)) return { ...base, method: "iterm2" };
  if (!around.insideTmux && attributes(answers)?.includes(4)) return { ...base, method: "sixel" };
  return { ...base, method: characters(answers, around) };
};

const characters = (answers: string, around: Surroundings): Method => {
  if (around.term === "dumb") return "none";
  if (around.noColor) return "ascii";
  const truecolour = /\u001bP1\$r[\d;:]*48[;:]2[;:]+1[;:]2[;:]3/.test(answers);
  if (truecolour || /^(truecolor|24bit)$/.test(around.colorterm)) return "blocks-24bit";
  if (/256|direct|kitty|foot|xterm/.test(around.term) || around.insideTmux) return "blocks-256";
  return /^(vt|linux|ansi|screen)/.test(around.term) ? "blocks-16" : "blocks-256";
};

/** The numbers of a primary device attributes answer, or null before it came. */
const attributes = (answers: string): number[] | null => {
  const found = /\u001b\[\?([\d;]*)c/.exec(answers);
  return found === null ? null : (found[1] ?? "").split(";").map(Number);
};

const kittyAnswered = (answers: string): boolean => answers.includes("\u001b_Gi=31;OK\u001b\\");

const terminalName = (answers: string): string => {
  const found = /\u001bP>\|([^\u001b]{0,80})\u001b\\/.exec(answers);
  return (found?.[1] ?? "").replace(/[^\x20-\x7e]/g, "");
};

const versionAtLeast = (
  name: string,
  program: string,
  wanted: readonly [number, number],
): boolean => {
  const found = /^(\w+)[( ](\d+)\.(\d+)/.exec(name);
  if (found === null || found[1] !== program) return false;
  const [major, minor] = [Number(found[2]), Number(found[3])];
  return major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);
};

const cellOf = (answers: string, around: Surroundings): Cell | null => {
  const cell = /\u001b\[6;(\d{1,3});(\d{1,3})t/.exec(answers);
  if (cell !== null) return sane(Number(cell[2]), Number(cell[1]));
  const area = /\u001b\[4;(\d{1,5});(\d{1,5})t/.exec(answers);
  if (area === null) return null;
  const { columns, rows } = around.size;
  return sane(Math.floor(Number(area[2]) / columns), Math.floor(Number(area[1]) / rows));
};

const sane = (width: number, height: number): Cell | null =>
  width >= 2 && width <= 200 && height >= 2 && height <= 400 ? { width, height } : null;
