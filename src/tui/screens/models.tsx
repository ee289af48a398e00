// The models on this machine: what is there, what is missing, and a download's progress.

import { Box, Text } from "ink";
import type { ReactElement } from "react";
import { printable } from "../../engine/printable.ts";
import type { Download, ModelStatus } from "../../engine/protocol.ts";
import type { State } from "../state.ts";
import { tone } from "../theme.ts";
import { bar, bytes, duration } from "../words.ts";

export const Models = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const { models, downloads } = state;
  if (models === null) {
    return (
      <Box paddingX={1}>
        <Text {...tone("dim")}>Looking…</Text>
      </Box>
    );
  }
  return (
    <Box flexDirection="column" paddingX={1}>
      {models.map((model, i) => (
        <Model
          key={model.name}
          model={model}
          download={downloads.find((d) => d.model === model.name)}
          selected={i === Math.min(state.selected.models, models.length - 1)}
          width={state.size.columns - 4}
        />
      ))}
    </Box>
  );
};

type ModelProps = Readonly<{
  model: ModelStatus;
  download: Download | undefined;
  selected: boolean;
  width: number;
}>;

const states = { complete: "good", partial: "warn", absent: "dim" } as const;

const Model = ({ model, download, selected, width }: ModelProps): ReactElement => {
  const size =
    model.state === "complete"
      ? bytes(model.bytesTotal)
      : `${bytes(model.bytesPresent)} of ${bytes(model.bytesTotal)}`;
  return (
    <Box flexDirection="column" marginBottom={1}>
      <Text {...(selected ? { inverse: true } : {})}>
        {` ${model.name.padEnd(14)} `}
        <Text {...tone(states[model.state])}>{model.state.padEnd(9)}</Text> {size}{" "}
      </Text>
      <Text {...tone("dim")}> {printable(model.title)}</Text>
      {model.path === null ? null : (
        <Text {...tone("dim")} wrap="truncate-middle">
          {` ${printable(model.path)}`}
        </Text>
      )}
      {selected ? (
        <Text {...tone("dim")} wrap="wrap">
          {` Licence: ${printable(model.licence)}`}
        </Text>
      ) : null}
      {download === undefined ? null : <Progress download={download} width={width} />}
    </Box>
  );
};

const Progress = ({
  download,
  width,
}: Readonly<{ download: Download; width: number }>): ReactElement => {
  const { state, bytesDone, bytesTotal, bytesPerSecond, leftMs, file, message } = download;
  if (state === "failed" || state === "cancelled") {
    return (
      <Text {...tone(state === "failed" ? "bad" : "warn")}>{printable(message ?? state)}</Text>
    );
  }
  const words =
    state === "finished"
      ? printable(message ?? "complete")
      : `${bytes(bytesDone)} of ${bytes(bytesTotal)} · ${bytes(bytesPerSecond)}/s${
          leftMs === null ? "" : ` · ${duration(leftMs)} left`
        }${file === null ? "" : ` · ${printable(file)}`}`;
  return (
    <Box flexDirection="column">
      <Text
        {...tone("accent")}
        aria-hidden
      >{` ${bar(bytesDone / Math.max(1, bytesTotal), Math.max(10, width - 2))}`}</Text>
      <Text wrap="truncate">{` ${state === "verifying" ? "verifying · " : ""}${words}`}</Text>
    </Box>
  );
};
