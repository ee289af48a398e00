// The published models as they are fetched: repositories, pinned revisions, files, licences.
// Sizes are rounded, for a first word to the user; true sizes and hashes come from the hub itself.

import { z } from "zod";
import data from "./manifest.json";

const plainPath = z
  .string()
  .regex(/^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/, "a path inside the repository");

const fileSchema = z.strictObject({ path: plainPath, bytes: z.int().nonnegative() });

const repositorySchema = z.strictObject({
  key: z.string(),
  repo: z.string().regex(/^[\w.-]+\/[\w.-]+$/),
  revision: z.string().regex(/^[0-9a-f]{40}$/),
  licence: z.strictObject({ name: z.string(), url: z.url(), note: z.string() }),
  files: z.array(fileSchema).min(1),
});

const modelSchema = z.strictObject({
  name: z.string(),
  about: z.string(),
  /** How sections are made: from the end backwards, or forwards in time. */
  variant: z.enum(["inverted", "f1"]),
  /** Keys; the transformer's is the first. */
  repositories: z.array(z.string()).min(1),
});

export const manifestSchema = z.strictObject({
  v: z.literal(1),
  repositories: z.array(repositorySchema),
  models: z.array(modelSchema),
});

export type Repository = Readonly<z.infer<typeof repositorySchema>>;
export type PublishedModel = Readonly<
  Omit<z.infer<typeof modelSchema>, "repositories"> & { repositories: readonly Repository[] }
>;

const manifest = manifestSchema.parse(data);

export const repository = (key: string): Repository => {
  const found = manifest.repositories.find((each) => each.key === key);
  if (found === undefined) throw new Error(`the manifest has no repository ${key}`);
  return found;
};

export const publishedModels: readonly PublishedModel[] = manifest.models.map((model) => ({
  ...model,
  repositories: model.repositories.map(repository),
}));

/** By short name, or by the name of the transformer's repository. */
export const findPublished = (name: string): PublishedModel | undefined =>
  publishedModels.find((model) => model.name === name || model.repositories[0]?.repo === name);

/** About how much a model takes on disk. */
export const listedBytes = ({ repositories }: PublishedModel): number =>
  repositories.flatMap(({ files }) => files).reduce((sum, { bytes }) => sum + bytes, 0);

/** Each licence once, as a sentence. */
export const licencesOf = ({ repositories }: PublishedModel): readonly string[] => [
  ...new Set(
    repositories.map(
      ({ repo, licence: { name, url, note } }) => `${repo}: ${name} (${note}). ${url}`,
    ),
  ),
];
