// The frame around every screen: header, the screen, footer, dialogs; and where keys become commands.

import { Box, type Key, Text, useInput, useIsScreenReaderEnabled, usePaste } from "ink";
import type { ReactElement } from "react";
import { printable } from "../engine/printable.ts";
import { runCommand } from "./commands.ts";
import { Dialogs } from "./components/dialogs.tsx";
import { GalleryContext } from "./components/picture-view.tsx";
import { completePath, formKey, formPaste } from "./compose/form.ts";
import { bindingsOf, commandOf, type Scope, scopesOf } from "./keys.ts";
import type { Gallery } from "./pictures/gallery.ts";
import { Compose } from "./screens/compose.tsx";
import { Doctor } from "./screens/doctor.tsx";
import { Jobs } from "./screens/jobs.tsx";
import { Models } from "./screens/models.tsx";
import { Run } from "./screens/run.tsx";
import { type Screen, type State, screens } from "./state.ts";
import { type Tui, TuiContext, useTui, useTuiState } from "./store.ts";
import { type Tone, tone } from "./theme.ts";

/** Below this nothing useful fits. */
export const smallest = { columns: 60, rows: 16 } as const;

/** The gallery is null until the terminal has said what it can show. */
export const App = ({
  tui,
  gallery,
}: Readonly<{ tui: Tui; gallery: Gallery | null }>): ReactElement => (
  <TuiContext.Provider value={tui}>
    <GalleryContext.Provider value={gallery}>
      <Frame />
    </GalleryContext.Provider>
  </TuiContext.Provider>
);

const Frame = (): ReactElement => {
  const tui = useTui();
  const state = useTuiState();
  const isRead = useIsScreenReaderEnabled();
  useInput((input, key) => onKey(tui, input, key));
  // Heard on every screen: where nothing takes text, a paste must not count as keys.
  usePaste((text) => {
    const { screen, dialog } = tui.store.state();
    if (screen === "compose" && dialog === null) formPaste(tui, text);
  });
  const { columns, rows } = state.size;
  if (!isRead && (columns < smallest.columns || rows < smallest.rows)) {
    return (
      <Box flexDirection="column">
        <Text wrap="wrap">
          The window is {columns}×{rows}; framepack needs {smallest.columns}×{smallest.rows}.
        </Text>
        <Text>Ctrl-C leaves.</Text>
      </Box>
    );
  }
  return (
    <Box flexDirection="column" width={columns} {...(isRead ? {} : { height: rows - 1 })}>
      <Header state={state} />
      <Box flexDirection="column" flexGrow={1} overflow="hidden">
        {state.dialog === null ? <Body state={state} /> : <Dialogs state={state} />}
      </Box>
      <Notice state={state} />
      <Footer state={state} />
    </Box>
  );
};

/** Reads the state when the key comes: several may come between two frames. */
const onKey = (tui: Tui, input: string, key: Key): void => {
  const scopes = scopesOf(tui.store.state());
  // Letters typed fast arrive as one text; where they are commands each counts by itself.
  if (!scopes.includes("form") && input.length > 1 && !key.ctrl && !key.meta) {
    for (const letter of input) onKey(tui, letter, key);
    return;
  }
  const command = commandOf(scopes, input, key);
  if (command === "nextField" && key.tab && completePath(tui)) return;
  if (command !== null) runCommand(tui, command);
  else if (scopes.includes("form")) formKey(tui, input, key);
};

const Body = ({ state }: Readonly<{ state: State }>): ReactElement => {
  switch (state.screen) {
    case "compose":
      return <Compose state={state} />;
    case "run":
      return <Run state={state} />;
    case "jobs":
      return <Jobs state={state} />;
    case "models":
      return <Models state={state} />;
    case "doctor":
      return <Doctor state={state} />;
  }
};

const titles: Readonly<Record<Screen, string>> = {
  compose: "Compose",
  run: "Run",
  jobs: "Jobs",
  models: "Models",
  doctor: "Doctor",
};

const Header = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const running = state.jobs.filter((job) => job.state === "running").length;
  const queued = state.jobs.filter((job) => job.state === "queued").length;
  const { connection } = state;
  const words =
    connection.state === "connected"
      ? `${running} running, ${queued} queued`
      : connection.state === "connecting"
        ? "connecting…"
        : "engine lost";
  const roomy = state.size.columns >= 80;
  return (
    <Box justifyContent="space-between" paddingX={1} flexShrink={0} aria-role="tablist">
      <Box flexShrink={0}>
        {roomy ? <Text {...tone("strong")}>framepack </Text> : null}
        {screens.map((screen, i) => (
          <Text key={screen} {...(screen === state.screen ? { inverse: true } : tone("dim"))}>
            {` ${i + 1} ${titles[screen]} `}
          </Text>
        ))}
      </Box>
      <Text wrap="truncate" {...tone(connection.state === "lost" ? "bad" : "dim")}>
        {words}
      </Text>
    </Box>
  );
};

const Notice = ({ state }: Readonly<{ state: State }>): ReactElement | null => {
  const { notice, connection } = state;
  if (connection.state === "lost") {
    const words = `The engine is gone: ${connection.reason} Ctrl-G connects again; g on a job that was interrupted goes on with it.`;
    return <NoticeLine tone="bad" text={words} />;
  }
  if (notice === null) return null;
  const tones = { info: "plain", good: "good", bad: "bad" } as const;
  return <NoticeLine tone={tones[notice.tone]} text={notice.text} />;
};

const NoticeLine = ({ tone: name, text }: Readonly<{ tone: Tone; text: string }>): ReactElement => (
  <Box paddingX={1} flexShrink={0}>
    <Text {...tone(name)} wrap="wrap">
      {printable(text)}
    </Text>
  </Box>
);

const Footer = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const isRead = useIsScreenReaderEnabled();
  const room = isRead ? Number.POSITIVE_INFINITY : state.size.columns - 2;
  return (
    <Box paddingX={1} flexShrink={0}>
      <Text {...tone("dim")} wrap="truncate">
        {footerOf(scopesOf(state), room)}
      </Text>
    </Box>
  );
};

/** The keys wanted most, as many as fit; help and leaving always among them. */
export const footerOf = (scopes: readonly Scope[], room: number): string => {
  const ranked = bindingsOf(scopes)
    .flatMap(({ shown, footer }) =>
      footer === null ? [] : [{ rank: footer[0], words: `${shown.split(" ")[0]} ${footer[1]}` }],
    )
    .sort((a, b) => a.rank - b.rank);
  const kept = ranked.filter(({ rank }) => rank >= alwaysRank);
  let used = kept.reduce((sum, { words }) => sum + words.length + 3, -3);
  for (const one of ranked.filter(({ rank }) => rank < alwaysRank)) {
    if (used + one.words.length + 3 > room) break;
    used += one.words.length + 3;
    kept.push(one);
  }
  kept.sort((a, b) => a.rank - b.rank);
  return kept.map(({ words }) => words).join("   ");
};

const alwaysRank = 8;
