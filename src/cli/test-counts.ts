// Counts from the reports of test tools. A report that is not there, or that disagrees with the
// tool's exit code, never counts as success.

export type Counts = Readonly<{ passed: number; failed: number; skipped: number }>;

export const oneCheck = (passed: boolean): Counts => ({
  passed: passed ? 1 : 0,
  failed: passed ? 0 : 1,
  skipped: 0,
});

export const sumOf = (all: readonly Counts[]): Counts =>
  all.reduce(
    (sum, { passed, failed, skipped }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
      skipped: sum.skipped + skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );

/** "Build Summary: 4/4 steps succeeded; 71/73 tests passed (1 skipped, 1 failed)". */
export const countsOfZig = (output: string, code: number, mayBeNone: boolean): Counts => {
  const found = /Build Summary:.*; (\d+)\/(\d+) tests passed(?: \((.*)\))?/.exec(output);
  const passed = Number(found?.[1] ?? 0);
  const total = Number(found?.[2] ?? 0);
  const skipped = Number(/(\d+) skipped/.exec(found?.[3] ?? "")?.[1] ?? 0);
  return settled({ passed, failed: total - passed - skipped, skipped }, code, mayBeNone);
};

/** The root element of a JUnit report has the sums. */
export const countsOfJunit = (xml: string, code: number, mayBeNone: boolean): Counts => {
  const head = /<testsuites\b[^>]*>/.exec(xml)?.[0] ?? "";
  const of = (name: string): number =>
    Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = of("failures") + of("errors");
  const skipped = of("skipped");
  return settled({ passed: of("tests") - failed - skipped, failed, skipped }, code, mayBeNone);
};

/** A tool that failed has at least one failure, and no tests at all is one unless a filter says so. */
const settled = (counts: Counts, code: number, mayBeNone: boolean): Counts => {
  const none = counts.passed + counts.failed + counts.skipped === 0;
  if (none && mayBeNone) return counts;
  const bad = counts.failed === 0 && (code !== 0 || none);
  return bad ? { ...counts, failed: 1 } : counts;
};
