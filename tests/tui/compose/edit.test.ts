import { expect, test } from "bun:test";
import type { Key } from "ink";
import {
  cleanPath,
  completion,
  editAt,
  editKey,
  insert,
  layOut,
  move,
  removeBefore,
  removeWord,
} from "../../../src/tui/compose/edit.ts";

const key = (keys: Partial<Key> = {}): Key => keys as Key;

test("an emoji of several code points is one step", () => {
  const family = "👨‍👩‍👧";
  const edit = editAt(`a${family}b`, 1 + family.length);

  expect(move(edit, "left").cursor).toBe(1);
  expect(removeBefore(edit)).toEqual({ text: "ab", cursor: 1 });
});

test("a pasted text keeps its lines where lines are allowed and loses what a terminal acts on", () => {
  const pasted = "one\r\ntwo\u001b[31m\u0007\ttab";

  expect(insert(editAt(""), pasted, true).text).toBe("one\ntwo[31m tab");
  expect(insert(editAt(""), pasted, false).text).toBe("one two[31m tab");
});

test("control and arrow keys move and cut by words", () => {
  const edit = editAt("the girl dances");

  expect(editKey(edit, "", key({ leftArrow: true, ctrl: true }), false)?.cursor).toBe(9);
  expect(removeWord(edit)).toEqual({ text: "the girl ", cursor: 9 });
  expect(editKey(edit, "s", key({ ctrl: true }), false)).toBeNull();
});

test("return leaves a field; with Alt it breaks a line where lines are allowed", () => {
  const edit = editAt("a");

  expect(editKey(edit, "\r", key({ return: true }), true)).toBeNull();
  expect(editKey(edit, "\r", key({ return: true, meta: true }), true)?.text).toBe("a\n");
});

test("rows break by cells, wide characters are not halved", () => {
  expect(layOut(editAt("abcd女ef"), 5)).toEqual({ rows: ["abcd", "女ef"], row: 1, column: 4 });
  expect(layOut(editAt("ab\ncd", 3), 10)).toEqual({ rows: ["ab", "cd"], row: 1, column: 0 });
});

test("a full row puts the cursor on the next", () => {
  expect(layOut(editAt("abc"), 3)).toEqual({ rows: ["abc", ""], row: 1, column: 0 });
});

test.each([
  ["'/tmp/my picture.png'", "/tmp/my picture.png"],
  ["/tmp/my\\ picture.png ", "/tmp/my picture.png"],
  ['"/tmp/a.png"', "/tmp/a.png"],
  ["file:///tmp/my%20picture.png", "/tmp/my picture.png"],
  ["~/a.png", "/home/u/a.png"],
  ["~", "/home/u"],
])("the dropped path %p means %p", (dropped, path) => {
  expect(cleanPath(dropped, "/home/u")).toBe(path);
});

test("completing adds what all choices share", () => {
  expect(completion("/a/pi", ["pic1.png", "pic2.png", "x"])).toEqual({
    path: "/a/pic",
    choices: ["pic1.png", "pic2.png"],
  });
  expect(completion("/a/z", ["pic1.png"])).toEqual({ path: "/a/z", choices: [] });
});

test("hidden names complete only after a dot", () => {
  expect(completion("/a/", [".hidden", "shown"]).choices).toEqual(["shown"]);
  expect(completion("/a/.", [".hidden", "shown"]).choices).toEqual([".hidden"]);
});
