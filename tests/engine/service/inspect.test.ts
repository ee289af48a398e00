import { expect, test } from "bun:test";
import { join } from "node:path";
import { demoFolder } from "../../../src/engine/config/model-folder.ts";
import { recipeDefaults } from "../../../src/engine/job.ts";
import { Inspector } from "../../../src/engine/service/inspect.ts";

const recipe = {
  ...recipeDefaults,
  model: "demo",
  image: join(demoFolder, "examples/start_1.png"),
  prompt: "A yellow square bounces up and down.",
};

test("a path below a file is a problem of the picture", async () => {
  const image = join(import.meta.path, "a.png");

  const { problems } = await new Inspector().inspect({ ...recipe, image });

  expect(problems.map(({ field }) => field)).toEqual(["image"]);
  expect(problems[0]?.message).toContain("There is no picture");
});

test("a recipe that can run has a plan and no problems", async () => {
  const { plan, problems } = await new Inspector().inspect(recipe);

  expect(problems).toEqual([]);
  expect(plan).toMatchObject({ sections: 4, tokens: { text: 9 } });
});
