// A job that says what it is told to, in a process of its own, through the code that shows real
// jobs. Its first argument is how it goes: ok, fails, hangs (until stopped), stubborn (not even
// then).

import { runInForeground } from "../../src/cli/foreground.ts";
import { Failure } from "../../src/engine/failure.ts";
import { type Recipe, recipeDefaults } from "../../src/engine/job.ts";

const [how = "ok", ...flags] = process.argv.slice(2);
const recipe: Recipe = { ...recipeDefaults, image: "/picture.png", prompt: "p\x1b[31m" };

const { code } = await runInForeground(
  async () => recipe,
  { json: flags.includes("--json"), quiet: flags.includes("--quiet"), here: true },
  async (_recipe, { emit, signal }) => {
    emit({ type: "started", backend: "cpu", device: "two cores", version: "0.0.0" });
    emit({ type: "warning", id: "w", text: "an \x1b[31mescape" });
    emit({ type: "fileWritten", kind: "partial", path: "/film.partial.mp4", bytes: 1, frames: 33 });
    if (how === "fails")
      throw new Failure("numbers.nan", "Block 7 made NaN.", { hint: "Try f32." });
    if (how === "hangs" || how === "stubborn") {
      const stopped = Promise.withResolvers<void>();
      const alive = setInterval(() => emit({ type: "warning", id: "w", text: "x" }), 20);
      signal.addEventListener("abort", () => stopped.resolve());
      await stopped.promise;
      // As a call into the library that takes long.
      if (how === "stubborn") for (;;) Math.random();
      clearInterval(alive);
      throw signal.reason;
    }
    emit({
      type: "finished",
      path: "/film.mp4",
      frames: 145,
      seconds: 145 / 30,
      latencyMs: 65_000,
      devicePeak: 0,
      rssPeak: 0,
      sha256: "",
    });
  },
);
process.exitCode = code;
