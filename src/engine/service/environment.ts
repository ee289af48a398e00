// Which of a caller's variables count for its job. The engine lives longer than the shell that started it: a job is run with
// the variables of who submitted it, not of who came first. Secrets are not among them.

const names = new Set([
  "PATH",
  "HOME",
  "TMPDIR",
  "TZ",
  "LANG",
  "LC_ALL",
  "CUDA_VISIBLE_DEVICES",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_HUB_OFFLINE",
  "XDG_CACHE_HOME",
  "XDG_CONFIG_HOME",
  "XDG_STATE_HOME",
  "LD_LIBRARY_PATH",
]);

export type JobEnvironment = Readonly<Record<string, string>>;

export const callerEnvironment = (
  env: Readonly<Record<string, string | undefined>>,
): JobEnvironment =>
  Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && (names.has(entry[0]) || entry[0].startsWith("FRAMEPACK_")),
    ),
  );

/** Whether a warm process that was started with one environment may run a job of another. */
export const sameEnvironment = (a: JobEnvironment, b: JobEnvironment): boolean => {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => a[key] === b[key]);
};
