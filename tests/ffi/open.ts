// Opens the library for one test file: a fresh start, two threads, and a check that nothing leaked.

import { afterAll, beforeAll, expect } from "bun:test";
import {
  closeLibrary,
  KernelError,
  loadLibrary,
  memory,
  openLibrary,
  type Status,
} from "../../src/ffi/library.ts";

export const withLibrary = (budget = 0): void => {
  beforeAll(() => {
    loadLibrary();
    closeLibrary();
    openLibrary({ backend: "cpu", threads: 2, budget });
  });
  afterAll(() => closeLibrary());
};

export const liveTensors = (): number => memory().tensors;

/** The KernelError that `act` ends with; its status must be the one wanted. */
export const refusal = (status: Status, act: () => unknown): KernelError => {
  try {
    act();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    expect(error.status).toBe(status);
    expect(error.detail.length).toBeGreaterThan(0);
    return error;
  }
  throw new Error(`nothing was refused; wanted ${status}`);
};
