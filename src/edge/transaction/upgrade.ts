// The opening of a WebSocket (RFC 6455 §4): its request, its answers, a valid 101.

import { createHash } from 'node:crypto';
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { hangUp } from './answer.ts';
import { withoutNamed } from '../fields/fields.ts';
import { readBodyLength } from '../../http/framing.ts';
import type { ReceivedRequest, Upgrade } from './transaction.ts';

/** 16 octets in base64 (RFC 6455 §4.2.1). */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/**
 * Reads whether a request whose Connection field has `upgrade` asks for a WebSocket and nothing else (RFC 6455 §4.2.1): GET of
 * HTTP/1.1 without a body, one Upgrade line of `websocket`, one well-formed Sec-WebSocket-Key, by which the 101 is verified.
 * undefined: it does not, and its Upgrade field is ignored like any other (RFC 9110 §7.8).
 * NOT checked, being the upstream's to negotiate: Sec-WebSocket-Version, -Protocol and -Extensions, Origin.
 * @returns the key
 */
export function readUpgrade(
  request: Pick<IncomingMessage, 'method'> & Pick<ReceivedRequest, 'httpVersion' | 'rawHeaders'>,
): string | undefined {
  const { method, httpVersion, rawHeaders } = request;
  if (method !== 'GET' || httpVersion !== '1.1' || readBodyLength(rawHeaders) !== 0) return undefined;
  if (onlyLine(rawHeaders, 'upgrade')?.toLowerCase() !== 'websocket') return undefined;
  const key = onlyLine(rawHeaders, 'sec-websocket-key');
  return key !== undefined && KEY.test(key) ? key : undefined;
}

/**
 * Whether the upstream's 101 opens the very WebSocket that was asked for (RFC 9110 §7.8, RFC 6455 §4.1): anything else that made a
 * server say 101 would open a way past every check. Field lines are names and values in turn.
 * NOT checked: Sec-WebSocket-Protocol and -Extensions, which are the client's to refuse.
 */
export function verifySwitch(rawHeaders: readonly string[], key: string): boolean {
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  return (
    onlyLine(rawHeaders, 'upgrade')?.toLowerCase() === 'websocket' &&
    onlyLine(rawHeaders, 'sec-websocket-accept') === accept
  );
}

/** The value of a field that has one line; undefined: none or more. */
function onlyLine(rawHeaders: readonly string[], wanted: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== wanted) continue;
    if (found !== undefined) return undefined;
    found = rawHeaders[at + 1];
  }
  return found;
}

/** Node has let go of the connection by then: no parser will read it again, and nobody else answers on it. */
export interface UpgradeAnswer {
  /** For every answer but the 101; the connection ends with it (RFC 9112 §9.6). */
  readonly response: ServerResponse;
  readonly upgrade: Upgrade;
}

/**
 * Prepares the answer to a request for a WebSocket. What the client sent behind it is kept, neither lost nor passed on, until
 * there is a 101; after any other answer it is thrown away, so that it is never taken for a request.
 * @param head what came with the request
 */
export function prepareUpgrade(request: IncomingMessage, socket: Socket, head: Buffer, key: string): UpgradeAnswer {
  const response = new ServerResponse(request);
  const abandon = () => {
    socket.destroy();
  };
  const finish = () => {
    socket.off('end', abandon);
    response.detachSocket(socket);
    response.emit('close');
    hangUp(socket);
  };
  socket.setTimeout(0);
  socket.on('error', abandon);
  // As Node does with a client that ends its connection before it has its answer.
  socket.once('end', abandon);
  socket.on('drain', () => response.emit('drain'));
  if (head.length > 0) socket.unshift(head);
  response.assignSocket(socket);
  response.once('finish', finish);
  const open = (fields: string[]) => {
    socket.off('end', abandon);
    // RFC 9110 §8.6: no length with a 1xx.
    const passed = withoutNamed(fields, 'content-length');
    response.writeHead(101, [...passed, 'Connection', 'Upgrade', 'Upgrade', 'websocket']);
    response.flushHeaders();
    return socket;
  };
  return { response, upgrade: { key, open } };
}
