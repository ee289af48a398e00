// What each screen shows, as the words a person reads, in a small and in a large window.

import { describe, expect, test } from "bun:test";
import type { JobEvent } from "../../src/engine/events.ts";
import type { JobState } from "../../src/engine/protocol.ts";
import type { Action } from "../../src/tui/state.ts";
import { failed, finished, halfway, inspection, job, plan, recipe } from "../support/scene.ts";
import { drawn, large, small, stateAfter } from "./draw.tsx";

const sizes = [
  ["80×24", small],
  ["200×60", large],
] as const;

const watching = (state: JobState, events: readonly JobEvent[]): Action[] => [
  { type: "jobs", jobs: [job(state, events)] },
  { type: "show", screen: "run" },
];

describe.each(sizes)("in %s", (_name, size) => {
  test("no line is wider and no screen higher than the window", () => {
    const busy: Action[] = [
      { type: "jobs", jobs: [job("running", halfway)] },
      { type: "inspected", inspection: inspection() },
      { type: "notice", notice: { text: "word ".repeat(60), tone: "bad", until: 0 } },
    ];
    for (const screen of ["compose", "run", "jobs", "models", "doctor"] as const) {
      const lines = drawn(stateAfter(size, ...busy, { type: "show", screen })).split("\n");

      expect(lines.length).toBeLessThan(size.rows);
      expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(
        size.columns,
      );
    }
  });

  test("the compose screen shows every field, what is wrong, and what the job would be", () => {
    const screen = drawn(
      stateAfter(
        size,
        { type: "draft", draft: { image: "/nowhere.png", prompt: "A bird flies." } },
        {
          type: "resolved",
          recipe: null,
          problems: [{ field: "image", message: "There is no file.", hint: null }],
        },
        { type: "inspected", inspection: inspection() },
      ),
    );

    for (const word of ["Picture", "Prompt", "Preset", "Length", "Seed", "TeaCache", "Model"]) {
      expect(screen).toContain(word);
    }
    expect(screen).toContain("There is no file.");
    expect(screen).toContain("A bird flies.");
    expect(screen).toContain("1200×1600 → 544×704");
    expect(screen).toContain("145 frames, 4.83 s");
    expect(screen).toContain("4 sections × 25 steps");
    expect(screen).toContain("about 2:34");
    expect(screen).toContain("device 21 GB");
    expect(screen).toContain("Ctrl-S start");
  });

  test("the prompt field counts tokens and shows what is cut", () => {
    const cut = { used: 256, max: 256, cut: "and a red hat" };
    const screen = drawn(
      stateAfter(
        size,
        { type: "draft", draft: { prompt: "long", field: "prompt" } },
        {
          type: "inspected",
          inspection: inspection({ tokens: { llama: cut, clip: { ...cut, max: 77, cut: "" } } }),
        },
      ),
    ).replaceAll(/\s+/g, " ");

    expect(screen).toContain("256 of 256 tokens");
    expect(screen).toContain('cut off: "and a red hat"');
  });

  test("a running job shows section, step, time left, memory, skips and that the end is made first", () => {
    const screen = drawn(stateAfter(size, ...watching("running", halfway)));

    expect(screen).toContain("section 2/4 · step 12/25 · 1.48 s/step");
    expect(screen).toContain("left: section 19 s, job 1:33");
    expect(screen).toContain("section 2 of 4 makes frames 74–109 of 145; the end is made first");
    expect(screen).toContain("36 of 145 frames");
    expect(screen).toContain("18 GB now, 21 GB at most");
    expect(screen).toContain("RAM      6.1 GB");
    expect(screen).toContain("TeaCache 1 step skipped");
    expect(screen).toContain("now: frames 74–109, step 12");
    expect(screen).toContain("finished so far, as in the video");
  });

  test("a finished job says where its video is", () => {
    const screen = drawn(stateAfter(size, ...watching("finished", [...halfway, finished])));

    expect(screen).toContain("Finished in 2:34: /videos/dance.mp4");
    expect(screen).toContain("100 %");
  });

  test("a failed job says what happened, what to do, and what is kept", () => {
    const screen = drawn(stateAfter(size, ...watching("failed", [...halfway, failed])));

    expect(screen).toContain("was killed by the kernel: out of memory.");
    expect(screen).toContain("Give it less with --ram.");
    expect(screen).toContain("Kept: /videos/dance.partial.mp4. g goes on with it.");
  });

  test("a cancelled job says what is kept", () => {
    const cancelled: JobEvent = { type: "cancelled", code: 130, kept: null };
    const screen = drawn(stateAfter(size, ...watching("cancelled", [...halfway, cancelled])));

    expect(screen).toContain("Stopped; nothing was finished yet.");
  });

  test("an interrupted job says that g goes on with it", () => {
    const screen = drawn(stateAfter(size, ...watching("interrupted", halfway)));

    expect(screen).toContain("Interrupted: its engine ended. g goes on from the last finished");
  });

  test("a queued job says its place", () => {
    const screen = drawn(stateAfter(size, ...watching("queued", [])));

    expect(screen).toContain("waiting, place 1 in the queue");
  });

  test("the forward order is told as such", () => {
    const forward = plan({ order: "f1" });
    const screen = drawn(
      stateAfter(size, ...watching("running", [{ type: "planned", plan: forward }])),
    );

    expect(screen).toContain("made forwards, from start to end");
  });

  test("the list of jobs shows every state, and the selected job's facts", () => {
    const states = ["running", "queued", "finished", "failed", "cancelled", "interrupted"] as const;
    const jobs = states.map((state, i) => job(state, halfway, { id: `job-${i}` }));
    const screen = drawn(
      stateAfter(size, { type: "jobs", jobs }, { type: "show", screen: "jobs" }),
    );

    for (const state of states) expect(screen).toContain(` ${state}`);
    expect(screen).toContain("1 running, 1 queued");
    expect(screen).toContain("place 1");
    expect(screen).toContain("2 min ago");
    expect(screen).toContain("/videos/dance.partial.mp4");
    expect(screen).toContain("145 frames, 4.83 s, 4 sections");
  });

  test("help shows every command of its screen", () => {
    const screen = drawn(
      stateAfter(size, { type: "show", screen: "jobs" }, { type: "open", dialog: help }),
    );

    for (const about of ["watch the job", "run again from the start", "go on where it stopped"]) {
      expect(screen).toContain(about);
    }
    expect(screen).toContain("leave; a running job goes on");
    expect(screen).toContain("Esc back");
  });

  test("models and checks are listed with what to do about them", () => {
    const models = drawn(
      stateAfter(
        size,
        {
          type: "models",
          models: [
            {
              name: "framepack",
              title: "FramePack 13B",
              state: "partial",
              path: "/models/framepack",
              bytesPresent: 12_000_000_000,
              bytesTotal: 40_000_000_000,
              licence: "its own",
              missing: ["vae"],
            },
          ],
        },
        {
          type: "message",
          message: {
            type: "download",
            download: {
              model: "framepack",
              state: "running",
              file: "a.safetensors",
              bytesDone: 12_000_000_000,
              bytesTotal: 40_000_000_000,
              bytesPerSecond: 50_000_000,
              leftMs: 560_000,
              message: null,
            },
          },
        },
        { type: "show", screen: "models" },
      ),
    );
    const doctor = drawn(
      stateAfter(
        size,
        {
          type: "checks",
          checks: [
            { id: "gpu", label: "gpu", state: "fail", text: "No driver.", advice: "Get one." },
          ],
        },
        { type: "show", screen: "doctor" },
      ),
    );

    expect(models).toContain("12 GB of 40 GB");
    expect(models).toContain("50 MB/s · 9:20 left · a.safetensors");
    expect(doctor).toContain("✗ gpu          No driver.");
    expect(doctor).toContain("Get one.");
  });
});

const help = { kind: "help", from: 0 } as const;

test("cancelling is asked once, and the question names the job", () => {
  const screen = drawn(
    stateAfter(small, ...watching("running", halfway), {
      type: "open",
      dialog: { kind: "cancelJob", job: job("running").id },
    }),
  );

  expect(screen).toContain("Cancel this job?");
  expect(screen).toContain("The girl dances gracefully");
  expect(screen).toContain("y yes");
});

test("a long recipe is shown a window at a time", () => {
  const dialog = { kind: "recipe", job: job("running").id, from: 0 } as const;
  const jobs: Action = { type: "jobs", jobs: [job("running")] };
  const top = stateAfter(small, jobs, { type: "open", dialog });
  const end = stateAfter(small, jobs, { type: "open", dialog }, { type: "scroll", by: 1000 });

  expect(drawn(top)).toContain("model");
  expect(drawn(top)).not.toContain("preset");
  expect(drawn(end)).toContain("preset");
});

test("a window that is too small says so", () => {
  const screen = drawn(stateAfter({ columns: 59, rows: 24 }));

  expect(screen).toContain("The window is 59×24; framepack needs 60×16.");
});

test("a lost engine is told on every screen, with the key that connects again", () => {
  const lost: Action = {
    type: "connection",
    connection: { state: "lost", reason: "the engine is gone without a word." },
  };
  for (const screen of ["compose", "run", "jobs", "models", "doctor"] as const) {
    const text = drawn(stateAfter(small, lost, { type: "show", screen })).replaceAll(/\s+/g, " ");

    expect(text).toContain("The engine is gone: the engine is gone without a word.");
    expect(text).toContain("Ctrl-G connects again");
    expect(text).toContain("engine lost");
  }
});

test("escape sequences in prompts, paths and messages are shown, not sent", () => {
  const evil = "\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e";
  const nasty: readonly JobEvent[] = [
    ...halfway,
    { type: "warning", id: "x", text: evil },
    { type: "fileWritten", kind: "partial", path: `/${evil}.mp4`, bytes: 1, frames: 1 },
  ];
  const jobs = [
    job("running", nasty, { recipe: recipe({ prompt: evil, model: `/${evil}` }) }),
    job(
      "failed",
      [...nasty, { ...(failed as { type: "failed" }), message: evil, hint: evil }] as never,
      {
        id: "other",
        recipe: recipe({ prompt: evil }),
      },
    ),
  ];
  const draft: Action = { type: "draft", draft: { image: evil, prompt: evil } };
  const problems = [{ field: "image", message: evil, hint: null }];
  for (const screen of ["compose", "run", "jobs"] as const) {
    const text = drawn(
      stateAfter(
        large,
        { type: "jobs", jobs },
        draft,
        { type: "resolved", recipe: null, problems },
        { type: "notice", notice: { text: evil, tone: "bad", until: 0 } },
        { type: "show", screen },
        { type: "select", list: "jobs", row: 1 },
      ),
    );

    expect(text).toContain("\\x1b");
    expect(text).not.toContain("\u001b]");
    expect(text).not.toContain("\u001b[2J");
    expect(text).not.toMatch(/[\u0007\u009b\u202e]/);
  }
});

test("wide characters and emoji keep every line inside the window", () => {
  const prompt = "日本語のプロンプト👩‍👩‍👧 ".repeat(12);
  const state = stateAfter(
    small,
    { type: "draft", draft: { prompt, field: "prompt", cursor: prompt.length } },
    { type: "jobs", jobs: [job("running", halfway, { recipe: recipe({ prompt }) })] },
  );
  for (const screen of ["compose", "run", "jobs"] as const) {
    const lines = drawn({ ...state, screen }).split("\n");

    expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(80);
    expect(lines.length).toBeLessThan(24);
  }
});
