// Envoy's ext_authz over gRPC (envoy.service.auth.v3), with gRPC's health service.

import { ATTRIBUTE_FIELD } from '../../certificate/formats.ts';
import type { Answer } from '../../rejection/answer.ts';
import { GRPC_CODES } from '../../rejection/grpc-status.ts';
import { type Rejection, reject } from '../../rejection/rejection.ts';
import type { Transaction } from '../transaction/transaction.ts';
import type { DescribedRequest, Dialect } from './dialect.ts';
import type * as Messages from './ext-authz-messages.ts';
import type { CheckRequest, HeaderOption } from './ext-authz-messages.ts';

const CHECK = '/envoy.service.auth.v3.Authorization/Check';
const HEALTH = '/grpc.health.v1.Health/Check';
/** Octets of a question; one without the body of the request is as long as its field lines. */
const LONGEST = 1024 * 1024;
/** Flags and length in front of a message (PROTOCOL-HTTP2.md). */
const PREFIX = 5;
const OK = 0;

let messages: Promise<typeof Messages> | undefined;
/** Loaded with the first question, because most gateways get none; kept, because `import()` looks again each time. */
const load = () => (messages ??= import('./ext-authz-messages.ts'));

/**
 * Method, scheme, host, path, fields and the client's certificate come from the attributes of the question. Raw field lines
 * (encode_raw_headers) count where there are any; otherwise Envoy has joined lines of one name with commas. The client's address is
 * the source of the attributes.
 */
export const ENVOY_GRPC: Dialect = {
  async describe(question) {
    const bytes = await readMessage(question);
    if (bytes === undefined) return reject('request_malformed', { what: 'gRPC message' });
    const { readCheckRequest } = await load();
    const request = readCheckRequest(bytes);
    return request === undefined ? reject('request_malformed', { what: 'CheckRequest' }) : describeChecked(request);
  },

  permit(question, permitted) {
    const { set, both, remove, removeAlways, answer } = permitted;
    const named = optionsOf(set).filter(({ header }) => header.value !== '');
    const ids = optionsOf(both);
    const headers = [...named, ...ids];
    const ok = {
      headers,
      headersToRemove: remove(),
      responseHeadersToAdd: [...ids, ...optionsOf(answer).map(addVary), ...uncached(answer)],
    };
    respond(question, ({ writePermit }) => writePermit(ok, removeAlways));
  },

  /** Envoy denies whatever the code is, but for 0; it takes status, fields and body as they are, and translates for gRPC clients. */
  refuse(question, { status, fields, body }: Answer) {
    const headers = fields.filter(([name]) => name !== 'Content-Length').map(([name, value]) => option(name, value));
    const deniedResponse = { status: { code: status }, headers, body };
    const denial = { status: { code: GRPC_CODES.PERMISSION_DENIED }, deniedResponse };
    respond(question, ({ writeDenial }) => writeDenial(denial));
  },

  async answerItself(question) {
    if (question.target === CHECK && question.method === 'POST') return false;
    if (question.target !== HEALTH)
      question.answer(200, [...FIELDS, 'grpc-status', String(GRPC_CODES.UNIMPLEMENTED)], '');
    else send(question, (await load()).writeHealth());
    return true;
  },
};

function describeChecked({ attributes }: CheckRequest): DescribedRequest | Rejection {
  const { method = '', path: target = '', host = '', scheme, headers, headerMap } = attributes?.request?.http ?? {};
  if (scheme !== 'http' && scheme !== 'https') return reject('request_malformed', { what: 'scheme' });
  if (method === '') return reject('request_malformed', { what: 'method' });
  const raw = headerMap?.headers ?? [];
  const lines: (readonly [string, string])[] =
    raw.length > 0
      ? raw.map(({ key, value = '', rawValue }) => [key, rawValue?.length ? latin1(rawValue) : value])
      : Object.entries(headers ?? {});
  const rawHeaders = ['Host', host];
  for (const [name, value] of lines) if (isOfClient(name)) rawHeaders.push(name, value);
  const { certificate, address } = attributes?.source ?? {};
  if (certificate) rawHeaders.push(ATTRIBUTE_FIELD, certificate);
  const from = address?.socketAddress?.address;
  if (from) rawHeaders.push('X-Forwarded-For', from);
  return {
    method,
    target,
    scheme,
    httpVersion: '1.1',
    rawHeaders,
    stated: { scheme, host, forwarding: 'x-forwarded' },
  };
}

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

/** Pseudo-header fields are in the attributes; what Envoy adds about the connection is known better from there. */
function isOfClient(name: string): boolean {
  const lower = name.toLowerCase();
  return !(lower.startsWith(':') || lower === 'host' || lower === 'x-forwarded-proto' || lower === 'x-forwarded-for');
}

/** @param fields names and values in turn */
function optionsOf(fields: readonly string[]): HeaderOption[] {
  const options: HeaderOption[] = [];
  for (let at = 0; at < fields.length; at += 2) options.push(option(fields[at] ?? '', fields[at + 1] ?? ''));
  return options;
}

const option = (key: string, value: string): HeaderOption => ({ header: { key, value }, append: { value: false } });

/** The upstream's own Vary stays. */
const addVary = (one: HeaderOption) => (one.header.key === 'Vary' ? { ...one, append: { value: true } } : one);

/** An answer with a nonce should not be stored (RFC 9449 §8.2). */
const uncached = (answer: readonly string[]) =>
  answer.includes('DPoP-Nonce') ? [option('Cache-Control', 'no-store')] : [];

/** The one message of a unary call, uncompressed; undefined: anything else, or too long. */
function readMessage(question: Transaction): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const { body } = question;
    // Events instead of an iterator, which costs as much as reading the message.
    body.on('data', (piece: Buffer) => {
      length += piece.length;
      if (length <= LONGEST) pieces.push(piece);
      else resolve(undefined);
    });
    body.once('end', () => resolve(unframe(pieces)));
    // The front broke off.
    for (const event of ['error', 'close']) body.once(event, () => resolve(undefined));
  });
}

function unframe(pieces: readonly Buffer[]): Uint8Array | undefined {
  const [first = Buffer.alloc(0)] = pieces;
  const all = pieces.length === 1 ? first : Buffer.concat(pieces);
  if (all.length < PREFIX || all[0] !== 0 || all.readUInt32BE(1) !== all.length - PREFIX) return undefined;
  return all.subarray(PREFIX);
}

const FIELDS = ['content-type', 'application/grpc'];

function send(question: Transaction, message: Uint8Array): void {
  if (question.begun || question.gone) return;
  const frame = Buffer.alloc(PREFIX + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX);
  question.writeHead(200, FIELDS, 'trailers');
  question.write(frame);
  question.end(['grpc-status', String(OK)]);
  question.discard();
}

/** What cannot be said permits nothing: the front takes a broken answer for a failure. */
function respond(question: Transaction, write: (messages: typeof Messages) => Uint8Array): void {
  load().then(
    (messages) => send(question, write(messages)),
    () => question.breakOff(),
  );
}
