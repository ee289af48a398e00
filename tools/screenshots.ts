// Makes docs/screenshots/: the interface on a pseudo-terminal with a scripted engine, each screen drawn as a PNG.
//   bun tools/screenshots.ts        needs the font DejaVu Sans Mono where sharp's SVG renderer finds it

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { Home, keys, openInterface, root } from "../tests/support/interface.ts";
import type { CellColour, Pty, ScreenCell } from "../tests/support/pty.ts";
import {
  finished,
  halfway,
  movingDisc,
  preview,
  sectionFinished,
  stepFinished,
} from "../tests/support/scene.ts";
import { ScriptedEngine } from "../tests/support/scripted-engine.ts";

const folder = join(root, "docs/screenshots");
const cell = { width: 9, height: 18, baseline: 14 } as const;
const size = { columns: 104, rows: 32 } as const;
const own = { ink: "#d8dee9", paper: "#1c2128" } as const;
// The first sixteen colours; the others are computed.
const palette = [
  ["#2e3440", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d8dee9"],
  ["#6b7280", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#ffffff"],
].flat();
const steps = [0, 95, 135, 175, 215, 255];

const hex = (rgb: readonly number[]): string =>
  `#${rgb.map((v) => v.toString(16).padStart(2, "0")).join("")}`;

const css = (colour: CellColour, fallback: "ink" | "paper"): string => {
  if (colour === null) return own[fallback];
  if (colour === "ink" || colour === "paper") return own[colour];
  if (typeof colour !== "number") return hex(colour);
  if (colour < 16) return palette[colour] ?? own.ink;
  if (colour >= 232) return hex(Array(3).fill(8 + 10 * (colour - 232)));
  const n = colour - 16;
  return hex([n / 36, (n / 6) % 6, n % 6].map((level) => steps[Math.floor(level)] ?? 0));
};

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const rectangle = (x: number, y: number, height: number, fill: string): string =>
  `<rect x="${x}" y="${y}" width="${cell.width}" height="${height}" fill="${fill}"/>`;

/** Blocks are drawn as areas, which meet without gaps; all else as text. */
const drawCell = (one: ScreenCell, column: number, row: number): string => {
  const [x, y] = [column * cell.width, row * cell.height];
  const [ink, paper] = [css(one.ink, "ink"), css(one.paper, "paper")];
  const ground = paper === own.paper ? "" : rectangle(x, y, cell.height, paper);
  if (one.text === "▀") return ground + rectangle(x, y, cell.height / 2, ink);
  if (one.text === "█") return rectangle(x, y, cell.height, ink);
  if (one.text.trim() === "") return ground;
  const look = `${one.bold ? ' font-weight="bold"' : ""}${one.dim ? ' opacity="0.6"' : ""}`;
  const at = `x="${x}" y="${y + cell.baseline}" fill="${ink}"`;
  return `${ground}<text ${at}${look}>${escaped(one.text)}</text>`;
};

const shoot = async (pty: Pty, name: string): Promise<void> => {
  const rows = await pty.cells();
  const [width, height] = [size.columns * cell.width, size.rows * cell.height];
  const body = rows.flatMap((row, y) => row.map((one, x) => drawCell(one, x, y))).join("");
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"`,
    ` font-family="DejaVu Sans Mono" font-size="15" shape-rendering="crispEdges">`,
    `<rect width="${width}" height="${height}" fill="${own.paper}"/>${body}</svg>`,
  ].join("");
  const png = sharp(Buffer.from(svg)).png({ palette: true, colours: 256, effort: 10 });
  const { size: bytes } = await png.toFile(join(folder, `${name}.png`));
  console.log(`${name}.png: ${bytes} bytes`);
};

mkdirSync(folder, { recursive: true });
await using home = new Home();
await using engine = new ScriptedEngine(home.runtime);
const { bytes } = movingDisc(272, 352, 1);
const portrait = sharp(bytes, { raw: { width: 272, height: 352, channels: 3 } }).png();
home.folder.write("pictures/portrait.png", await portrait.toBuffer());
const prompt = "The girl dances gracefully, with clear movements, full of charm.";
const earlier = await engine.submit({ prompt: "A character doing some simple body movements." });
engine.say(earlier, ...halfway, sectionFinished(1), finished);
engine.end(earlier);

await using pty = openInterface(home, {
  ...size,
  cwd: join(home.folder.path, "pictures"),
  env: { COLORTERM: "truecolor" },
});
await pty.until("0 running");
await shoot(pty, "compose-empty");
pty.send(`portrait.png${keys.tab}${keys.paste(prompt)}`);
await pty.until("145 frames");
await pty.until("▀▀▀▀▀");
await pty.until("21 of 256 tokens");
await shoot(pty, "compose");
pty.send(keys.control("e"));
await pty.until("fewer settings");
await shoot(pty, "compose-expert");
pty.send(keys.control("e") + keys.control("s"));
await pty.until(() => engine.told.filter((one) => one.type === "run").length === 2);
const second = engine.told.findLast((one) => one.type === "run");
if (second === undefined) throw new Error("no job was started");
engine.say(second.job, ...halfway, stepFinished(1, 12), preview(1, 12));
await pty.until("step 13/25");
// Pictures are drawn a moment after the words about them.
await pty.until(/▀[^\n]*\n[^\n]*now: frames/);
await pty.until(/▀\s*\n[^\n]*finished so far/);
await shoot(pty, "run");
for (const [key, words, name] of [
  ["?", "watch the running job", "help"],
  [`${keys.escape}c`, "Cancel this job?", "cancel"],
  ["n3", "▀▀▀▀▀▀▀▀", "jobs"],
  ["4", "FramePack 13B", "models"],
  ["5", "No driver.", "doctor"],
] as const) {
  for (const one of key === `${keys.escape}c` ? [keys.escape, "c"] : [key]) {
    pty.send(one);
    if (one === keys.escape) await pty.until("step 13/25");
  }
  await pty.until(words);
  await shoot(pty, name);
}
pty.send(keys.control("c"));
await pty.exited;
