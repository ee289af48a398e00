// A download's progress for whoever reads it: a line that is written over on a terminal, one line an
// event off it, JSON where asked for.

import { jsonLine, printable } from "../engine/printable.ts";
import type { Download } from "../engine/protocol.ts";
import { size, span } from "../engine/words.ts";
import { LiveBlock } from "./live-block.ts";
import { say } from "./say.ts";

type Options = Readonly<{ json: boolean; terminal: NodeJS.WriteStream }>;

/** Off a terminal progress is said at every so many percent. */
const step_percent = 5;

export class DownloadReporter implements Disposable {
  readonly #json: boolean;
  readonly #block: LiveBlock | undefined;
  #latest: Download | undefined;
  #percent = -step_percent;

  constructor({ json, terminal }: Options) {
    this.#json = json;
    const isLive = !json && Boolean(terminal.isTTY) && process.env.TERM !== "dumb";
    this.#block = isLive ? new LiveBlock(terminal, (columns) => this.#lines(columns)) : undefined;
  }

  readonly listen = (download: Download): void => {
    this.#latest = download;
    if (this.#json) {
      console.log(jsonLine({ type: "download", ...download }));
      return;
    }
    // The caller tells what ended it.
    const { state, message } = download;
    if (state === "failed" || state === "cancelled") return;
    if (state === "finished")
      this.say(`${download.model} is complete: ${size(download.bytesTotal)}.`);
    else if (message !== null) this.say(printable(message));
    else if (this.#block !== undefined) this.#block.refresh();
    else this.#sayStep(download);
  };

  say(line: string): void {
    if (this.#block === undefined) say(line);
    else this.#block.say(line);
  }

  [Symbol.dispose](): void {
    this.#block?.[Symbol.dispose]();
  }

  #sayStep(download: Download): void {
    const percent = Math.floor((100 * download.bytesDone) / Math.max(1, download.bytesTotal));
    if (percent < this.#percent + step_percent) return;
    this.#percent = percent;
    say(downloadLine(download));
  }

  #lines(columns: number): readonly string[] {
    if (this.#latest === undefined || this.#latest.state === "finished") return [];
    const line = downloadLine(this.#latest);
    return [line.length < columns ? line : `${line.slice(0, Math.max(1, columns - 2))}…`];
  }
}

/** "12 % · 5.1 GB of 42.9 GB · 93.2 MB/s · 6 min 45 s left · vae/config.json". */
export const downloadLine = (download: Download): string => {
  const { bytesDone, bytesTotal, bytesPerSecond, leftMs, file, state } = download;
  const percent = Math.floor((100 * bytesDone) / Math.max(1, bytesTotal));
  return [
    `${state === "verifying" ? "checking " : ""}${percent} %`,
    `${size(bytesDone)} of ${size(bytesTotal)}`,
    ...(bytesPerSecond > 0 ? [`${size(bytesPerSecond)}/s`] : []),
    ...(leftMs === null ? [] : [`${span(leftMs)} left`]),
    ...(file === null ? [] : [printable(file, 200)]),
  ].join(" · ");
};
