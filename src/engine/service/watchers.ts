// Who watches the engine, and what of it. Messages go to those who asked for them; how a slow one is
// treated is its connection's business.

import type { JobEvent } from "../events.ts";
import type { Download, JobSummary, Message } from "../protocol.ts";

/** Somebody who watches: a connection, or a test. */
export type Watcher = Readonly<{
  /** Takes a message now or drops it if it is a preview nobody has time for. */
  deliver: (message: Message) => void;
}>;

type Subscription = Readonly<{ job: string | null; previews: boolean }>;

export class Watchers {
  readonly #all = new Map<Watcher, Subscription | null>();

  get count(): number {
    return this.#all.size;
  }

  add(watcher: Watcher): void {
    this.#all.set(watcher, null);
  }

  remove(watcher: Watcher): void {
    this.#all.delete(watcher);
  }

  /** Events of one job, or of all with null; null as subscription for none. */
  subscribe(watcher: Watcher, subscription: Subscription | null): void {
    this.#all.set(watcher, subscription);
  }

  tellEvent(job: string, event: JobEvent): void {
    this.#tell({ type: "event", job, event }, (s) => {
      return (s.job === null || s.job === job) && (s.previews || event.type !== "preview");
    });
  }

  tellState({ view: _view, ...job }: JobSummary): void {
    this.#tell({ type: "state", job }, (s) => s.job === null || s.job === job.id);
  }

  tellForgotten(job: string): void {
    this.#tell({ type: "forgotten", job }, () => true);
  }

  tellDownload(download: Download): void {
    this.#tell({ type: "download", download }, (s) => s.job === null);
  }

  #tell(message: Message, wanted: (subscription: Subscription) => boolean): void {
    for (const [watcher, subscription] of this.#all) {
      if (subscription !== null && wanted(subscription)) watcher.deliver(message);
    }
  }
}
