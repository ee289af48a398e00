// The engine on its Unix socket: who may connect, which lines are commands, one engine a user. What a command does is
// engine.ts; how much a client may cost is connection.ts.

import { chmodSync, closeSync, openSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { peerUid, tryLock } from "../../ffi/os.ts";
import { Failure, reportOf } from "../failure.ts";
import { printable } from "../printable.ts";
import { makePrivateFolder, requireSocketFolder } from "../private-folder.ts";
import { type Command, commandSchema, type Message, protocolVersion } from "../protocol.ts";
import { Connection } from "./connection.ts";
import type { Engine } from "./engine.ts";
import type { Log } from "./log.ts";

/** Lines in a row that are no commands before a client is cut off. */
const garbageMax = 3;
const clientsMax = 64;

export type ServerOptions = Readonly<{
  engine: Engine;
  log: Log;
  socketPath: string;
}>;

/**
 * Takes the user's engine lock; null when another engine holds it. The lock goes with the process, however it ends, so a
 * socket found by its holder is stale.
 */
export const takeEngineLock = (path: string): Disposable | null => {
  makePrivateFolder(dirname(path));
  const fd = openSync(path, "a", 0o600);
  if (!tryLock(fd)) {
    closeSync(fd);
    return null;
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
};

type Client = { connection: Connection; garbage: number; greeted: boolean };

export const serve = (options: ServerOptions): AsyncDisposable => {
  const { engine, log, socketPath } = options;
  requireSocketFolder(socketPath);
  rmSync(socketPath, { force: true });
  const clients = new Set<Client>();
  const uid = process.getuid?.() ?? -1;

  const server = Bun.listen<Client | undefined>({
    unix: socketPath,
    socket: {
      open: (socket) => {
        const peer = peerUid((socket as unknown as { fd: number }).fd);
        if (peer !== uid || clients.size >= clientsMax) {
          log.write("warn", "connection refused", { uid: peer, clients: clients.size });
          socket.end();
          return;
        }
        const connection = new Connection(
          { write: (bytes) => socket.write(bytes), close: () => socket.end() },
          (jobs) => catchUp(engine, connection, jobs),
        );
        const client = { connection, garbage: 0, greeted: false };
        socket.data = client;
        clients.add(client);
        engine.attach(connection);
      },
      data: (socket, bytes) => {
        if (socket.data !== undefined) receive(engine, socket.data, bytes);
      },
      drain: (socket) => socket.data?.connection.drain(),
      close: (socket) => leave(engine, clients, socket.data),
      error: (socket) => leave(engine, clients, socket.data),
    },
  });
  chmodSync(socketPath, 0o600);
  const sweep = setInterval(() => {
    for (const client of clients) {
      if (client.connection.cutIfStuck(Date.now())) {
        log.write("warn", "a client that reads nothing was cut off", {});
        leave(engine, clients, client);
      }
    }
  }, 1000);
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(sweep);
      const bye = { type: "bye", reason: "it was asked to end" } as const;
      await Promise.all([...clients].map(({ connection }) => connection.sayAndClose(bye)));
      server.stop(true);
      rmSync(socketPath, { force: true });
    },
  };
};

const catchUp = (engine: Engine, connection: Connection, jobs: ReadonlySet<string>): void => {
  for (const id of jobs) {
    try {
      connection.deliver({ type: "job", job: engine.summary(id), dropped: true });
    } catch (error) {
      // Forgotten meanwhile: the client was, or will be, told by its own message.
      if (!(error instanceof Failure)) throw error;
    }
  }
};

const leave = (engine: Engine, clients: Set<Client>, client: Client | undefined): void => {
  if (client === undefined || !clients.delete(client)) return;
  client.connection.close();
  engine.detach(client.connection);
};

const receive = (engine: Engine, client: Client, bytes: Uint8Array): void => {
  const lines = client.connection.receive(bytes);
  if (lines === "too long") {
    refuse(client, null, "The line is too long for a command.");
    client.connection.close();
    return;
  }
  for (const line of lines) {
    if (!client.connection.open) return;
    const parsed = parseCommand(line);
    if ("error" in parsed) {
      refuse(client, parsed.id, parsed.error);
      client.garbage++;
      if (client.garbage >= garbageMax) client.connection.close();
      continue;
    }
    client.garbage = 0;
    void answer(engine, client, parsed.command).then((reply) => client.connection.deliver(reply));
  }
};

const answer = async (engine: Engine, client: Client, command: Command): Promise<Message> => {
  try {
    const result = await engine.handle(client.connection, command);
    return { type: "reply", id: command.id, error: null, ...result };
  } catch (error) {
    const { id, code, message, hint } = reportOf(error);
    return { type: "reply", id: command.id, error: { id, code, message, hint: hint ?? null } };
  }
};

const refuse = (client: Client, id: number | null, message: string): void =>
  client.connection.deliver({
    type: "reply",
    id,
    error: { id: "usage.protocol", code: 2, message, hint: null },
  });

type Parsed = Readonly<{ command: Command } | { error: string; id: number | null }>;

const parseCommand = (line: string): Parsed => {
  let data: unknown;
  try {
    data = JSON.parse(line);
  } catch {
    // The sentence below is all there is to say; the line itself may hold anything.
    return { error: "The line is no JSON.", id: null };
  }
  const head = data as { v?: unknown; id?: unknown } | null;
  const id = typeof head?.id === "number" && Number.isInteger(head.id) ? head.id : null;
  if (head?.v !== protocolVersion) {
    const theirs = printable(String(head?.v), 20);
    const versions = `protocol ${protocolVersion}, the client ${theirs}`;
    const error = `The running engine is of another version (${versions}).`;
    return { error: `${error} It ends some minutes after its last job.`, id };
  }
  const result = commandSchema.safeParse(data);
  if (result.success) return { command: result.data };
  const issue = result.error.issues[0];
  const where = issue?.path.join(".") ?? "";
  return { error: printable(`No command: ${where} ${issue?.message ?? ""}`, 300), id };
};
