// The whole interface on a pseudo-terminal, driven by keys, with an engine that says what the test wants.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Home, isAlive, keys, openInterface } from "../support/interface.ts";
import { type Graphics, kittyPixels, type Profile, type Pty, sixelPixels } from "../support/pty.ts";
import {
  finished,
  halfway,
  inspection,
  movingDisc,
  preview,
  stepFinished,
} from "../support/scene.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";

setDefaultTimeout(40_000);

let home: Home;
let engine: ScriptedEngine;
beforeEach(() => {
  home = new Home();
  engine = new ScriptedEngine(home.runtime);
});
afterEach(async () => {
  await engine[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

const picture = `${process.cwd()}/demo/model/examples/start_1.png`;

/** Waits until the form asks the engine about a chosen picture and shows what it answered. */
const choosePicture = async (pty: Pty): Promise<void> => {
  await pty.until("Picture");
  pty.send(picture);
  await pty.until("145 frames");
};

type Kitty = Extract<Graphics, { kind: "kitty" }>;
const sentKitty = (pty: Pty): readonly Kitty[] =>
  pty.graphics.filter((one): one is Kitty => one.kind === "kitty");

describe("keys", () => {
  test("every screen is reached by a key and says its own", async () => {
    await using pty = openInterface(home);
    await pty.until("0 running, 0 queued");
    for (const [key, words] of [
      [keys.alt("2"), "Nothing runs and nothing ran yet."],
      [keys.alt("3"), "No jobs yet."],
      [keys.alt("4"), "FramePack 13B"],
      [keys.alt("5"), "EPYC, 2 cores."],
      ["1", "Picture"],
      ["\u001bOR", "Nothing runs and nothing ran yet."],
      ["?", "watch the running job"],
      [keys.escape, "Nothing runs and nothing ran yet."],
      ["4", "40 GB"],
      ["p", "Download framepack?"],
      ["n", "FramePack 13B"],
    ] as const) {
      pty.send(key);
      await pty.until(words);
    }
    pty.send(keys.control("c"));
    expect(await pty.exited).toBe(0);
  }, 30_000);

  test("keys that arrive in one read each count", async () => {
    await using pty = openInterface(home);
    await pty.until("0 running");
    // Tab, a prompt with a mistake taken back, Alt-Enter for a second line, Enter to go on.
    pty.send(
      `${keys.tab}A birdd${keys.backspace} flies${keys.altEnter}over water${keys.enter}${keys.tab}7.5`,
    );

    await pty.until(/Prompt +A bird flies\n[^\n]* over water/);
    await pty.until(/▸ Length +7\.5/);
  });

  test("keys typed while the terminal is asked are not lost", async () => {
    await using pty = openInterface(home, { profile: "mute" });
    pty.send(`${keys.tab}early words`);

    await pty.until(/Prompt +early words/);
  });

  test("a paste of many lines lands in the prompt and starts nothing", async () => {
    await using pty = openInterface(home);
    await pty.until("0 running");
    pty.send(keys.tab);
    await pty.until("▸ Prompt");
    pty.send(keys.paste("one\r\ntwo\u001b]0;x\u0007\r\nthree\u0013\t!"));

    await pty.until(/Prompt +one\n[^\n]* two\n[^\n]* three !/);
    expect(engine.told).toEqual([]);
    expect(pty.raw).not.toContain("\u001b]0;x");
  });

  test("a paste outside the form is no command", async () => {
    const id = await engine.submit({ prompt: "stays" });
    engine.say(id, ...halfway);
    await using pty = openInterface(home, { args: ["--job", id] });
    await pty.until("section 2/4");
    pty.send(keys.paste("c"));
    pty.send("i");

    await pty.until("guidance");
    expect(await pty.screen()).not.toContain("Cancel this job?");
  });

  test("Tab completes the path of a picture, quotes and escapes of a drop are undone", async () => {
    home.folder.write("my pictures/one é.png", await Bun.file(picture).bytes());
    await using pty = openInterface(home, { columns: 180 });
    await pty.until("0 running");
    pty.send(keys.paste(`${home.folder.path}/my`));
    await pty.until(`${home.folder.path}/my`);
    pty.send(keys.tab);
    await pty.until(`${home.folder.path}/my pictures/`);
    pty.send(keys.tab);
    await pty.until("one é.png");
    await pty.until("145 frames");

    pty.send(keys.control("u"));
    await pty.until("Choose a picture");
    pty.send(keys.paste(`'${home.folder.path}/my pictures/one é.png' `));
    await pty.until("145 frames");
    pty.send(keys.control("u"));
    await pty.until("Choose a picture");
    pty.send(keys.paste(`${home.folder.path}/my\\ pictures/one\\ é.png`));
    await pty.until("145 frames");
  }, 30_000);

  test("the browser opens folders and takes a picture", async () => {
    home.folder.write("album/inner/shot.png", await Bun.file(picture).bytes());
    await using pty = openInterface(home, { columns: 150 });
    await pty.until("0 running");
    pty.send(`${home.folder.path}/album/`);
    await pty.until("album/");
    pty.send(keys.control("f"));
    await pty.until("inner/");
    pty.send(keys.down + keys.enter);
    await pty.until("shot.png");
    pty.send(keys.down + keys.enter);

    await pty.until("/album/inner/shot.png");
    await pty.until("145 frames");
  });

  test("a ready-made prompt and one used before are taken from their lists", async () => {
    await engine.submit({ prompt: "A prompt of long ago." });
    await using pty = openInterface(home);
    await pty.until("1 running");
    pty.send(keys.control("p"));
    await pty.until("Ready-made prompts");
    pty.send(keys.down + keys.enter);
    await pty.until(/▸ Prompt +A character doing/);
    pty.send(keys.control("r"));
    await pty.until("A prompt of long ago.");
    pty.send(keys.enter);

    await pty.until(/▸ Prompt +A prompt of long ago\./);
  });

  test("starting without a picture is refused at the field", async () => {
    await using pty = openInterface(home);
    await pty.until("0 running");
    pty.send(keys.tab + keys.control("s"));

    await pty.until(/▸ Picture[^\n]*\n[^\n]* Choose a picture to start from\./);
    expect(engine.told).toEqual([]);
  });

  test("what the engine holds against a job is said at its field", async () => {
    const message = "It needs 30 GB more.";
    engine.inspection = inspection({ problems: [{ field: "seconds", message, hint: null }] });
    await using pty = openInterface(home);
    await choosePicture(pty);
    pty.send(keys.control("s"));

    await pty.until(/▸ Length[^\n]*\n[^\n]* It needs 30 GB more\./);
    expect(engine.told).toEqual([]);
  });

  test("the expert settings unfold, and a value out of its range is refused in words", async () => {
    await using pty = openInterface(home, { rows: 60 });
    await choosePicture(pty);
    pty.send(keys.control("e"));
    await pty.until("guidance");
    pty.send(keys.control("e"));
    await pty.until("Ctrl-E more settings");
    pty.send(`${keys.down + keys.down + keys.down}0`);

    await pty.until(/▸ Length +0[^\n]*\n[^\n]* It /);
  });

  test("a job is started, watched, asked about and cancelled by keys alone", async () => {
    await using pty = openInterface(home);
    await choosePicture(pty);
    pty.send(`${keys.tab}A bird flies.${keys.control("s")}`);
    await pty.until(() => engine.told.length === 1);
    const [run] = engine.told;
    if (run?.type !== "run") throw new Error("no job was started");
    expect(run.recipe.prompt).toBe("A bird flies.");
    expect(run.recipe.image).toBe(picture);
    engine.say(run.job, ...halfway);
    await pty.until("section 2/4 · step 12/25");
    pty.send("c");
    await pty.until("Cancel this job?");
    pty.send("n");
    await pty.until("section 2/4");
    expect(engine.told.length).toBe(1);
    pty.send("cy");
    await pty.until(() => engine.told.length === 2);

    expect(engine.told[1]).toEqual({ type: "stop", job: run.job, how: "cancel" });
    engine.say(run.job, { type: "cancelled", code: 130, kept: null });
    engine.end(run.job);
    await pty.until("Stopped; nothing was finished yet.");
  }, 30_000);

  test("leaving lets the job go on and says how to come back", async () => {
    const id = await engine.submit();
    engine.say(id, ...halfway);
    await using pty = openInterface(home);
    await pty.until("1 running");
    pty.send(keys.control("c"));

    expect(await pty.exited).toBe(0);
    expect(pty.raw).toContain(`The job ${id} goes on. framepack attach ${id} comes back to it`);
    expect(engine.told.map((one) => one.type)).toEqual(["run"]);
  });
});

describe("pictures", () => {
  test("in kitty the crop arrives exactly as the engine sent it", async () => {
    const { bytes, pictures } = movingDisc(68, 88, 1);
    engine.inspection = inspection({ crop: pictures });
    await using pty = openInterface(home, { profile: "kitty", columns: 120, rows: 40 });
    await choosePicture(pty);
    await pty.until(() => sentKitty(pty).some((one) => one.keys.a === "p"));

    const [transfer] = sentKitty(pty).filter((one) => one.keys.a === "t");
    if (transfer === undefined) throw new Error("nothing was sent");
    const { width, height, rgb } = await kittyPixels(transfer);
    expect([width, height]).toEqual([68, 88]);
    expect(Buffer.compare(rgb, bytes)).toBe(0);
    expect(await pty.screen()).toContain("\u{10EEEE}");
  });

  test("a new step replaces every frame in place, with its number on every chunk", async () => {
    const id = await engine.submit();
    engine.say(id, ...halfway);
    await using pty = openInterface(home, {
      profile: "kitty",
      columns: 120,
      rows: 40,
      args: ["--job", id],
    });
    await pty.until(() => sentKitty(pty).some((one) => one.keys.a === "a" && one.keys.s === "3"));
    const before = pty.graphics.length;
    const replaced = (): readonly Kitty[] =>
      sentKitty(pty).filter(
        (one, i) => i >= before && one.keys.a === "f" && one.keys.r !== undefined,
      );
    // What comes while a picture still waits replaces it: so steps go on until one finds the picture there.
    let step = 11;
    let saidAt = 0;
    await pty.until(() => {
      if (replaced().length === 0 && performance.now() - saidAt > 1000) {
        saidAt = performance.now();
        engine.say(id, preview(1, ++step));
      }
      return replaced().length >= 9;
    });

    const wanted = movingDisc(68, 88, 9, step).bytes;
    for (const [i, one] of replaced().slice(0, 9).entries()) {
      expect(one.chunks.map((keys) => keys.r)).toEqual(one.chunks.map(() => String(i + 1)));
      const { rgb } = await kittyPixels(one);
      const frame = wanted.subarray(i * rgb.length, (i + 1) * rgb.length);
      expect(Buffer.compare(rgb, frame)).toBe(0);
    }
    const ids = new Set(replaced().map((one) => one.keys.i));
    expect(ids.size).toBe(1);
  }, 30_000);

  test.each<Profile>(["xterm-sixel", "foot"])(
    "in %s the crop is drawn as sixel, and not again while only text changes",
    async (profile) => {
      await using pty = openInterface(home, { profile, columns: 120, rows: 40 });
      await choosePicture(pty);
      await pty.until(() => pty.graphics.length > 0);
      pty.send(`${keys.tab}some words that change the form only`);
      await pty.until("that change the form only");

      expect(pty.graphics.map((one) => one.kind)).toEqual(["sixel"]);
      const [sixel] = pty.graphics;
      if (sixel?.kind !== "sixel") throw new Error("no sixel");
      const { width, height, rgb } = sixelPixels(sixel);
      expect(height % 6).toBe(0);
      const colours = new Set<number>();
      for (let i = 0; i < rgb.length; i += 3) {
        colours.add(((rgb[i] ?? 0) << 16) | ((rgb[i + 1] ?? 0) << 8) | (rgb[i + 2] ?? 0));
      }
      expect(width).toBeGreaterThan(100);
      expect(colours.size).toBeGreaterThan(64);
    },
  );

  test("in an older kitty pictures lie over cells and move with the window", async () => {
    await using pty = openInterface(home, { profile: "kitty-old", columns: 120, rows: 40 });
    await choosePicture(pty);
    const placed = (): number => sentKitty(pty).filter((one) => one.keys.a === "p").length;
    await pty.until(() => placed() > 0);
    const before = placed();
    pty.resize(100, 40);

    await pty.until(() => placed() > before);
    expect(sentKitty(pty).filter((one) => one.keys.a === "p" && one.keys.U === "1")).toEqual([]);
  });

  test("where there are no graphics, half blocks stand for the picture", async () => {
    await using pty = openInterface(home, { profile: "plain" });
    await choosePicture(pty);

    await pty.until("▀▀▀▀▀");
  });

  test("with NO_COLOR the picture is drawn in characters and no colour is sent", async () => {
    await using pty = openInterface(home, { profile: "plain", env: { NO_COLOR: "1" } });
    await choosePicture(pty);

    await pty.until(/[-=+*#%@]{8}/);
    const sent = pty.raw.replaceAll("\u001b[48;2;1;2;3m", "");
    expect(sent).not.toMatch(/\u001b\[(3|4)[0-8][;m]/);
  });

  test("a terminal that answers nothing is drawn on at once and has a picture soon", async () => {
    const from = performance.now();
    await using pty = openInterface(home, { profile: "mute" });
    await pty.until("Picture");
    const drawn_ms = performance.now() - from;
    await choosePicture(pty);
    await pty.until("▀▀▀▀▀");

    expect(drawn_ms).toBeLessThan(5000);
  });
});

describe("the end", () => {
  const restored = (pty: Pty): void => {
    const tail = pty.raw.slice(pty.raw.lastIndexOf("\u001b[?2026l"));
    expect(pty.raw).toContain("\u001b[?1049h");
    expect(tail).toContain("\u001b[?1049l");
    expect(tail).toContain("\u001b[?25h");
    expect(tail).toContain("\u001b[?2004l");
    expect(pty.raw.lastIndexOf("\u001b[?1049h")).toBeLessThan(pty.raw.lastIndexOf("\u001b[?1049l"));
  };
  const freed = (pty: Pty): void => {
    const ids = (keys: (one: Kitty) => boolean): string[] =>
      [
        ...new Set(
          sentKitty(pty)
            .filter(keys)
            .map((one) => one.keys.i ?? ""),
        ),
      ].sort();
    expect(ids((one) => one.keys.a === "t").length).toBeGreaterThan(0);
    expect(ids((one) => one.keys.a === "d" && one.keys.d === "I")).toEqual(
      expect.arrayContaining(ids((one) => one.keys.a === "t")),
    );
  };

  test.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGINT", 130],
  ] as const)("on %s the terminal is restored and pictures are freed", async (signal, code) => {
    await using pty = openInterface(home, { profile: "kitty", columns: 120, rows: 40 });
    await choosePicture(pty);
    await pty.until(() => sentKitty(pty).some((one) => one.keys.a === "p"));
    pty.kill(signal);

    expect(await pty.exited).toBe(code);
    restored(pty);
    freed(pty);
  });

  test("on Ctrl-C the terminal is restored and pictures are freed", async () => {
    await using pty = openInterface(home, { profile: "kitty", columns: 120, rows: 40 });
    await choosePicture(pty);
    await pty.until(() => sentKitty(pty).some((one) => one.keys.a === "p"));
    pty.send(keys.control("c"));

    expect(await pty.exited).toBe(0);
    restored(pty);
    freed(pty);
  });

  test("on a failure of its own the terminal is restored and the failure told", async () => {
    await using pty = openInterface(home, {
      profile: "kitty",
      columns: 120,
      rows: 40,
      preload: "tests/support/crash-on-signal.ts",
    });
    await choosePicture(pty);
    await pty.until(() => sentKitty(pty).some((one) => one.keys.a === "p"));
    pty.kill("SIGUSR2");

    expect(await pty.exited).not.toBe(0);
    restored(pty);
    freed(pty);
    expect(pty.raw.slice(pty.raw.lastIndexOf("\u001b[?1049l"))).toContain("made to fail");
  });

  test("an engine that ends is told, and Ctrl-G goes on with another one", async () => {
    await using pty = openInterface(home, { columns: 120 });
    await pty.until("0 running");
    await engine[Symbol.asyncDispose]();
    await pty.until("The engine is gone");
    engine = new ScriptedEngine(home.runtime);
    await engine.submit();
    pty.send(keys.control("g"));

    await pty.until("1 running");
    expect(await pty.screen()).not.toContain("The engine is gone");
  });
});

describe("the window", () => {
  test("it follows every size and says when it is too small", async () => {
    const id = await engine.submit();
    engine.say(id, ...halfway);
    await using pty = openInterface(home, { columns: 80, rows: 24, args: ["--job", id] });
    await pty.until("section 2/4");
    pty.resize(50, 12);
    await pty.until("The window is 50×12");
    pty.resize(200, 60);
    await pty.until("finished so far, as in the video");
    pty.resize(60, 16);
    await pty.until("section 2/4");
    engine.say(id, stepFinished(1, 20));
    await pty.until("step 21/25");
    engine.say(id, finished);
    engine.end(id);
    await pty.until("Finished in 2:34");
    const before = pty.raw.length;
    pty.send(keys.control("l"));
    await pty.until(() => pty.raw.slice(before).includes("Finished in 2:34"));
    await pty.until(/framepack · seed[\s\S]*Finished in 2:34/);
  }, 30_000);

  test("a screen reader gets lines on the ordinary screen and no pictures", async () => {
    const id = await engine.submit({ prompt: "A bird flies." });
    engine.say(id, ...halfway);
    await using pty = openInterface(home, {
      profile: "kitty",
      rows: 60,
      args: ["--job", id],
      env: { INK_SCREEN_READER: "true" },
    });
    await pty.until("section 2/4");

    expect(await pty.screen()).toContain("A bird flies.");
    expect(pty.raw).not.toContain("\u001b[?1049h");
    expect(pty.graphics).toEqual([]);
    expect(await pty.screen()).not.toMatch(/[▀█░\u{10EEEE}]/u);
    pty.send(keys.control("c"));
    expect(await pty.exited).toBe(0);
  });

  test("it starts in any folder", async () => {
    await using pty = openInterface(home, { cwd: home.folder.path });

    await pty.until("0 running, 0 queued");
  });

  test("a dumb terminal is refused in a sentence", async () => {
    await using pty = openInterface(home, { env: { TERM: "dumb" } });

    expect(await pty.exited).toBe(2);
    expect(pty.raw).toContain("TERM is dumb");
    expect(pty.raw).not.toContain("\u001b[");
    expect(isAlive(process.pid)).toBe(true);
  });
});
