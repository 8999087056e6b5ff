// Refusals of connections that carry no request yet, with answers that can be read.

import type { Socket } from 'node:net';
import type { ListenerLimits } from '../../policy/policy.ts';
import type { RejectionFacts } from '../../rejection/facts.ts';
import { type Rejection, reject } from '../../rejection/rejection.ts';
import { hasUnknownMethod, type ParserError } from '../../http/method.ts';
import { answerRaw } from '../transaction/answer.ts';
import type { Connection } from './connection.ts';
import type { HandshakeRefusal, Serve } from './serve.ts';

/** Closes a connection whose handshake is refused. @param client whose it is, where that is known */
export function refuseHandshake(
  serve: Pick<Serve, 'refusedHandshake'>,
  socket: Socket,
  { refusal, code = refusal.toUpperCase() }: { readonly refusal: HandshakeRefusal; readonly code?: string },
  client: string | undefined,
): void {
  socket.destroy();
  serve.refusedHandshake(refusal, code, client);
}

/**
 * Answers plain HTTP on a port that speaks TLS, in plain HTTP: nothing else would tell the client what is wrong. It is a handshake that
 * failed as well, and is counted as both.
 */
export function refuseWithoutTls(serve: Serve, socket: Socket, connection: Connection | 'unreadable'): void {
  if (connection === 'unreadable') return void socket.destroy();
  const expected = 'https';
  const rejection = reject('tls_required', { what: 'connection', differs: 'scheme', expected, received: 'http' });
  serve.refusedHandshake('failed', 'ERR_SSL_HTTP_REQUEST', connection.remoteAddress);
  answerRaw(socket, serve.refused(rejection, { connection }));
}

/** Facts of CONNECT, which no route has. */
export const NO_CONNECT: RejectionFacts = { what: 'method', received: 'CONNECT', allow: '' };

/** What Node's parser complained about, as people call it; other codes are for the log. */
const PARSER_WORDS: Readonly<Record<string, string>> = {
  HPE_INVALID_HEADER_TOKEN: 'field',
  HPE_INVALID_CONTENT_LENGTH: 'Content-Length',
  HPE_UNEXPECTED_CONTENT_LENGTH: 'Content-Length with Transfer-Encoding',
  HPE_INVALID_TRANSFER_ENCODING: 'Transfer-Encoding',
  HPE_INVALID_CHUNK_SIZE: 'chunk of the body',
  HPE_INVALID_VERSION: 'HTTP version',
  HPE_INVALID_URL: 'request target',
  HPE_INVALID_METHOD: 'request line',
  HPE_INVALID_CONSTANT: 'request line',
  HPE_CR_EXPECTED: 'end of a line',
  HPE_LF_EXPECTED: 'end of a line',
  HPE_INVALID_EOF_STATE: 'end of the request',
};

/** What Node's parser means by giving up; undefined: nothing that could be answered. */
export function parserRefusal(error: ParserError, limits: ListenerLimits): Rejection | undefined {
  const { code = '' } = error;
  if (hasUnknownMethod(error)) return reject('method_unknown', { what: 'method' });
  if (code === 'HPE_HEADER_OVERFLOW') return reject('header_too_large', headerTooLarge(limits));
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const expected = `within ${limits.headerTimeout} seconds`;
    return reject('request_timed_out', { what: 'header section', expected });
  }
  if (!code.startsWith('HPE_')) return undefined;
  return reject('request_malformed', { what: PARSER_WORDS[code] ?? 'syntax', code });
}

export function headerTooLarge({ headerSize }: ListenerLimits): RejectionFacts {
  return { what: 'header section', differs: 'size', expected: `at most ${headerSize} bytes` };
}

/** Octets of field lines as HTTP/1 would send them, so that the limit is the same everywhere. @param lines names and values in turn */
export function sizeOfLines(lines: readonly string[]): number {
  let size = 0;
  for (const text of lines) size += text.length + 2;
  return size;
}
