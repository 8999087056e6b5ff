// The limit of connections to operators' ports: the busiest address gives way.

import type { Server, Socket } from 'node:net';
import { unmapped } from '../http/address.ts';

/**
 * Keeps a server to `most` connections, and still takes every new one: where there is no room, the oldest connection of the address
 * with the most of them ends. A client that opens many shuts out itself, and a probe from elsewhere gets through.
 * NOT checked: clients that share one address; the oldest connection of theirs ends, whatever it is doing.
 */
export function admitAll(server: Server, most: number): void {
  /** By address, the oldest first. */
  const open = new Map<string, Set<Socket>>();
  let count = 0;
  const leave = (address: string, socket: Socket): void => {
    const sockets = open.get(address);
    if (sockets?.delete(socket) !== true) return;
    count -= 1;
    if (sockets.size === 0) open.delete(address);
  };
  server.prependListener('connection', (socket: Socket) => {
    if (count >= most) {
      const [address, oldest] = oldestOfMost(open);
      leave(address, oldest);
      oldest.destroy();
    }
    const address = unmapped(socket.remoteAddress) ?? '';
    open.set(address, (open.get(address) ?? new Set()).add(socket));
    count += 1;
    socket.once('close', () => leave(address, socket));
  });
}

function oldestOfMost(open: ReadonlyMap<string, ReadonlySet<Socket>>): readonly [string, Socket] {
  const [address, sockets] = [...open].reduce((most, one) => (one[1].size > most[1].size ? one : most));
  const [oldest] = sockets;
  if (oldest === undefined) throw new Error('an address without a connection is forgotten');
  return [address, oldest];
}
