// A real DNS server on loopback that answers, denies, fails or stays silent.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import type { TestContext } from 'node:test';

/** What is said about a name: its addresses, with a TTL in seconds, or why there are none. */
export type Zone = Record<string, Entry>;
export type Entry =
  | {
      readonly addresses: readonly string[];
      readonly ttl?: number /** Of this type nothing is said at all. */;
      readonly mute?: 'A' | 'AAAA';
      /** Asked for this type the server says that there is no such name (RFC 4074 §4.2). */
      readonly denied?: 'A' | 'AAAA';
    }
  | 'silent'
  | 'failing';

export interface NameServer {
  /** `127.0.0.1:49152`. */
  readonly server: string;
  /** Names that are not there do not exist. May be changed at any time. */
  readonly zone: Zone;
  /** Questions so far: `A orders.test`. */
  readonly asked: string[];
}

const TYPES: Readonly<Record<number, 'A' | 'AAAA'>> = { 1: 'A', 28: 'AAAA' };
const [NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME] = [0, 2, 3];

/** Starts one, closed when the test ends. @param port the default is a free one */
export async function startNameServer(t: Pick<TestContext, 'after'>, zone: Zone, port = 0): Promise<NameServer> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (query, { port: from, address }) => {
    const { name, type, end } = readQuestion(query);
    asked.push(`${type} ${name}`);
    const entry = zone[name];
    if (entry === 'silent' || (typeof entry === 'object' && entry.mute === type)) return;
    const isDenied = entry === undefined || (typeof entry === 'object' && entry.denied === type);
    const code = entry === 'failing' ? SERVER_FAILURE : isDenied ? NO_SUCH_NAME : NO_ERROR;
    const found = typeof entry === 'object' ? entry.addresses.filter((one) => isIPv4(one) === (type === 'A')) : [];
    const ttl = typeof entry === 'object' ? (entry.ttl ?? 30) : 0;
    const records = type === undefined ? [] : found.map((one) => record(one, ttl));
    socket.send(Buffer.concat([head(query, code, records.length), query.subarray(12, end), ...records]), from, address);
  });
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return { server: `127.0.0.1:${socket.address().port}`, zone, asked };
}

function readQuestion(query: Buffer): { name: string; type: 'A' | 'AAAA' | undefined; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: TYPES[query.readUInt16BE(at + 1)], end: at + 5 };
}

/** The id of the question; an answer, recursion wanted and had; one question. */
function head(query: Buffer, code: number, answers: number): Buffer {
  const bytes = Buffer.alloc(12);
  query.copy(bytes, 0, 0, 2);
  bytes.writeUInt16BE(0x8180 | code, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(answers, 6);
  return bytes;
}

/** The name is that of the question (RFC 1035 §4.1.4). */
function record(address: string, ttl: number): Buffer {
  const data = isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : ipv6Bytes(address);
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(0xc00c, 0);
  bytes.writeUInt16BE(isIPv4(address) ? 1 : 28, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt32BE(ttl, 6);
  bytes.writeUInt16BE(data.length, 10);
  return Buffer.concat([bytes, data]);
}

function ipv6Bytes(address: string): Buffer {
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => text.split(':').filter((group) => group !== '');
  const zeros = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => '0');
  return Buffer.from(
    [...groups(head), ...zeros, ...groups(tail)].map((group) => group.padStart(4, '0')).join(''),
    'hex',
  );
}
