// JSON from files that nobody vouches for: depth is limited and no object may name a key twice.
// JSON.parse alone keeps the last of two equal keys in silence, so a scan looks at the text first.

/** A syntax error, too much depth, or a repeated key; the message is the end of a sentence. */
export class JsonProblem extends Error {
  override readonly name = "JsonProblem";
}

/** Parses JSON text whose objects and lists nest at most `depth_max` deep. */
export const parseStrictJson = (text: string, depth_max: number): unknown => {
  scan(text, depth_max);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new JsonProblem("is not valid JSON", { cause: error });
  }
};

/**
 * Looks at strings and brackets only; everything else is left to JSON.parse. A string is a key
 * when it stands in an object right after `{` or `,`.
 */
const scan = (text: string, depth_max: number): void => {
  const keys: (Set<string> | undefined)[] = []; // one a level: undefined inside a list
  let keyMayFollow = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '"') {
      const end = closingQuote(text, i);
      const level = keys.at(-1);
      if (keyMayFollow && level !== undefined) addKey(level, text.slice(i, end + 1));
      keyMayFollow = false;
      i = end;
    } else if (char === "{" || char === "[") {
      keys.push(char === "{" ? new Set() : undefined);
      keyMayFollow = char === "{";
      if (keys.length > depth_max) throw new JsonProblem(`nests deeper than ${depth_max} levels`);
    } else if (char === "}" || char === "]") {
      keys.pop();
      keyMayFollow = false;
    } else if (char === ",") {
      keyMayFollow = keys.at(-1) !== undefined;
    }
  }
};

const closingQuote = (text: string, open: number): number => {
  for (let i = open + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i;
  }
  throw new JsonProblem("ends inside a string");
};

const addKey = (level: Set<string>, literal: string): void => {
  const key = literal.includes("\\") ? unescaped(literal) : literal.slice(1, -1);
  if (level.has(key)) throw new JsonProblem(`names ${JSON.stringify(key)} twice`);
  level.add(key);
};

const unescaped = (literal: string): string => {
  try {
    return String(JSON.parse(literal));
  } catch (error) {
    throw new JsonProblem("has a broken key", { cause: error });
  }
};
