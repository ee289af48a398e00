// The verbs and what each does, in the order of the help. A verb is the file src/cli/<verb>.ts.

export const verbs: Readonly<Record<string, string>> = {
  demo: "make a video with the embedded model, on CPU or GPU, without any download",
  run: "make one video from a picture and a prompt",
  plan: "say what run would do: sections, exact frames, tokens, bytes, time",
  jobs: "list the queue and its jobs",
  attach: "watch a running job",
  cancel: "stop a job after its current block",
  resume: "go on with a stopped job",
  models: "list, pull, verify, find or remove models",
  presets: "list, show or validate presets",
  config: "show settings, or explain where one comes from",
  doctor: "check GPU, driver, library, ffmpeg, terminal, disk and memory",
  bench: "measure kernels, a step, a section",
  verify: "run reference cases and compare every tensor with its limit",
  bundle: "pack everything into one folder that runs anywhere",
  engine: "the process that computes; started when needed",
  test: "everything that is checked before a change lands",
};

export const usage = (): string => {
  const rows = Object.entries(verbs).map(([verb, about]) => `  ${verb.padEnd(9)} ${about}`);
  return [
    "framepack makes a video from one picture and one sentence, section by section.",
    "",
    "Usage: framepack [VERB] [flags]     without a verb: the full-screen program",
    "",
    ...rows,
    "",
    "framepack VERB --help lists the flags of a verb; framepack --version says which build this is.",
  ].join("\n");
};
