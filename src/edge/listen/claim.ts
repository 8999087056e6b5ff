// The claim of an address for the workers, which fails if another process has it.

import { createServer } from 'node:net';
import type { Bind } from '../../policy/policy.ts';
import { bindServer } from './bind.ts';

/**
 * Binds an address as nobody else may, and lets it go again: workers that share a port (SO_REUSEPORT) would silently share it
 * with another process as well.
 * @returns the address with the port that it got where the policy said 0
 * @throws Error for people where it cannot be bound (bind.ts)
 */
export async function claimBind(bind: Bind, who: string): Promise<Bind> {
  const server = createServer((socket) => socket.destroy());
  const bound = await bindServer(server, bind, who);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return bound;
}
