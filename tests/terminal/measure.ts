// Measures the interface on this machine and writes docs/measurements/interface.md: bun tests/terminal/measure.ts
// Needs the built library; the slow link also needs an SSH server that may be started here.

import { mkdirSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { scale, splitFrames } from "../../src/tui/pictures/picture.ts";
import { sixelPicture } from "../../src/tui/pictures/sixel.ts";
import { Home, keys, openInterface, root } from "../support/interface.ts";
import { freePort, LoopbackSsh, SlowLink, sshMissing } from "../support/loopback-ssh.ts";
import { type Profile, Pty, sixelPixels } from "../support/pty.ts";
import { movingDisc } from "../support/scene.ts";

type Row = Readonly<{ what: string; measured: string; goal: string; met: boolean | null }>;

const patience_ms = 60_000;
const ticksPerSecond = 100;

const percentile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
};

const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

/** A long job of the embedded model; the engine lives until the home goes. */
const submitDemo = async (home: Home, seconds: number): Promise<void> => {
  const args = ["run", "--preset", "demo", "--seconds", String(seconds), "--detach"];
  const { code } = await home.verb(...args);
  if (code !== 0) throw new Error(`run --detach ended with ${code}`);
};

/** Types letters one by one and takes the time until each is on the screen. */
const keyTimes = async (pty: Pty, count: number): Promise<readonly number[]> => {
  const times: number[] = [];
  pty.send(keys.alt("1"));
  await pty.until("Picture", patience_ms);
  pty.send(keys.tab);
  await pty.until("▸ Prompt", patience_ms);
  for (let i = 0; i < count; i++) {
    const letter = "abcdefghijklmnopqrstuvwxyz"[i % 26] ?? "a";
    const before = pty.raw.length;
    const from = performance.now();
    pty.send(letter);
    while (!pty.raw.slice(before).includes(letter)) {
      if (performance.now() - from > 20_000) throw new Error("a key never came back");
      await Bun.sleep(1);
    }
    times.push(performance.now() - from);
    // As somebody types: not in step with anything.
    await Bun.sleep(40 + ((i * 37) % 90));
  }
  return times;
};

const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
};

const peakMegabytes = (pid: number): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1000;

/** Until the words are drawn: time that passed, and time that a processor worked for it. */
const startTimes = async (
  home: Home,
  args: readonly string[],
  words: string,
): Promise<Readonly<{ wall: number; worked: number }>> => {
  const times: number[] = [];
  const worked: number[] = [];
  for (let i = 0; i < 7; i++) {
    const from = performance.now();
    await using pty = openInterface(home, { profile: "kitty", args });
    while (!pty.raw.includes(words)) {
      if (performance.now() - from > 20_000) throw new Error("nothing was drawn");
      await Bun.sleep(1);
    }
    times.push(performance.now() - from);
    worked.push(cpuSeconds(pty.pid) * 1000);
    pty.send(keys.control("c"));
    await pty.exited;
  }
  return { wall: percentile(times, 0.5), worked: percentile(worked, 0.5) };
};

const measureStart = async (): Promise<readonly Row[]> => {
  await using home = new Home();
  await submitDemo(home, 120);
  const first = await startTimes(home, [], "Compose");
  const { out } = await home.verb("jobs", "--json");
  const job = /"id":\s*"([^"]+)"/.exec(out)?.[1] ?? "";
  const again = await startTimes(home, ["--job", job], "section ");
  const words = ({ wall, worked }: typeof first): string => `${ms(wall)}, ${ms(worked)} of work`;
  return [
    row("start to the first frame, median of 7", words(first), "< 300 ms", first.wall < 300),
    row(
      "start to a running job's live state, median of 7",
      words(again),
      "< 1 s",
      again.wall < 1000,
    ),
  ];
};

const measureLocal = async (): Promise<readonly Row[]> => {
  await using home = new Home();
  await submitDemo(home, 2000);
  const still = openInterface(home, { columns: 100, rows: 34, args: ["--preview", "none"] });
  await still.until("1 running", patience_ms);
  still.send(keys.alt("2"));
  await still.until(/section \d/, patience_ms);
  // Until the compiler has seen all of it.
  await Bun.sleep(15_000);
  const [cpuFrom, from] = [cpuSeconds(still.pid), performance.now()];
  await Bun.sleep(10_000);
  const share = (cpuSeconds(still.pid) - cpuFrom) / ((performance.now() - from) / 1000);
  const quiet = percentile(await keyTimes(still, 150), 0.95);
  const memory = peakMegabytes(still.pid);
  still.kill("SIGTERM");
  await still.exited;
  const rich = openInterface(home, { columns: 100, rows: 34, profile: "kitty" });
  await rich.until("1 running", patience_ms);
  const busy = percentile(await keyTimes(rich, 100), 0.95);
  const peak = Math.max(memory, peakMegabytes(rich.pid));
  rich.kill("SIGTERM");
  await rich.exited;
  return [
    row("key to screen while a job runs, 95th percentile of 150", ms(quiet), "< 50 ms", quiet < 50),
    row("the same with previews in kitty, of 100", ms(busy), "< 50 ms", busy < 50),
    row(
      "processor of the interface, no previews",
      `${(share * 100).toFixed(1)} %`,
      "< 5 %",
      share < 0.05,
    ),
    row("memory of the interface, peak", `${peak.toFixed(0)} MB`, "< 150 MB", peak < 150),
  ];
};

const measureSlowLink = async (profile: Profile): Promise<readonly Row[]> => {
  const what = `key to screen over SSH at 1 Mbit/s and 20 ms, previews in ${profile}, 95th percentile of 60`;
  const missing = sshMissing();
  if (missing !== null) return [{ what, measured: missing, goal: "< 300 ms", met: null }];
  await using home = new Home();
  await submitDemo(home, 2000);
  await using server = await LoopbackSsh.start();
  const port = await freePort();
  using _link = new SlowLink(port, server.port, 125_000, 20);
  const line = `cd '${root}' && exec '${process.execPath}' src/main.ts`;
  await using pty = new Pty(server.command(line, port), {
    profile,
    columns: 100,
    rows: 34,
    env: home.env,
  });
  await pty.until("1 running", patience_ms);
  pty.send(keys.alt("2"));
  await pty.until(/section \d/, patience_ms);
  await pty.until(() => pty.graphics.length > 2, patience_ms);
  const slow = percentile(await keyTimesOnRun(pty, 60), 0.95);
  return [row(what, ms(slow), "< 300 ms", slow < 300)];
};

/** Opens and closes help on the run screen, where previews move, and takes the time of each. */
const keyTimesOnRun = async (pty: Pty, count: number): Promise<readonly number[]> => {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const opens = i % 2 === 0;
    const before = pty.raw.length;
    const from = performance.now();
    pty.send(opens ? "?" : "q");
    const sign = opens ? "this help" : "leave it running";
    while (!pty.raw.slice(before).includes(sign)) {
      if (performance.now() - from > 30_000) throw new Error("a key never came back");
      await Bun.sleep(1);
    }
    times.push(performance.now() - from);
    await Bun.sleep(400 + ((i * 53) % 300));
  }
  return times;
};

/** Times of a step with and without somebody who takes previews, taken in turns. */
const measurePreviewCost = async (): Promise<readonly Row[]> => {
  const medians: Record<"with" | "without", number[]> = { with: [], without: [] };
  await using home = new Home();
  for (let round = 0; round < 6; round++) {
    const how = round % 2 === 0 ? "without" : "with";
    const watcher =
      how === "with" ? openInterface(home, { profile: "kitty", columns: 100, rows: 34 }) : null;
    const { out } = await home.verb("run", "--preset", "demo", "--seconds", "9", "--json");
    const steps = [...out.matchAll(/"latencyMs":\s*([\d.]+),"skipped"/g)].map((m) => Number(m[1]));
    medians[how].push(percentile(steps, 0.5));
    watcher?.kill("SIGTERM");
    await watcher?.exited;
  }
  const [on, off] = [percentile(medians.with, 0.5), percentile(medians.without, 0.5)];
  const cost = on - off;
  const words = `${ms(off)} → ${ms(on)} a step of the embedded model`;
  // A step of the published model takes a second and more; the cost of a preview is the same.
  return [
    row("previews' cost to a step, medians of 3 jobs each", words, "< 1 % of 1.5 s", cost < 15),
  ];
};

const measureSixel = async (): Promise<readonly Row[]> => {
  const [frame] = splitFrames(movingDisc(68, 88, 1).pictures);
  if (frame === undefined) throw new Error("no frame");
  const cell = { width: 10, height: 20 };
  const data = await sixelPicture(frame, 32, 21, cell, 256);
  const got = sixelPixels({ kind: "sixel", data });
  const want = scale(frame, 320, 420);
  let sum = 0;
  for (let i = 0; i < want.rgb.length; i++) sum += ((want.rgb[i] ?? 0) - (got.rgb[i] ?? 0)) ** 2;
  const psnr = 10 * Math.log10(65025 / (sum / want.rgb.length));
  return [
    row("sixel at 256 colours against its source", `${psnr.toFixed(1)} dB`, "≥ 30 dB", psnr >= 30),
  ];
};

const row = (what: string, measured: string, goal: string, met: boolean): Row => ({
  what,
  measured,
  goal,
  met,
});

const parts: Readonly<Record<string, () => Promise<readonly Row[]>>> = {
  start: measureStart,
  local: measureLocal,
  kitty: () => measureSlowLink("kitty"),
  sixel: () => measureSlowLink("xterm-sixel"),
  previews: measurePreviewCost,
  encoder: measureSixel,
};

const chosen = process.argv.slice(2);
const rows: Row[] = [];
for (const [name, part] of Object.entries(parts)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  for (const one of await part()) {
    rows.push(one);
    console.log(
      `${one.met === null ? "skip" : one.met ? "ok  " : "MISS"} ${one.what}: ${one.measured} (${one.goal})`,
    );
  }
}
if (chosen.length === 0) {
  const table = rows.map(
    ({ what, measured, goal, met }) =>
      `| ${what} | ${measured} | ${goal} | ${met === null ? "not measured" : met ? "yes" : "no"} |`,
  );
  const [cpu] = cpus();
  const text = [
    "# The interface",
    "",
    `Measured by \`bun tests/terminal/measure.ts\` on ${new Date().toISOString().slice(0, 10)}: ${cpu?.model ?? "?"},`,
    `${cpus().length} cores, load average ${loadavg()[0]?.toFixed(1)}, Bun ${Bun.version}, with the embedded model computing on the same`,
    "cores. A load average above the number of cores means that other work ran beside: those figures are upper bounds.",
    "",
    "| what | measured | goal | met |",
    "|---|---|---|---|",
    ...table,
    "",
  ].join("\n");
  mkdirSync(join(root, "docs/measurements"), { recursive: true });
  await Bun.write(join(root, "docs/measurements/interface.md"), text);
}
process.exit(0);
