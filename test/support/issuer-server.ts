// A server that stands in for an issuer, and keys loaded from it.

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { IssuerKeys, type IssuerKeysEvent, type IssuerKeysLimits } from '../../src/issuer/keys.ts';
import type { Issuer } from '../../src/token/issuer.ts';
import { makeKey } from './tokens.ts';

export const KEY_A = (await makeKey('ES256', 'a')).jwk;
export const KEY_B = (await makeKey('ES256', 'b')).jwk;

export interface Served {
  readonly origin: string;
  /** Requests so far: path and query. */
  readonly seen: string[];
  /** What the next requests get. */
  answer: (request: IncomingMessage, response: ServerResponse) => void;
}

/** A server that stands in for an issuer, closed when the test ends. */
export async function serve(
  t: TestContext,
  tls?: { cert: string; key: string },
  more: ServerOptions = {},
): Promise<Served> {
  const served = { origin: '', seen: [] as string[], answer: json({ keys: [KEY_A] }) };
  const listener: RequestListener = (request, response) => {
    served.seen.push(request.url ?? '');
    served.answer(request, response);
  };
  const server =
    tls === undefined ? createServer(listener) : createTlsServer({ cert: tls.cert, key: tls.key, ...more }, listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  served.origin = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  return served;
}

export const json =
  (body: unknown, fields: Record<string, string> = {}): Served['answer'] =>
  (_request, response) =>
    response.writeHead(200, fields).end(typeof body === 'string' ? body : JSON.stringify(body));
export const status =
  (code: number, fields: Record<string, string> = {}): Served['answer'] =>
  (_request, response) =>
    response.writeHead(code, fields).end('no');
export const breakOff: Served['answer'] = (request) => request.socket.destroy();
/** By path. */
export const site =
  (pages: Record<string, unknown>): Served['answer'] =>
  (request, response) => {
    const page = pages[request.url ?? ''];
    (page === undefined ? status(404) : json(page))(request, response);
  };

export function makeIssuer(keys: Issuer['keys'], over: Partial<Issuer> = {}): Issuer {
  return {
    name: 'login',
    issuer: 'https://login.example.com',
    audience: ['https://api.example.com'],
    keys,
    ca: undefined,
    insecureHttp: false,
    algorithms: ['ES256', 'RS256'],
    requireTyp: false,
    accessToken: undefined,
    audienceClaim: 'aud',
    scopeClaim: ['scope'],
    clockTolerance: 15,
    requiredForReady: true,
    introspection: undefined,
    tokenExchange: undefined,
    ...over,
  };
}

/** Keys of an issuer with a clock of their own, stopped when the test ends. */
export function makeKeys(t: TestContext, issuer: Issuer, limits: Partial<IssuerKeysLimits> = {}) {
  const clock = { now: 1_800_000_000 };
  const events: IssuerKeysEvent[] = [];
  let tell = () => {};
  const keys = new IssuerKeys({
    issuer,
    now: () => clock.now,
    onEvent: (event) => {
      events.push(event);
      tell();
    },
    limits,
  });
  t.after(() => keys.stop());
  return {
    keys,
    clock,
    events,
    kids: () => keys.current(clock.now)?.map(({ kid }) => kid),
    nextEvent: () =>
      new Promise<void>((resolve) => {
        tell = resolve;
      }),
  };
}

/** Keys from a `jwks_uri` that have been loaded once. */
export async function loadedKeys(t: TestContext, limits: Partial<IssuerKeysLimits> = {}) {
  const server = await serve(t);
  const made = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: `${server.origin}/jwks` }), limits);
  await made.keys.start();
  assert.deepEqual(made.kids(), ['a']);
  return { server, ...made };
}
