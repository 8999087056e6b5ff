// The binding of an address: stale sockets removed, errors with the address in them.

import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { formatBind } from '../../policy/addresses.ts';
import type { Bind } from '../../policy/policy.ts';

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use by another process',
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'the host name is unknown',
  ENOENT: 'the directory does not exist',
};

/** Thrown for people: `WHO cannot bind ADDRESS: WHY`. */
export class BindError extends Error {
  readonly why: string;

  constructor(cause: unknown, bind: Bind, who: string) {
    const why = WHY[codeOf(cause)] ?? codeOf(cause);
    super(`${who} cannot bind ${formatBind(bind)}: ${why}`, { cause });
    this.why = why;
  }
}

/**
 * Makes a server listen. @returns the address as bound: the port is known where the policy said 0
 * Throws BindError. The file of a unix socket on which nobody listens any more is
 * replaced; Node removes it when the server closes.
 * @param reusePort other threads listen there as well (SO_REUSEPORT)
 */
export async function bindServer(server: Server, bind: Bind, who: string, reusePort = false): Promise<Bind> {
  try {
    await listen(server, bind, reusePort);
  } catch (error) {
    const stale = 'path' in bind && codeOf(error) === 'EADDRINUSE' && (await isStale(bind.path));
    if (!stale) throw new BindError(error, bind, who);
    await unlink(bind.path);
    await listen(server, bind, false).catch((again: unknown) => {
      throw new BindError(again, bind, who);
    });
  }
  const address = server.address();
  return typeof address === 'object' && address !== null ? { host: address.address, port: address.port } : bind;
}

function listen(server: Server, bind: Bind, reusePort: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...bind, reusePort }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** A socket file of which a process that was killed left nothing but the name. */
async function isStale(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false;
  return await new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED'));
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'failed';
}
