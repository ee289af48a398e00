// The frame around every screen: header, the screen, footer, dialogs; and where keys become commands.

import { Box, Text, useInput } from "ink";
import type { ReactElement } from "react";
import { printable } from "../engine/printable.ts";
import { runCommand } from "./commands.ts";
import { Dialogs } from "./components/dialogs.tsx";
import { GalleryContext } from "./components/picture-view.tsx";
import { bindingsOf, commandOf, scopesOf } from "./keys.ts";
import type { Gallery } from "./pictures/gallery.ts";
import { Compose } from "./screens/compose.tsx";
import { Doctor } from "./screens/doctor.tsx";
import { Jobs } from "./screens/jobs.tsx";
import { Models } from "./screens/models.tsx";
import { Run } from "./screens/run.tsx";
import { type Screen, type State, screens } from "./state.ts";
import { type Tui, TuiContext, useTui, useTuiState } from "./store.ts";
import { tone } from "./theme.ts";
import { fit } from "./words.ts";

/** Below this nothing useful fits. */
export const smallest = { columns: 60, rows: 16 } as const;

export const App = ({ tui, gallery }: Readonly<{ tui: Tui; gallery: Gallery }>): ReactElement => (
  <TuiContext.Provider value={tui}>
    <GalleryContext.Provider value={gallery}>
      <Frame />
    </GalleryContext.Provider>
  </TuiContext.Provider>
);

const Frame = (): ReactElement => {
  const tui = useTui();
  const state = useTuiState();
  useInput((input, key) => {
    const command = commandOf(scopesOf(state.screen, state.dialog), input, key);
    if (command !== null) runCommand(tui, command);
  });
  const { columns, rows } = state.size;
  if (columns < smallest.columns || rows < smallest.rows) {
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
    <Box flexDirection="column" width={columns} height={rows - 1}>
      <Header state={state} />
      <Box flexDirection="column" flexGrow={1} overflow="hidden">
        {state.dialog === null ? <Body state={state} /> : <Dialogs state={state} />}
      </Box>
      <Notice state={state} />
      <Footer state={state} />
    </Box>
  );
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
  const engine =
    connection.state === "connected"
      ? `${running} running, ${queued} queued`
      : connection.state === "connecting"
        ? "connecting…"
        : "engine lost";
  return (
    <Box justifyContent="space-between" paddingX={1}>
      <Text>
        <Text {...tone("strong")}>framepack </Text>
        {screens.map((screen, i) => (
          <Text key={screen} {...(screen === state.screen ? { inverse: true } : tone("dim"))}>
            {` ${i + 1} ${titles[screen]} `}
          </Text>
        ))}
      </Text>
      <Text {...tone(connection.state === "lost" ? "bad" : "dim")}>{engine}</Text>
    </Box>
  );
};

const Notice = ({ state }: Readonly<{ state: State }>): ReactElement | null => {
  const { notice, connection, size } = state;
  if (connection.state === "lost") {
    const words = `The engine ended: ${connection.reason} Any job shows as interrupted; r connects again.`;
    return (
      <Box paddingX={1}>
        <Text {...tone("bad")} wrap="truncate">
          {printable(words)}
        </Text>
      </Box>
    );
  }
  if (notice === null) return null;
  const tones = { info: "plain", good: "good", bad: "bad" } as const;
  return (
    <Box paddingX={1} width={size.columns}>
      <Text {...tone(tones[notice.tone])} wrap="wrap">
        {printable(notice.text)}
      </Text>
    </Box>
  );
};

const Footer = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const hints = bindingsOf(scopesOf(state.screen, state.dialog))
    .filter((binding) => binding.footer !== null)
    .sort((a, b) => (a.footer ?? 0) - (b.footer ?? 0))
    .map((binding) => `${binding.shown} ${binding.about.split(/[;,]/)[0]}`);
  return (
    <Box paddingX={1}>
      <Text {...tone("dim")} wrap="truncate">
        {fit(hints.join("   "), state.size.columns - 2)}
      </Text>
    </Box>
  );
};
