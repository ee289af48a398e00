// The demo model's small world: one flat shape that moves over a plain, graded or two-part
// background, as its caption says. Everything is a function of a seed. Lengths are in units of a
// picture 64 wide; what leaves comes back opposite.

export const colours = {
  red: [225, 45, 45],
  green: [45, 185, 75],
  blue: [50, 90, 235],
  yellow: [250, 215, 50],
  orange: [250, 140, 30],
  purple: [150, 60, 205],
  white: [245, 245, 245],
  pink: [250, 130, 190],
  cyan: [60, 210, 225],
} as const satisfies Record<string, readonly [number, number, number]>;

export type Colour = keyof typeof colours;
export type Shape = "circle" | "square" | "triangle" | "star";
export type Motion =
  | "left"
  | "right"
  | "up"
  | "down"
  | "bounce"
  | "swing"
  | "pulse"
  | "orbit"
  | "still";

export type Scene = Readonly<{
  shape: Shape;
  colour: Colour;
  motion: Motion;
  /** Centre and radius at frame 0; the angle from the top counts for an orbit. */
  x: number;
  y: number;
  radius: number;
  angle: number;
  background: Background;
}>;

type Rgb = readonly [number, number, number];
type Background = Readonly<{
  kind: "plain" | "gradient" | "ground";
  first: Rgb;
  second: Rgb;
  across: boolean;
  horizon: number;
}>;

const unit = 64;
/** Every motion repeats after so many frames. */
const period = 72;

/** Uniform numbers in [0, 1) from a seed (mulberry32). */
export const randomFrom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};

const motions: readonly Motion[] = [
  ...(["left", "right", "up", "down", "bounce"] as const),
  ...(["swing", "pulse", "orbit", "still"] as const),
];
const shapes: readonly Shape[] = ["circle", "square", "triangle", "star"];
const grid = [14, 23, 32, 41, 50] as const;
const pulseGrid = [20, 32, 44] as const;

export const randomScene = (random: () => number): Scene => {
  const motion = pick(random, motions);
  const background = randomBackground(random);
  const angle = (2 * Math.PI * Math.floor(random() * 8)) / 8;
  const places = motion === "pulse" ? pulseGrid : grid;
  const onOrbit = motion === "orbit";
  return {
    motion,
    background,
    shape: pick(random, shapes),
    colour: pick(random, clearColours(background)),
    x: onOrbit ? 32 + 17 * Math.sin(angle) : motion === "swing" ? 32 : pick(random, places),
    y: onOrbit ? 32 - 17 * Math.cos(angle) : motion === "bounce" ? 47 : pick(random, places),
    radius: motion === "pulse" ? 9 : 12,
    angle,
  };
};

/** `count` frames of size × size RGB bytes, one after the other. */
export const render = (scene: Scene, count: number, size: number): Uint8Array => {
  const out = new Uint8Array(count * size * size * 3);
  const scale = size / unit;
  const paint = colours[scene.colour];
  for (let t = 0; t < count; t++) {
    const { x, y, radius } = poseAt(scene, t);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const px = (column + 0.5) / scale;
        const py = (row + 0.5) / scale;
        const inside = distance(scene.shape, wrap(px - x), wrap(py - y), radius);
        const alpha = Math.min(1, Math.max(0, 0.5 - scale * inside));
        const behind = backgroundAt(scene.background, px, py);
        const at = ((t * size + row) * size + column) * 3;
        for (let c = 0; c < 3; c++) {
          out[at + c] = (behind[c] ?? 0) * (1 - alpha) + (paint[c] ?? 0) * alpha + 0.5;
        }
      }
    }
  }
  return out;
};

const poseAt = (scene: Scene, t: number): { x: number; y: number; radius: number } => {
  const turn = (2 * Math.PI * t) / period;
  const way = (unit * t) / period;
  const { x, y, radius } = scene;
  switch (scene.motion) {
    case "left":
      return { x: x - way, y, radius };
    case "right":
      return { x: x + way, y, radius };
    case "up":
      return { x, y: y - way, radius };
    case "down":
      return { x, y: y + way, radius };
    case "bounce":
      return { x, y: y - 28 * Math.abs(Math.sin(turn / 2)), radius };
    case "swing":
      return { x: x + 15 * Math.sin(turn), y, radius };
    case "pulse":
      return { x, y, radius: radius * (1 + 0.75 * Math.sin(turn / 2) ** 2) };
    case "orbit": {
      const angle = scene.angle + turn;
      return { x: 32 + 17 * Math.sin(angle), y: 32 - 17 * Math.cos(angle), radius };
    }
    case "still":
      return { x, y, radius };
  }
};

/** Signed distance to the shape's edge, negative inside. */
const distance = (shape: Shape, x: number, y: number, radius: number): number => {
  switch (shape) {
    case "circle":
      return Math.hypot(x, y) - radius;
    case "square": {
      const qx = Math.abs(x) - radius * 0.86;
      const qy = Math.abs(y) - radius * 0.86;
      return Math.hypot(Math.max(qx, 0), Math.max(qy, 0)) + Math.min(Math.max(qx, qy), 0);
    }
    case "triangle": {
      const sides = [0, 1, 2].map((k) => Math.PI / 2 + (2 * Math.PI * k) / 3);
      return Math.max(...sides.map((a) => x * Math.cos(a) + y * Math.sin(a))) - radius * 0.575;
    }
    case "star":
      return starDistance(x, y, radius * 1.2);
  }
};

/**
 * Five tips at `reach`, five notches at 0.48 of it; distance to the line between a tip and a notch.
 */
const starDistance = (x: number, y: number, reach: number): number => {
  const tenth = Math.PI / 5;
  const angle = Math.atan2(x, -y);
  const folded = Math.abs(modulo(angle, 2 * tenth) - tenth);
  const length = Math.hypot(x, y);
  const notch = 0.48 * reach;
  const ex = reach * Math.cos(tenth) - notch;
  const ey = reach * Math.sin(tenth);
  const along = length * Math.cos(folded) - notch;
  return (along * ey - length * Math.sin(folded) * ex) / Math.hypot(ex, ey);
};

const backgroundAt = (b: Background, x: number, y: number): Rgb => {
  const place = b.across ? x : y;
  const share =
    b.kind === "plain" ? 0 : b.kind === "gradient" ? place / unit : Number(y > b.horizon);
  const mix = (c: 0 | 1 | 2): number => b.first[c] * (1 - share) + b.second[c] * share;
  return [mix(0), mix(1), mix(2)];
};

const randomBackground = (random: () => number): Background => {
  const colour = (): Rgb => {
    const base = 0.08 + 0.84 * random();
    const part = (): number => 255 * Math.min(0.97, Math.max(0.03, base + 0.44 * (random() - 0.5)));
    return [part(), part(), part()];
  };
  const roll = random();
  return {
    kind: roll < 0.5 ? "plain" : roll < 0.8 ? "gradient" : "ground",
    first: colour(),
    second: colour(),
    across: random() < 0.5,
    horizon: pick(random, [44, 48, 52]),
  };
};

/** Colours that differ clearly from the background; all of them where none does. */
const clearColours = ({ kind, first, second }: Background): readonly Colour[] => {
  const names = Object.keys(colours) as Colour[];
  const grounds = kind === "plain" ? [first] : [first, second];
  const clear = names.filter((name) =>
    grounds.every(
      (g) => colours[name].reduce((d, v, c) => d + Math.abs(v - (g[c] ?? 0)), 0) >= 170,
    ),
  );
  return clear.length > 0 ? clear : names;
};

const pick = <T>(random: () => number, list: readonly T[]): T => {
  const item = list[Math.floor(random() * list.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
};

const modulo = (a: number, n: number): number => a - n * Math.floor(a / n);
const wrap = (d: number): number => modulo(d + unit / 2, unit) - unit / 2;
