// An SSH server on this machine's loopback, with keys of its own, for one test; and a slow link in front of it.

import { mkdirSync } from "node:fs";
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { ScratchFolder } from "./scratch-folder.ts";

const sshd = Bun.which("sshd", { PATH: `${process.env.PATH}:/usr/sbin` });
const ssh = Bun.which("ssh");

/** Why there can be no server here; null when there can. */
export const sshMissing = (): string | null => {
  if (sshd === null || ssh === null) return "OpenSSH's server or client is not installed";
  return process.getuid?.() === 0 ? null : "an SSH server of one's own needs root";
};

export class LoopbackSsh implements AsyncDisposable {
  readonly #folder = new ScratchFolder();
  readonly #server: Bun.Subprocess;
  readonly port: number;

  private constructor(port: number) {
    this.port = port;
    const { path } = this.#folder;
    for (const name of ["host", "user"]) {
      const made = Bun.spawnSync([
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-f",
        join(path, name),
      ]);
      if (!made.success) throw new Error(`ssh-keygen: ${made.stderr.toString()}`);
    }
    const config = [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${join(path, "host")}`,
      `AuthorizedKeysFile ${join(path, "user.pub")}`,
      "PidFile none",
      "StrictModes no",
      "PasswordAuthentication no",
      "AcceptEnv XDG_* FRAMEPACK_*",
    ];
    mkdirSync("/run/sshd", { recursive: true });
    const file = this.#folder.write("sshd_config", config.join("\n"));
    this.#server = Bun.spawn([sshd ?? "sshd", "-D", "-e", "-f", file], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
  }

  static async start(): Promise<LoopbackSsh> {
    const server = new LoopbackSsh(await freePort());
    await untilAccepts(server.port);
    return server;
  }

  /** The command that runs a command line on the other side, on a terminal. */
  command(line: string, port = this.port): readonly string[] {
    const options = [
      "StrictHostKeyChecking=no",
      "UserKnownHostsFile=/dev/null",
      "LogLevel=ERROR",
      "SendEnv=XDG_* FRAMEPACK_*",
      "IdentitiesOnly=yes",
    ].flatMap((option) => ["-o", option]);
    const key = join(this.#folder.path, "user");
    return [ssh ?? "ssh", "-tt", "-i", key, "-p", String(port), ...options, "127.0.0.1", line];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill();
    await this.#server.exited;
    this.#folder[Symbol.dispose]();
  }
}

export const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
};

const untilAccepts = async (port: number): Promise<void> => {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = dial(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (accepted) return;
    if (performance.now() > deadline) throw new Error(`nothing listens on port ${port}`);
    await Bun.sleep(20);
  }
};

const packetBytes = 1460;

/** A link of a rate and a latency towards the client, in packets; the other direction is only late. */
export class SlowLink implements Disposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  readonly #bytesPerSecond: number;
  readonly #latency_ms: number;

  constructor(listen: number, target: number, bytesPerSecond: number, latency_ms: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#latency_ms = latency_ms;
    this.#server = createServer((client) => this.#join(client, dial(target, "127.0.0.1")));
    this.#server.listen(listen, "127.0.0.1");
  }

  #join(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
    }
    client.on("close", () => server.destroy());
    server.on("close", () => client.end());
    client.on("data", (bytes) => setTimeout(() => server.write(bytes), this.#latency_ms));
    let free = 0;
    server.on("data", (bytes: Buffer) => {
      // Read no further until this is sent: what is not read fills the sender's buffers, as on a real link.
      server.pause();
      for (let at = 0; at < bytes.length; at += packetBytes) {
        const packet = bytes.subarray(at, at + packetBytes);
        free = Math.max(free, performance.now()) + (packet.length / this.#bytesPerSecond) * 1000;
        const late = free - performance.now() + this.#latency_ms;
        setTimeout(() => client.destroyed || client.write(packet), late);
      }
      setTimeout(() => server.resume(), Math.max(0, free - performance.now()));
    });
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
