// What stands around a prompt for the language model, and how much of the result is the prompt's.
// The published text encoder was used with exactly these characters; they are data, not prose.

/** `{}` is the prompt. No spaces after the full stops, two line feeds after each header. */
export const publishedTemplate =
  "<|start_header_id|>system<|end_header_id|>\n\n" +
  "Describe the video by detailing the following aspects: " +
  "1. The main content and theme of the video." +
  "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects." +
  "3. Actions, events, behaviors temporal relationships, physical movement changes of the objects." +
  "4. background environment, light, style and atmosphere." +
  "5. camera angles, movements, and transitions used in the video:<|eot_id|>" +
  "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>";

/** Tokens before the prompt in the published template, the first one of all texts included. */
export const published_crop = 95;

/** The most tokens of the prompt and what follows it. */
export const prompt_tokens_max = 256;

/** The pooled encoder's sequence, first and last token included. */
export const clip_tokens_max = 77;

/** The template with the prompt in it. `$` in a prompt has no meaning. */
export const fillTemplate = (template: string, prompt: string): string => {
  const [before = "", after = ""] = template.split("{}");
  return before + prompt + after;
};
