import { expect, test } from "bun:test";
import { Pacer } from "../../../src/tui/pictures/pacer.ts";

const ask = "?";

const pacerUnderTest = (bytesPerSecond: number | null = null) => {
  const written: string[] = [];
  const timers: { at: number; run: () => void; live: boolean }[] = [];
  const clock = { now: 0 };
  const pacer = new Pacer({
    write: (bytes) => written.push(bytes),
    question: ask,
    now: () => clock.now,
    after: (ms, run) => {
      const timer = { at: clock.now + ms, run, live: true };
      timers.push(timer);
      return () => {
        timer.live = false;
      };
    },
    isOpen: (part) => part.startsWith("open"),
    bytesPerSecond,
  });
  const advance = (ms: number): void => {
    clock.now += ms;
    for (const timer of timers.splice(0)) {
      if (timer.live && timer.at <= clock.now) timer.run();
      else if (timer.live) timers.push(timer);
    }
  };
  return { pacer, written, advance };
};

test("two units are in flight, the third waits for an answer", () => {
  const { pacer, written } = pacerUnderTest();
  for (const key of ["a", "b", "c"]) pacer.show(key, () => [key]);

  expect(written).toEqual(["a?", "b?"]);
  pacer.acknowledged();

  expect(written).toEqual(["a?", "b?", "c?"]);
});

test("newer work for a place replaces what was not sent", () => {
  const { pacer, written } = pacerUnderTest();
  pacer.show("a", () => ["1"]);
  pacer.show("b", () => ["2"]);

  for (let n = 0; n < 10; n++) pacer.show("a", () => [`new${n}`]);
  pacer.acknowledged();
  pacer.acknowledged();

  expect(written).toEqual(["1?", "2?", "new9?"]);
});

test("a picture is cut into units between its sequences, never inside one", () => {
  const { pacer, written } = pacerUnderTest();
  const part = "x".repeat(4000);

  pacer.show("a", () => [part, part, part, part, part]);
  pacer.acknowledged();

  expect(written.map((w) => w.length)).toEqual([8001, 8001, 4001]);
});

test("a terminal that answers nothing gets the next unit after five seconds", () => {
  const { pacer, written, advance } = pacerUnderTest();
  for (const key of ["a", "b", "c"]) pacer.show(key, () => [key]);

  advance(4999);
  expect(written.length).toBe(2);
  advance(2);

  expect(written.length).toBe(3);
});

test("a byte budget spreads the units over time", () => {
  const { pacer, written, advance } = pacerUnderTest(1000);
  pacer.show("a", () => ["x".repeat(500)]);
  pacer.show("b", () => ["y".repeat(500)]);
  pacer.acknowledged();
  expect(written.length).toBe(1);

  advance(500);

  expect(written.length).toBe(2);
});

test("ending in the middle of a picture sends what is open to its end, and no more", () => {
  const { pacer, written } = pacerUnderTest();
  const filler = "x".repeat(9000);
  pacer.show("a", () => [`open1${filler}`, `open2${filler}`, `open3${filler}`, "closed", "next"]);

  pacer[Symbol.dispose]();

  expect(written.length).toBe(3);
  expect(written[2]).toBe(`open3${filler}closed`);
});

test("a place that goes takes with it what was not begun of its picture", () => {
  const { pacer, written } = pacerUnderTest();
  const filler = "x".repeat(9000);
  pacer.show("a", () => [`open1${filler}`, `closed1${filler}`, `closed2${filler}`, "closed3"]);
  pacer.show("b", () => ["other"]);
  pacer.drop("a");

  pacer.acknowledged();
  pacer.acknowledged();

  expect(written.map((one) => one.slice(0, 7))).toEqual(["open1xx", "closed1", "other?"]);
});

test("what is replaced while it waits is never made", () => {
  const { pacer } = pacerUnderTest();
  const made: string[] = [];
  const make = (name: string) => () => {
    made.push(name);
    return [name];
  };
  for (const name of ["1", "2", "3", "4"]) pacer.show(name, make(name));

  for (const name of ["3b", "3c"]) pacer.show("3", make(name));
  for (let n = 0; n < 4; n++) pacer.acknowledged();

  expect(made).toEqual(["1", "2", "3c", "4"]);
});

test("a picture that takes time to make keeps its place in the order", async () => {
  const { pacer, written } = pacerUnderTest();
  const ready = Promise.withResolvers<readonly string[]>();
  pacer.show("slow", () => ready.promise);
  pacer.show("quick", () => ["quick"]);
  expect(written).toEqual([]);

  ready.resolve(["slow"]);
  await ready.promise;
  await Promise.resolve();
  await Promise.resolve();

  expect(written).toEqual(["slow?", "quick?"]);
});
