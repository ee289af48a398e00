// Failures: ids decide exit codes, and nothing a terminal would act on gets through.

import { expect, test } from "bun:test";
import { Failure, reportOf } from "../../src/engine/failure.ts";

test("the first word of the id decides the exit code", () => {
  const codes = (["usage.x", "fit.x", "model.x", "input.x", "gpu.x", "output.x"] as const).map(
    (id) => new Failure(id, "Something.").code,
  );

  expect(codes).toEqual([2, 3, 4, 5, 6, 7]);
  expect(new Failure("numbers.nan", "Something.").code).toBe(8);
  expect(new Failure("checkpointed.time", "Something.").code).toBe(75);
  expect(new Failure("interrupted.once", "Something.").code).toBe(130);
});

test("control characters in a message and a hint become visible", () => {
  const failure = new Failure("input.x", "No \x1b[31mpicture\x07.", { hint: "a\u202eb" });

  expect(failure.message).toBe("No \\x1b[31mpicture\\x07.");
  expect(failure.hint).toBe("a\\u202eb");
});

test("an error of no known kind is reported with code 1 and one sentence", () => {
  const report = reportOf(new TypeError("x is not a function"));

  expect(report.code).toBe(1);
  expect(report.message).toBe("Something unexpected happened: x is not a function.");
});

test("an error of the library keeps its op and gets the code of its status", () => {
  const error = Object.assign(new Error("budget"), {
    name: "KernelError",
    op: "matmul",
    status: "out_of_budget",
    detail: "12 bytes over",
  });

  expect(reportOf(error)).toEqual({
    id: "fit.out_of_budget",
    code: 3,
    message: "The computation stopped in matmul: 12 bytes over.",
  });
});
