// Soak clients with WebSockets: opened with a token, used, and closed in order.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { type ClientOptions, WebSocket } from 'ws';
import type { Kind, Load } from './kind.ts';

/** Bytes of the messages of one tunnel. */
const MESSAGES = [10, 1000, 65_536, 200_000, 100];
/** Milliseconds between two messages. */
const BETWEEN = 500;

export function tunnelKinds(): Kind[] {
  return [{ name: 'WebSocket', perSecond: 4, atOnce: 40, run: tunnel }];
}

async function tunnel({ setting: { port, ca }, someone }: Load): Promise<void> {
  const headers = { host: `localhost:${port}`, authorization: `Bearer ${someone().tokens.bearer}` };
  // ws passes options of node:tls on, and its types do not say so.
  const options = { ca, servername: 'localhost', headers } as ClientOptions;
  const socket = new WebSocket(`wss://127.0.0.1:${port}/token/socket`, [], options);
  try {
    await once(socket, 'open');
    for (const bytes of MESSAGES) {
      const message = randomBytes(bytes);
      const answered = once(socket, 'message');
      socket.send(message);
      const [echo] = (await answered) as [Buffer];
      if (!message.equals(echo)) throw new Error('another message came back');
      await pause(BETWEEN);
    }
    const closed = once(socket, 'close');
    socket.close(1000);
    const [code] = (await closed) as [number];
    if (code !== 1000) throw new Error(`closed with ${code} in place of 1000`);
  } finally {
    socket.terminate();
  }
}
