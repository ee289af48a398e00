// The published models by short name: which repositories, revisions and folders make one up.

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
export type Variant = "inverted" | "f1";

export type PartPlace = Readonly<{ repo: string; revision: string; folder: string }>;

export type KnownModel = Readonly<{
  name: string;
  about: string;
  variant: Variant;
  transformer: PartPlace;
  /** Bytes of everything that is fetched for it. */
  bytes: number;
}>;

export const knownModels: readonly KnownModel[] = [
  {
    name: "framepack",
    about: "FramePack, image to video, 13B: the end of the motion is made first",
    variant: "inverted",
    transformer: {
      repo: "lllyasviel/FramePackI2V_HY",
      revision: "86cef4396041b6002c957852daac4c91aaa47c79",
      folder: "",
    },
    bytes: 42_900_000_000,
  },
  {
    name: "framepack-f1",
    about: "FramePack F1, image to video, 13B: made forwards, livelier motion",
    variant: "f1",
    transformer: {
      repo: "lllyasviel/FramePack_F1_I2V_HY_20250503",
      revision: "ab239828e0b384fed75580f186f078717d4020f7",
      folder: "",
    },
    bytes: 42_900_000_000,
  },
];

const hunyuan = {
  repo: "hunyuanvideo-community/HunyuanVideo",
  revision: "e8c2aaa66fe3742a32c11a6766aecbf07c56e773",
} as const;
const redux = {
  repo: "lllyasviel/flux_redux_bfl",
  revision: "45b801affc54ff2af4e5daf1b282e0921901db87",
} as const;

/** Where the parts besides the transformer are published; both models share them. */
export const sharedParts: Readonly<Record<Exclude<PartName, "transformer">, PartPlace>> = {
  vae: { ...hunyuan, folder: "vae" },
  text_encoder: { ...hunyuan, folder: "text_encoder" },
  tokenizer: { ...hunyuan, folder: "tokenizer" },
  text_encoder_2: { ...hunyuan, folder: "text_encoder_2" },
  tokenizer_2: { ...hunyuan, folder: "tokenizer_2" },
  image_encoder: { ...redux, folder: "image_encoder" },
  feature_extractor: { ...redux, folder: "feature_extractor" },
};
