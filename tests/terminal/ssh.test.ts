// Over SSH: the client is killed in the middle of a section, the job goes on, and who comes back sees it. Needs an SSH server
// that this test may start; skipped, with a word, where it may not.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Home, keys, root } from "../support/interface.ts";
import { LoopbackSsh, sshMissing } from "../support/loopback-ssh.ts";
import { Pty } from "../support/pty.ts";

setDefaultTimeout(90_000);
const patience_ms = 45_000;
const missing = sshMissing();
if (missing !== null) console.warn(`tests/terminal/ssh.test.ts: ${missing}, skipped`);

test.skipIf(missing !== null)(
  "a job outlives the SSH client, and a new client sees it",
  async () => {
    await using home = new Home();
    await using server = await LoopbackSsh.start();
    const program = `cd '${root}' && exec '${process.execPath}' src/main.ts`;
    const connect = (line: string): Pty =>
      new Pty(server.command(line), { profile: "kitty", columns: 110, rows: 34, env: home.env });

    const first = connect(program);
    await first.until("Preset", patience_ms);
    first.send(keys.tab + keys.tab + keys.right);
    await first.until("73 frames", patience_ms);
    first.send(`${keys.tab}12${keys.control("s")}`);
    await first.until(/section \d+\/\d+ · step/, patience_ms);
    first.kill("SIGKILL");
    await first.exited;

    await using second = connect(program);
    await second.until("1 running", patience_ms);
    second.send(keys.alt("2"));
    await second.until("Finished in", patience_ms);
    expect(await second.screen()).toContain("\u{10EEEE}");
  },
);
