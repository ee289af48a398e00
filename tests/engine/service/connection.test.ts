import { expect, test } from "bun:test";
import type { JobEvent } from "../../../src/engine/events.ts";
import type { Message } from "../../../src/engine/protocol.ts";
import { commandBytesMax } from "../../../src/engine/protocol.ts";
import { Connection } from "../../../src/engine/service/connection.ts";

/** A wire that takes `room` bytes, then nothing until more room is given. */
const wireWith = (room: number) => {
  const state = { room, text: "", closed: false };
  return {
    state,
    write: (bytes: Uint8Array): number => {
      const taken = Math.min(bytes.length, state.room);
      state.room -= taken;
      state.text += new TextDecoder().decode(bytes.subarray(0, taken));
      return taken;
    },
    close: () => {
      state.closed = true;
    },
  };
};

const lines = (text: string): Message[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Message);

const eventOf = (event: JobEvent): Message => ({ type: "event", job: "a", event });
const step = (n: number): Message =>
  eventOf({
    type: "stepFinished",
    section: 0,
    step: n,
    steps: 25,
    latencyMs: 1,
    skipped: false,
    sectionLeftMs: null,
    jobLeftMs: null,
  });
const preview = (n: number): Message =>
  eventOf({
    type: "preview",
    section: 0,
    step: n,
    pictures: { frames: 1, height: 1, width: 1, rgb: "AAAA" },
    from: 0,
    to: 4,
  });

test("only the newest preview waits for a slow client", () => {
  const wire = wireWith(0);
  const connection = new Connection(wire, () => undefined);
  connection.deliver(step(0));

  for (let n = 0; n < 50; n++) connection.deliver(preview(n));
  wire.state.room = 1 << 20;
  connection.drain();

  const got = lines(wire.state.text);
  expect(got.length).toBe(2);
  expect(got[1]).toEqual(preview(49));
});

test("a client too far behind loses events and gets the jobs it missed once it reads again", () => {
  const wire = wireWith(0);
  const missed: string[] = [];
  const limits = { linesMax: 10, bytesMax: 1 << 20, stuckMs: 1000 };
  const connection = new Connection(wire, (jobs) => missed.push(...jobs), limits);

  for (let n = 0; n < 100; n++) connection.deliver(step(n));
  expect(missed).toEqual([]);
  wire.state.room = 1 << 20;
  connection.drain();

  expect(missed).toEqual(["a"]);
  expect(lines(wire.state.text).length).toBeLessThan(12);
});

test("a line taken in pieces arrives whole", () => {
  const wire = wireWith(7);
  const connection = new Connection(wire, () => undefined);

  connection.deliver(step(3));
  while (lines0(wire.state.text) < 1) {
    wire.state.room = 7;
    connection.drain();
  }

  expect(lines(wire.state.text)).toEqual([step(3)]);
});
const lines0 = (text: string): number => text.split("\n").length - 1;

test("commands split over packets are put together, and several in one are told apart", () => {
  const connection = new Connection(wireWith(0), () => undefined);
  const bytes = (text: string) => new TextEncoder().encode(text);

  expect(connection.receive(bytes("ab"))).toEqual([]);
  expect(connection.receive(bytes("c\nde\nf"))).toEqual(["abc", "de"]);
  expect(connection.receive(bytes("\n"))).toEqual(["f"]);
});

test("a line without end is refused before it is kept", () => {
  const connection = new Connection(wireWith(0), () => undefined);
  const piece = new Uint8Array(64 * 1024).fill(97);

  let verdict: readonly string[] | "too long" = [];
  for (let n = 0; n * piece.length <= commandBytesMax && verdict !== "too long"; n++) {
    verdict = connection.receive(piece);
  }

  expect(verdict).toBe("too long");
});

test("a client that takes nothing for too long is cut off", () => {
  const wire = wireWith(0);
  const limits = { linesMax: 10, bytesMax: 1 << 20, stuckMs: 1000 };
  const connection = new Connection(wire, () => undefined, limits);
  connection.deliver(step(0));

  expect(connection.cutIfStuck(Date.now() + 500)).toBe(false);
  expect(connection.cutIfStuck(Date.now() + 2000)).toBe(true);

  expect(wire.state.closed).toBe(true);
});

test("last words wait until a slow client has taken what came before", async () => {
  const wire = wireWith(10);
  const connection = new Connection(wire, () => undefined);
  connection.deliver(step(0));

  const over = connection.sayAndClose({ type: "bye", reason: "the end" });
  expect(wire.state.closed).toBe(false);
  wire.state.room = 1 << 20;
  connection.drain();
  await over;

  expect(lines(wire.state.text)).toEqual([step(0), { type: "bye", reason: "the end" }]);
  expect(wire.state.closed).toBe(true);
});
