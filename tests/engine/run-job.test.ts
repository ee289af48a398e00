import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { demoFolder } from "../../src/engine/config/model-folder.ts";
import { type JobEvent, jobEventSchema } from "../../src/engine/events.ts";
import { Failure } from "../../src/engine/failure.ts";
import { type Recipe, recipeDefaults } from "../../src/engine/job.ts";
import { checkpointPath } from "../../src/engine/run/checkpoint.ts";
import { type JobResult, type RunContext, runJob } from "../../src/engine/run-job.ts";
import { readSafetensors } from "../../src/engine/weights/safetensors.ts";
import { memory } from "../../src/ffi/library.ts";
import { MemorySink } from "../support/memory-sink.ts";

// Whole jobs; the machine may be busy with other tests.
setDefaultTimeout(60_000);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "framepack-job-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const recipe = (change: Partial<Recipe> = {}): Recipe => ({
  ...recipeDefaults,
  model: "demo",
  image: join(demoFolder, "examples/start_1.png"),
  prompt: "A yellow square bounces up and down.",
  steps: 4,
  seconds: 2.4,
  teacache: false,
  threads: 2,
  backend: "cpu",
  ...change,
});

type Seen = { result: JobResult; events: JobEvent[]; sink: MemorySink };
type Options = Partial<RunContext> & { sink?: MemorySink; onEvent?: (event: JobEvent) => void };

const run = async (change: Partial<Recipe> = {}, options: Options = {}): Promise<Seen> => {
  const { sink = new MemorySink(), onEvent, ...context } = options;
  const events: JobEvent[] = [];
  const result = await runJob(recipe(change), {
    emit: (event) => {
      events.push(jobEventSchema.parse(event));
      onEvent?.(event);
    },
    signal: new AbortController().signal,
    stateDir: folder,
    makeSink: () => sink,
    ...context,
  });
  return { result, events, sink };
};

const hashOf = ({ sink }: Pick<Seen, "sink">): string => {
  expect(sink.frames.length).toBeGreaterThan(0);
  return Bun.hash(sink.frames).toString(16);
};

const of = <T extends JobEvent["type"]>(events: JobEvent[], type: T) =>
  events.filter((event): event is Extract<JobEvent, { type: T }> => event.type === type);

test("a job goes through its phases and ends with the whole film", async () => {
  const { result, events, sink } = await run();

  expect(result.code).toBe(0);
  expect(sink.frames.length).toBe(73 * 48 * 48 * 3);
  expect(sink.open.length).toBe(0);
  expect(sink.ended).toBe("finished");
  expect(of(events, "phase").map(({ name }) => name)).toEqual([
    ...(["check", "load", "text", "vision", "encode", "prepare"] as const),
    ...(["sample", "decode", "write", "sample", "decode", "write", "finish"] as const),
  ]);
  expect(events.at(-1)).toMatchObject({ type: "finished", frames: 73 });
  expect(memory().tensors).toBe(0);
});

test("steps, previews and sections are told as they come", async () => {
  const { events } = await run();

  const steps = of(events, "stepFinished");
  expect(steps.map(({ section, step }) => [section, step])).toEqual(
    [0, 1].flatMap((section) => [0, 1, 2, 3].map((step) => [section, step])),
  );
  expect(steps.every(({ jobLeftMs }) => jobLeftMs !== null && jobLeftMs > 0)).toBe(true);
  const [preview] = of(events, "preview");
  expect(preview).toMatchObject({ section: 0, step: 0, from: 37, to: 73 });
  expect(preview?.pictures).toMatchObject({ frames: 9, height: 6, width: 6 });
  const sections = of(events, "sectionFinished");
  expect(sections).toMatchObject([
    { section: 0, framesDone: 0, from: 73, to: 73 },
    { section: 1, framesDone: 73, from: 0, to: 73 },
  ]);
  expect(sections.every(({ thumbnails }) => thumbnails?.frames === 6)).toBe(true);
});

test.each(["inverted", "f1"] as const)(
  "the same %s job gives the same bytes, on one thread as on two",
  async (order) => {
    const first = await run({ order });
    const again = await run({ order });
    const single = await run({ order, threads: 1 });

    expect(hashOf(again)).toBe(hashOf(first));
    expect(hashOf(single)).toBe(hashOf(first));
  },
);

test("another seed gives another film, and a sampled start another than the mean", async () => {
  const first = await run({ seconds: 1 });
  const other = await run({ seconds: 1, seed: 1 });
  const sampled = await run({ seconds: 1, startLatent: "sample" });

  expect(hashOf(other)).not.toBe(hashOf(first));
  expect(hashOf(sampled)).not.toBe(hashOf(first));
});

test("real guidance and skipping run, and skipped steps are told", async () => {
  const guided = await run({ seconds: 1, cfg: 1.5, cfgRescale: 0.5, negativePrompt: "nothing" });
  const skipping = await run({ seconds: 1, steps: 12, teacache: true });

  expect(guided.result.code).toBe(0);
  expect(
    of(guided.events, "warning")
      .map(({ text }) => text)
      .join(),
  ).toContain("twice");
  const skipped = of(skipping.events, "stepFinished").filter((step) => step.skipped);
  expect(skipped.length).toBeGreaterThan(2);
  expect(of(skipping.events, "sectionFinished")[0]?.stepsSkipped).toBe(skipped.length);
});

// ------------------------------------------------------------------------------------------------

const stopAt = (when: (event: JobEvent) => boolean, reason?: Failure) => {
  const controller = new AbortController();
  const onEvent = (event: JobEvent): void => {
    if (when(event)) controller.abort(reason);
  };
  return { signal: controller.signal, onEvent };
};
const secondSection = (event: JobEvent): boolean =>
  event.type === "stepFinished" && event.section === 1 && event.step === 1;

test("a cancelled job ends within a step and keeps its finished section as a film", async () => {
  const { result, events, sink } = await run({}, stopAt(secondSection));

  expect(result.code).toBe(130);
  expect(events.at(-1)).toMatchObject({ type: "cancelled", code: 130, kept: result.path });
  expect(of(events, "stepFinished").length).toBe(6);
  expect(sink.ended).toBe("finished");
  expect(sink.open.length).toBe(33 * 48 * 48 * 3);
  expect(memory().tensors).toBe(0);
});

test("a job cancelled before its first section keeps nothing", async () => {
  const { result, sink } = await run(
    {},
    stopAt((event) => event.type === "phase" && event.name === "vision"),
  );

  expect(result).toEqual({ code: 130, path: null });
  expect(sink.ended).toBe("abandoned");
});

test.each([
  ["inverted", 0],
  ["f1", 1],
] as const)(
  "a %s job stopped after section %p goes on to the same bytes",
  async (order, section) => {
    const change = { order, seconds: 3.6, teacache: true };
    const whole = await run(change);
    const reason = new Failure("checkpointed.asked", "The job was stopped to go on later.");
    const job = `resumed-${order}`;
    const stopped = await run(change, {
      job,
      ...stopAt(
        (e) => e.type === "stepFinished" && e.section === section + 1 && e.step === 2,
        reason,
      ),
    });
    expect(stopped.result.code).toBe(75);
    expect(existsSync(checkpointPath(join(folder, "jobs", job)))).toBe(true);

    const sink = new MemorySink(stopped.sink.frames);
    const { result, events } = await run(change, { job, resume: true, sink });

    expect(result.code).toBe(0);
    expect(hashOf({ sink })).toBe(hashOf(whole));
    expect(of(events, "sectionFinished").map((e) => e.section)).toEqual(
      [0, 1, 2].filter((k) => k > section),
    );
    expect(existsSync(join(folder, "jobs", job))).toBe(false);
  },
);

test("a job does not go on with other settings than it was begun with", async () => {
  const reason = new Failure("checkpointed.asked", "The job was stopped to go on later.");
  await run({}, { job: "other", ...stopAt(secondSection, reason) });

  const { result, events } = await run({ seed: 5 }, { job: "other", resume: true });

  expect(result.code).toBe(2);
  expect(events.at(-1)).toMatchObject({ type: "failed", id: "usage.resume" });
});

test("a film that can no longer be written stops the job", async () => {
  const sink = new MemorySink();
  const full = new Failure("output.disk-full", "The disk is full.");
  sink.fails = { after: 1, with: full };

  const { result, events } = await run({ seconds: 4.8 }, { sink });

  expect(result.code).toBe(7);
  expect(events.at(-1)).toMatchObject({ type: "failed", id: "output.disk-full" });
  expect(sink.ended).toBe("abandoned");
  expect(of(events, "sectionFinished").length).toBeLessThan(4);
});

// ------------------------------------------------------------------------------------------------

/** A copy of the demo model with one value of one tensor replaced by NaN. */
const poisoned = (part: string, tensor: string): string => {
  const copy = join(folder, `poisoned-${part}-${tensor}`);
  cpSync(demoFolder, copy, { recursive: true, filter: (path) => !path.endsWith("/examples") });
  const name = part === "vae" || part === "transformer" ? "diffusion_pytorch_model" : "model";
  const path = join(copy, part, `${name}.safetensors`);
  const entry = [...readSafetensors(path).tensors].find(([key]) => key.endsWith(tensor))?.[1];
  if (entry === undefined) throw new Error(`no tensor ${tensor}`);
  const bytes = readFileSync(path);
  bytes.set(entry.stored === "F32" ? [0, 0, 0xc0, 0x7f] : [0xc0, 0x7f], entry.from);
  writeFileSync(path, bytes);
  return copy;
};

test.each([
  ["transformer", "transformer_blocks.1.ff.net.2.bias", "transformer", "double 1"],
  ["transformer", "single_transformer_blocks.2.proj_out.bias", "transformer", "single 2"],
  ["transformer", "proj_out.bias", "transformer", "its output"],
  ["transformer", "context_embedder.proj_in.weight", "transformer", "its embeddings"],
  ["text_encoder", "layers.0.mlp.down_proj.weight", "Llama text encoder", "layer 0"],
  ["image_encoder", "layers.1.mlp.fc2.bias", "SigLIP vision encoder", "layer 1"],
  ["vae", "decoder.up_blocks.2.resnets.0.conv2.conv.bias", "video autoencoder", "up_blocks.2"],
])("no number in %s %s: the failure names the %s and %s", async (part, tensor, network, block) => {
  const { result, events } = await run({ model: poisoned(part, tensor), seconds: 1 });

  expect(result).toEqual({ code: 8, path: null });
  const [failed] = of(events, "failed");
  expect(failed?.id).toBe("numbers.nan");
  expect(failed?.message).toContain(network);
  expect(failed?.message).toContain(block);
  expect(of(events, "stepFinished").length).toBe(part === "vae" ? 4 : 0);
  expect(memory().tensors).toBe(0);
});

test.each([
  [{ image: "/nowhere/at-all.png" }, 5],
  [{ image: import.meta.path }, 5],
  [{ model: "/nowhere/at-all" }, 4],
  [{ seconds: Number.NaN }, 2],
  [{ seconds: 1e9 }, 2],
  [{ ramBytes: 1000 }, 3],
] as const)("%p is refused before anything is computed, with code %p", async (change, code) => {
  const { result, events } = await run(change);

  expect(result).toEqual({ code, path: null });
  expect(events.at(-1)?.type).toBe("failed");
  expect(of(events, "phase").map(({ name }) => name)).toEqual(["check"]);
});

test("an empty prompt, emoji and escape codes make a video; what is cut is told", async () => {
  const empty = await run({ seconds: 1, steps: 1, prompt: "" });
  const odd = await run({ seconds: 1, steps: 1, prompt: "🦊\u001b[31m\u0000 x" });
  const long = await run({ seconds: 1, steps: 1, prompt: "fox ".repeat(2500) });

  expect([empty, odd, long].map(({ result }) => result.code)).toEqual([0, 0, 0]);
  const told = of(long.events, "warning").filter(({ id }) => id === "prompt");
  expect(told.length).toBe(2);
});

test("the time of a second job is planned from the first", async () => {
  const stateDir = join(folder, "measured");
  const first = await run({}, { stateDir });

  const { events } = await run({}, { stateDir });

  expect(of(first.events, "planned")[0]?.plan.ms).toBeNull();
  const [planned] = of(events, "planned");
  expect(planned?.plan.ms).toBeGreaterThan(0);
  expect(planned?.plan.basis).toBe("measured on this machine");
});

test("the plan's bytes are a bound that the job keeps to, and not a loose one", async () => {
  const { events } = await run({ seconds: 5, teacache: true });

  const planned = of(events, "planned")[0]?.plan.deviceBytesPeak ?? 0;
  const measured = of(events, "finished")[0]?.devicePeak ?? 0;
  expect(measured).toBeGreaterThan(0);
  expect(planned).toBeGreaterThanOrEqual(measured);
  expect(planned).toBeLessThan(measured * 1.4);
});
