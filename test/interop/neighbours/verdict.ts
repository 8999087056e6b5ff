// One attack through a proxy, and who stopped it.

import { once } from 'node:events';
import { connect } from 'node:tls';
import { HOST, SERVER_CA } from '../../support/gateway.ts';
import { isAdmin, readings } from '../../hostile/attacks/paths.ts';
import { type Message, readRequests } from '../../hostile/wire.ts';
import type { Attack } from './attacks.ts';
import type { Rig } from './rig.ts';

/**
 * `Holdfast`: it refused. `front`: the proxy did, before or after it asked. `cleaned`: forwarded without what is dangerous in
 * it. `passes`: something dangerous reached the upstream.
 */
export interface Verdict {
  readonly by: 'Holdfast' | 'front' | 'cleaned' | 'passes';
  /** Reason of the refusal, status of the proxy, or what reached the upstream. */
  readonly what: string;
}

/** Milliseconds without a byte after which a proxy that waits for more is left. */
const QUIET = 1500;

/** @returns everything that the proxy answered until it closed, or fell silent for so many milliseconds */
export async function sendBytes(
  to: { readonly address: string; readonly port: number },
  bytes: string,
  quiet = QUIET,
): Promise<string> {
  const socket = connect({ host: to.address, port: to.port, servername: HOST, ca: SERVER_CA.cert });
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    // A proxy that says so reads no further; some close a second later.
    if (/\r\nconnection: close\r\n/i.test(text)) socket.end();
  });
  socket.on('error', () => socket.destroy());
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'secureConnect');
  socket.setTimeout(quiet, () => socket.destroy());
  socket.write(bytes, 'latin1');
  await closed;
  return text;
}

const OWN_PATHS = /^\/admin\/(?:hidden|last)$/;

/** @param port of the proxy */
export async function play(port: number, { gateway, upstream }: Rig, { bytes, name }: Attack): Promise<Verdict> {
  const logged = gateway.log.length;
  const before = new Map(upstream.connections.map((one) => [one, one.text.length]));
  const answer = await sendBytes({ address: '127.0.0.1', port }, bytes);
  const got: Message[] = [];
  for (const connection of upstream.connections) {
    const read = () => readForwarded(connection.text.slice(before.get(connection) ?? 0));
    if (read().rest !== '' && !(await settled(upstream, () => connection.ended || read().rest === ''))) {
      return { by: 'passes', what: `half a request on an open connection: ${read().rest.slice(0, 60)}` };
    }
    const { messages, broken } = read();
    if (broken !== undefined) return { by: 'passes', what: `the upstream got what is not a request: ${broken}` };
    got.push(...messages);
  }
  const harm = got.map(harmOf).find((what) => what !== undefined);
  if (harm !== undefined) return { by: 'passes', what: harm };
  if (got.length > 0) return { by: 'cleaned', what: got.map(({ start }) => start).join(' / ') };
  const refused = gateway.log.slice(logged).find(({ reason, path }) => reason !== undefined && !isOwn(path, name));
  if (refused !== undefined) return { by: 'Holdfast', what: String(refused['reason']) };
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1];
  return { by: 'front', what: status ?? 'closed' };
}

const settled = (upstream: Rig['upstream'], so: () => boolean) =>
  upstream.until(so).then(
    () => true,
    () => false,
  );

/** A proxy may send HTTP/1.0, which ends a message like HTTP/1.1 but for chunks. */
export function readForwarded(text: string) {
  const old = /^[A-Z-]+ \S+ HTTP\/1\.0\r\n/.test(text) && !/\r\ntransfer-encoding:/i.test(text);
  return readRequests(old ? text.replace('HTTP/1.0', 'HTTP/1.1') : text);
}

const isOwn = (path: unknown, name: string) => OWN_PATHS.test(String(path)) && !name.startsWith('/admin');

/** What is dangerous about a request that an upstream got without any token; undefined: nothing. */
export function harmOf({ start, lines, trailers }: Message): string | undefined {
  const [, target = ''] = start.split(' ');
  if (!target.startsWith('/')) return `target ${target}`;
  const path = target.split('?')[0] ?? '';
  const as = readings(path).find(isAdmin);
  if (as !== undefined) return `${target}, which can be read as ${as}`;
  const hosts = lines.filter(([field]) => field.toLowerCase() === 'host').map(([, value]) => value);
  if (hosts.length !== 1 || !/^api\.example\.com(?::\d+)?$/i.test(hosts[0] ?? '')) return `Host: ${hosts.join(', ')}`;
  if (trailers !== '') return `trailers: ${trailers.trim()}`;
  const forged = lines.find(([field, value]) => !isPlain(field) && FORGED.test(value));
  if (forged !== undefined) return forged.join(': ');
  const named = lines.find(([field, value]) => field.toLowerCase() === 'connection' && /x.auth|dpop|cert/i.test(value));
  return named?.join(': ');
}

/** Values that the catalogue writes into fields which are not the client's to write. */
const FORGED = /^(?:admin|all|proof|:AAAA:|Hash=00|10\.0\.0\.1|127\.0\.0\.1|DELETE|\/admin.*|.*evil.*|for=.*10\.0.*)$/i;
const PLAIN = /^(?:x-forwarded-for|x|y|cookie|accept.*|user-agent)$/i;
const isPlain = (field: string) => PLAIN.test(field);
