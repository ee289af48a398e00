// Engine services for tests that are about the queue and the socket: nothing to inspect, nothing installed.

import type { EngineServices } from "../../src/engine/service/engine.ts";

export const noServices: EngineServices = {
  inspect: async () => ({ plan: null, problems: [], crop: null, picture: null, tokens: null }),
  doctor: async () => [],
  models: async () => [],
  pull: async () => undefined,
  verifyModel: async () => undefined,
  cancelPull: () => undefined,
  isBusy: () => false,
};
