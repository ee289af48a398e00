// The few system calls that Bun has no function for: advisory file locks and who is at the other end of a Unix socket.
// Linux only. Nothing of the kernels library lives here.

import { dlopen, ptr } from "bun:ffi";

const openLibc = () =>
  dlopen("libc.so.6", {
    flock: { args: ["i32", "i32"], returns: "i32" },
    getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  });

let opened: ReturnType<typeof openLibc> | undefined;
const libc = (): ReturnType<typeof openLibc> => {
  opened ??= openLibc();
  return opened;
};

const LOCK_EX = 2;
const LOCK_NB = 4;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Takes an exclusive advisory lock on an open file without waiting; false when somebody else holds it. */
export const tryLock = (fd: number): boolean => libc().symbols.flock(fd, LOCK_EX | LOCK_NB) === 0;

/** The user id of the process that connected to a Unix socket, or null when the kernel does not say. */
export const peerUid = (fd: number): number | null => {
  const credentials = new Int32Array(3); // pid, uid, gid
  const length = new Int32Array([credentials.byteLength]);
  const status = libc().symbols.getsockopt(
    fd,
    SOL_SOCKET,
    SO_PEERCRED,
    ptr(credentials),
    ptr(length),
  );
  return status === 0 ? (credentials[1] ?? null) : null;
};
