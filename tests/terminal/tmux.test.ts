// A person's whole way in tmux, with the embedded model: write, run, watch, detach, come back; and what happens when the
// interface or the engine is killed. Needs tmux; skipped, with a word, where there is none.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Home, keys, openInterface, untilGone } from "../support/interface.ts";
import { Pty } from "../support/pty.ts";

setDefaultTimeout(90_000);

const patience_ms = 45_000;
const tmux = Bun.which("tmux");
if (tmux === null) console.warn("tests/terminal/tmux.test.ts: tmux is not installed, skipped");

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(() => home[Symbol.asyncDispose]());

let servers = 0;

/** `framepack` in a tmux of its own, in a kitty of today. */
const openTmux = (passthrough: "on" | "off", args: readonly string[] = []): Pty => {
  const config = home.folder.write(
    "tmux.conf",
    [
      `set -g allow-passthrough ${passthrough}`,
      "set -g default-terminal tmux-256color",
      "set -g status off",
      "set -s escape-time 10",
      "set -g destroy-unattached on",
    ].join("\n"),
  );
  const program = [process.execPath, "src/main.ts", ...args].map((word) => `'${word}'`).join(" ");
  // A server of its own each time: the last one may still be ending.
  const server = ["-S", `${home.folder.path}/tmux-${servers++}`, "-f", config];
  return new Pty([tmux ?? "tmux", ...server, "new-session", program], {
    profile: "kitty",
    columns: 100,
    rows: 34,
    env: { ...home.env, TMUX_TMPDIR: home.folder.path },
  });
};

/** Chooses the embedded model on the compose screen. */
const chooseDemo = async (pty: Pty): Promise<void> => {
  await pty.until("Preset", patience_ms);
  pty.send(keys.tab + keys.tab + keys.right);
  await pty.until("73 frames", patience_ms);
};

describe.skipIf(tmux === null)("in tmux", () => {
  test("the demo video is made by keys alone, left and come back to on the way", async () => {
    let job = "";
    {
      await using pty = openTmux("on");
      await chooseDemo(pty);
      // Longer than it takes to leave and come back.
      pty.send(`${keys.tab}40${keys.control("s")}`);
      await pty.until(/step \d+\/12/, patience_ms);
      await pty.until("\u{10EEEE}", patience_ms);
      job = /\d{6}-\d{6}\S*/.exec(await pty.screen())?.[0] ?? "";
      expect(job).not.toBe("");
      pty.send("d");
      await pty.exited;
    }
    await using again = openTmux("on", ["--job", job]);
    await again.until(job, patience_ms);
    await again.until("Finished in", patience_ms);

    const video = /\S+\.mp4/.exec(await again.screen())?.[0] ?? "";
    expect(video).not.toBe("");
    again.send("3");
    await again.until(/finished +just now/, patience_ms);
    again.send(keys.control("c"));
    await again.exited;
  });

  test("with passthrough off pictures are half blocks and no graphics leak", async () => {
    await using pty = openTmux("off");
    await chooseDemo(pty);

    await pty.until("▀▀▀▀▀", patience_ms);
    expect(pty.graphics).toEqual([]);
    expect(await pty.screen()).not.toContain("Gi=31");
  });
});

describe("killed", () => {
  test("an interface killed with -9 leaves the job running, and a new one shows it", async () => {
    const first = openInterface(home);
    await chooseDemo(first);
    first.send(`${keys.tab}40${keys.control("s")}`);
    await first.until(/step \d+\/12/, patience_ms);
    first.kill("SIGKILL");
    await first.exited;

    await using second = openInterface(home, { args: [] });
    await second.until("1 running", patience_ms);
    second.send(keys.alt("2"));
    await second.until(/section \d+\/\d+/, patience_ms);
    await second.until("Finished in", patience_ms);
  });

  test("an engine killed with -9 is told, and the job goes on from its last section", async () => {
    await using pty = openInterface(home, { columns: 120, rows: 34 });
    await chooseDemo(pty);
    pty.send(`${keys.tab}40${keys.control("s")}`);
    // The first section is finished: there is something to go on from.
    await pty.until(/section ([2-9]|1\d)\/\d+ · /, patience_ms);
    const pid = await home.enginePid();
    if (pid === null) throw new Error("no engine");
    process.kill(pid, "SIGKILL");
    await untilGone(pid);
    await pty.until("The engine is gone", patience_ms);
    await pty.until("it may have been killed", patience_ms);
    pty.send(keys.control("g"));
    await pty.until("Interrupted: its engine ended.", patience_ms);
    pty.send("g");

    await pty.until(/section \d+\/\d+ · /, patience_ms);
    await pty.until("Finished in", patience_ms);
  });
});
