import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fp, loadLibrary } from "../../src/ffi/library.ts";
import { abiVersion, symbols } from "../../src/ffi/symbols.gen.ts";

test("the symbol table in the source tree is the one the library was built from", () => {
  loadLibrary();
  const text = new Uint8Array(fp.fp_symbols(null, 0));

  fp.fp_symbols(text, text.byteLength);

  const path = resolve(import.meta.dir, "../../src/ffi/symbols.gen.ts");
  expect(new TextDecoder().decode(text)).toBe(readFileSync(path, "utf8"));
});

test("the library has the ABI version of the table, and every function of it", () => {
  loadLibrary();

  expect(fp.fp_abi_version()).toBe(abiVersion);
  for (const name of Object.keys(symbols))
    expect(typeof fp[name as keyof typeof fp]).toBe("function");
});
