// Soak clients that go away in the middle, and garbage in place of HTTP.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Version } from './clients.ts';
import { content } from './content.ts';
import type { Kind, Load } from './kind.ts';

const MIB = 1024 * 1024;
/** Milliseconds. */
const MOMENT = 30;
/** The beginning of a ClientHello that never gets its end. */
const HELLO = Buffer.from('160301020001000100fc0303', 'hex');

export function abortingKinds(): Kind[] {
  const kind = (name: string, run: Kind['run']): Kind => ({ name, perSecond: 2, atOnce: 10, run });
  const leaves = (version: Version) =>
    kind(`leaves in a download, ${version}`, async ({ clients }) => {
      const path = `/public/bytes?name=${randomUUID()}&bytes=${4 * MIB}`;
      const answer = await clients.send({ version, path, leaveAfter: MIB, fresh: true });
      if (answer.status !== 200) throw new Error(`${answer.status} in place of 200`);
    });
  return [
    kind('leaves in the handshake', ({ setting }) => leaveHandshake(setting.port)),
    kind('leaves in the header section', (load) =>
      leaveAfter(load, 'GET /public/x HTTP/1.1\r\nHost: localhost\r\nX-H'),
    ),
    kind('leaves in an upload, h1', leaveUpload),
    kind('leaves in an upload, h2', leaveStream),
    leaves('h1'),
    leaves('h2'),
    kind('garbage', (load) => expectRefusal(load, 'GARBAGE\r\n\r\n')),
  ];
}

async function leaveHandshake(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(HELLO);
  await pause(MOMENT);
  socket.destroy();
}

async function open({ setting: { port, ca } }: Load): Promise<TLSSocket> {
  const socket = connectTls({ host: '127.0.0.1', port, ca, servername: 'localhost' });
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  return socket;
}

async function leaveAfter(load: Load, bytes: string): Promise<void> {
  const socket = await open(load);
  socket.write(bytes);
  await pause(MOMENT);
  socket.destroy();
}

async function leaveUpload(load: Load): Promise<void> {
  const lines = [
    'PUT /token/upload HTTP/1.1',
    `Host: localhost:${load.setting.port}`,
    `Authorization: Bearer ${load.someone().tokens.bearer}`,
    `Content-Length: ${MIB}`,
    '\r\n',
  ];
  await leaveAfter(load, lines.join('\r\n') + 'x'.repeat(MIB / 2));
}

function* half(): Generator<Buffer> {
  yield* content('half', MIB / 2);
  throw new Error('left');
}

async function leaveStream({ clients, someone }: Load): Promise<void> {
  const fields = { authorization: `Bearer ${someone().tokens.bearer}`, 'content-length': String(MIB) };
  const sent = clients.send({ version: 'h2', method: 'PUT', path: '/token/upload', fields, body: half() });
  const answer = await sent.catch(() => undefined);
  if (answer !== undefined) throw new Error(`half a body was answered: ${answer.status} ${answer.reason ?? ''}`);
}

async function expectRefusal(load: Load, bytes: string): Promise<void> {
  const socket = await open(load);
  socket.write(bytes);
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  if (!/^HTTP\/1\.1 400 .*"reason":"request_malformed"/s.test(text)) throw new Error(`"${text.slice(0, 40)}"`);
}
