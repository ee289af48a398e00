// The published models by short name: which repositories, revisions and folders make one up.
// Which files are in them, and under which licence, is in the manifest of the hub.

import { listedBytes, type PublishedModel, publishedModels, repository } from "../hub/manifest.ts";

/** The parts a run needs, by the folder names of a complete model. */
export const partNames = [
  "transformer",
  "vae",
  "text_encoder",
  "tokenizer",
  "text_encoder_2",
  "tokenizer_2",
  "image_encoder",
  "feature_extractor",
] as const;

export type PartName = (typeof partNames)[number];

/** How sections are made: from the end backwards, or forwards in time. */
export type Variant = PublishedModel["variant"];

export type PartPlace = Readonly<{ repo: string; revision: string; folder: string }>;

export type KnownModel = Readonly<{
  name: string;
  about: string;
  variant: Variant;
  transformer: PartPlace;
  /** About the bytes of everything that is fetched for it. */
  bytes: number;
}>;

const place = ({ repo, revision }: Readonly<{ repo: string; revision: string }>, folder: string) =>
  ({ repo, revision, folder }) satisfies PartPlace;

export const knownModels: readonly KnownModel[] = publishedModels.map((model) => {
  const { name, about, variant, repositories } = model;
  const [first] = repositories;
  if (first === undefined) throw new Error(`${name} has no repository`);
  return { name, about, variant, transformer: place(first, ""), bytes: listedBytes(model) };
});

const hunyuan = repository("hunyuan");
const redux = repository("redux");

/** Where the parts besides the transformer are published; both models share them. */
export const sharedParts: Readonly<Record<Exclude<PartName, "transformer">, PartPlace>> = {
  vae: place(hunyuan, "vae"),
  text_encoder: place(hunyuan, "text_encoder"),
  tokenizer: place(hunyuan, "tokenizer"),
  text_encoder_2: place(hunyuan, "text_encoder_2"),
  tokenizer_2: place(hunyuan, "tokenizer_2"),
  image_encoder: place(redux, "image_encoder"),
  feature_extractor: place(redux, "feature_extractor"),
};
