// Ready-made prompts: short, motion first, as the original's guideline advises.

export const quickPrompts = [
  "The girl dances gracefully, with clear movements, full of charm.",
  "A character doing some simple body movements.",
  "The man dances powerfully, with clear movements, full of energy.",
  "The man dances powerfully, striking sharp poses and gliding smoothly across the reflective floor.",
] as const;
