// The jobs on disk: one SQLite file (WAL) with each job's recipe, state, place in the queue and last view.
// It outlives the engine; only the engine writes to it. Nothing here runs a job.

import { Database } from "bun:sqlite";
import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { type Recipe, recipeSchema } from "../job.ts";
import { emptyView, type JobView, jobViewSchema } from "../job-view.ts";
import { type JobState, type JobSummary, jobStates } from "../protocol.ts";
import type { JobEnvironment } from "./environment.ts";

const schemaVersion = 1;

const rowSchema = z.object({
  id: z.string(),
  state: z.enum(jobStates),
  place: z.number().nullable(),
  created_at: z.number(),
  started_at: z.number().nullable(),
  ended_at: z.number().nullable(),
  recipe: z.string(),
  view: z.string(),
});

const environmentRow = z.object({ environment: z.string() });
const environmentSchema = z.record(z.string(), z.string());

const columns = "id, state, place, created_at, started_at, ended_at, recipe, view";

export class JobStore implements Disposable {
  readonly #db: Database;

  constructor(path: string) {
    if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#db = new Database(path, { create: true, strict: true });
    if (path !== ":memory:") chmodSync(path, 0o600);
    this.#db.run("PRAGMA journal_mode = WAL");
    this.#db.run("PRAGMA synchronous = NORMAL");
    this.#db.run("PRAGMA busy_timeout = 2000");
    const { user_version: found } = this.#db.query("PRAGMA user_version").get() as {
      user_version: number;
    };
    if (found > schemaVersion) {
      throw new Error(`the job file ${path} was written by a newer framepack (${found})`);
    }
    this.#db.run(`CREATE TABLE IF NOT EXISTS jobs (
      id TEXT PRIMARY KEY, state TEXT NOT NULL, place REAL,
      created_at REAL NOT NULL, started_at REAL, ended_at REAL,
      recipe TEXT NOT NULL, view TEXT NOT NULL, environment TEXT NOT NULL
    ) STRICT`);
    this.#db.run("CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, place)");
    this.#db.run(`PRAGMA user_version = ${schemaVersion}`);
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  /** Adds a queued job, last or first in the queue. */
  add(recipe: Recipe, environment: JobEnvironment, front: boolean, now: number): JobSummary {
    const id = this.#freeId(now);
    const edge = front ? "MIN(place) - 1" : "MAX(place) + 1";
    this.#db
      .query(
        `INSERT INTO jobs (${columns}, environment) VALUES ($id, 'queued',
         (SELECT COALESCE(${edge}, 0) FROM jobs WHERE state = 'queued'), $now, NULL, NULL, $recipe, $view, $environment)`,
      )
      .run({
        id,
        now,
        recipe: JSON.stringify(recipe),
        view: JSON.stringify(emptyView),
        environment: JSON.stringify(environment),
      });
    return this.require(id);
  }

  get(id: string): JobSummary | null {
    const row = this.#db.query(`SELECT ${columns} FROM jobs WHERE id = $id`).get({ id });
    return row === null ? null : this.#summary(row);
  }

  require(id: string): JobSummary {
    const job = this.get(id);
    if (job === null) throw new Error(`job ${id} is not in the store`);
    return job;
  }

  /** The variables a job was submitted with. */
  environmentOf(id: string): JobEnvironment {
    const row = this.#db.query("SELECT environment FROM jobs WHERE id = $id").get({ id });
    const { environment } = environmentRow.parse(row);
    return environmentSchema.parse(JSON.parse(environment));
  }

  /** What runs and what waits, in that order, then the newest of the rest. */
  list(limit: number): JobSummary[] {
    const rows = this.#db
      .query(
        `SELECT ${columns} FROM jobs ORDER BY state = 'running' DESC, state = 'queued' DESC,
         place ASC, created_at DESC LIMIT $limit`,
      )
      .all({ limit });
    return rows.map((row) => this.#summary(row));
  }

  /** The queued job whose turn it is. */
  next(): JobSummary | null {
    const row = this.#db
      .query(`SELECT ${columns} FROM jobs WHERE state = 'queued' ORDER BY place LIMIT 1`)
      .get();
    return row === null ? null : this.#summary(row);
  }

  count(state: JobState): number {
    const row = this.#db
      .query("SELECT COUNT(*) AS n FROM jobs WHERE state = $state")
      .get({ state }) as { n: number };
    return row.n;
  }

  setState(id: string, state: JobState, now: number): void {
    this.#db
      .query(
        `UPDATE jobs SET state = $state,
         place = CASE WHEN $state = 'queued' THEN place ELSE NULL END,
         started_at = CASE WHEN $state = 'running' THEN $now ELSE started_at END,
         ended_at = CASE WHEN $state IN ('queued', 'running') THEN NULL ELSE $now END
         WHERE id = $id`,
      )
      .run({ id, state, now });
  }

  /** Back into the queue, at its front: a job that goes on. */
  requeue(id: string, now: number): void {
    this.#db
      .query(
        `UPDATE jobs SET place = (SELECT COALESCE(MIN(place) - 1, 0) FROM jobs WHERE state = 'queued')
         WHERE id = $id`,
      )
      .run({ id });
    this.setState(id, "queued", now);
  }

  setView(id: string, view: JobView): void {
    // A preview is worth nothing tomorrow and is most of the bytes.
    const text = JSON.stringify({ ...view, preview: null });
    this.#db.query("UPDATE jobs SET view = $view WHERE id = $id").run({ id, view: text });
  }

  /** Puts a queued job before another queued one, or last. */
  reorder(id: string, before: string | null): void {
    const queued = this.#db
      .query("SELECT id FROM jobs WHERE state = 'queued' ORDER BY place")
      .all() as { id: string }[];
    const others = queued.map((row) => row.id).filter((other) => other !== id);
    const at = before === null ? others.length : others.indexOf(before);
    others.splice(at < 0 ? others.length : at, 0, id);
    const update = this.#db.query("UPDATE jobs SET place = $place WHERE id = $id");
    this.#db.transaction(() => {
      for (const [place, other] of others.entries()) update.run({ id: other, place });
    })();
  }

  forget(id: string): void {
    this.#db.query("DELETE FROM jobs WHERE id = $id").run({ id });
  }

  /** Jobs that say they run although no engine ran: cut off. Returns their ids. */
  interruptRunning(now: number): string[] {
    const rows = this.#db.query("SELECT id FROM jobs WHERE state = 'running'").all() as {
      id: string;
    }[];
    for (const { id } of rows) this.setState(id, "interrupted", now);
    return rows.map((row) => row.id);
  }

  #summary(raw: unknown): JobSummary {
    const row = rowSchema.parse(raw);
    const place =
      row.state === "queued" && row.place !== null
        ? (
            this.#db
              .query("SELECT COUNT(*) AS n FROM jobs WHERE state = 'queued' AND place < $place")
              .get({ place: row.place }) as { n: number }
          ).n
        : null;
    return {
      id: row.id,
      state: row.state,
      recipe: recipeSchema.parse(JSON.parse(row.recipe)),
      place,
      createdAt: row.created_at,
      startedAt: row.started_at,
      endedAt: row.ended_at,
      view: jobViewSchema.parse(JSON.parse(row.view)),
    };
  }

  /** Local time, readable and sortable: 261122-093015, and -2, -3 … within one second. */
  #freeId(now: number): string {
    const t = new Date(now);
    const two = (n: number): string => String(n % 100).padStart(2, "0");
    const day = `${two(t.getFullYear())}${two(t.getMonth() + 1)}${two(t.getDate())}`;
    const stem = `${day}-${two(t.getHours())}${two(t.getMinutes())}${two(t.getSeconds())}`;
    for (let n = 1; ; n++) {
      const id = n === 1 ? stem : `${stem}-${n}`;
      if (this.#db.query("SELECT 1 FROM jobs WHERE id = $id").get({ id }) === null) return id;
    }
  }
}
