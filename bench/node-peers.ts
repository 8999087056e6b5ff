// Peers that run in Node: the floor of this runtime, and libraries in front of a proxy.
//
// node bench/node-peers.ts KIND PORT TARGET CERT KEY KEYS PACKAGES   KEYS: key set of the issuer; PACKAGES: a folder of packages that are no dependencies

import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { createServer } from 'node:https';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';
import { createProxyServer } from 'http-proxy-3';
import * as oauth from 'oauth4webapi';
import { type Dispatcher, Pool } from 'undici';
import { AUDIENCE, ISSUER } from './credentials.ts';

type Serve = (request: IncomingMessage, answer: ServerResponse) => void;

/** Versions of peers that the benchmark alone needs; put into a folder of its own by npm. */
export const PACKAGES = ['express@5.3.0', 'express-oauth2-jwt-bearer@1.10.0', 'http-proxy-middleware@4.2.2'];

/** What Node and undici cost without a gateway. @param check looks at the request first; false: 401 */
function floor(target: string, check?: (request: IncomingMessage) => boolean): Serve {
  const pool = new Pool(target, { connections: 64, pipelining: 1 });
  return (request, answer) => {
    if (check?.(request) === false) return void answer.writeHead(401).end();
    const { method = 'GET', url: path = '/', rawHeaders: headers } = request;
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      onResponseStart(controller, status) {
        answer.writeHead(status, ((controller.rawHeaders ?? []) as Buffer[]).map(String));
      },
      onResponseData: (_, chunk) => void answer.write(chunk),
      onResponseEnd: () => void answer.end(),
      onResponseError: () => void answer.destroy(),
    };
    pool.dispatch({ method, path, headers: withoutConnection(headers) }, handler);
  };
}

/** The same over HTTP/2: streams of node:http2, without its compatibility layer. */
function floorOverHttp2(target: string): (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void {
  const pool = new Pool(target, { connections: 64, pipelining: 1 });
  return (stream, headers) => {
    const { ':method': method = 'GET', ':path': path = '/', ':authority': host = '' } = headers;
    const fields = Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith(':') ? [] : [name, String(value)],
    );
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      onResponseStart(_, status, { connection: _connection, 'keep-alive': _kept, ...more }) {
        stream.respond({ ...more, ':status': status });
      },
      onResponseData: (_, chunk) => void stream.write(chunk),
      onResponseEnd: () => void stream.end(),
      onResponseError: () => void stream.destroy(),
    };
    stream.resume();
    pool.dispatch({ method, path, headers: ['host', host, ...fields] }, handler);
  };
}

/** undici writes its own. */
function withoutConnection(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, at) => rawHeaders[at - (at % 2)]!.toLowerCase() !== 'connection');
}

/** The signature of the proof and nothing else, by a key that is imported once per client. */
function makeVerification(): (request: IncomingMessage) => boolean {
  const keys = new Map<string, KeyObject>();
  return ({ headers }) => {
    const proof = String(headers['dpop']);
    const [head = '', , signature = ''] = proof.split('.');
    let key = keys.get(head);
    if (key === undefined) {
      const { jwk } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { jwk: oauth.JWK };
      keys.set(head, (key = createPublicKey({ key: jwk, format: 'jwk' })));
    }
    const input = Buffer.from(proof.slice(0, proof.lastIndexOf('.')));
    return verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'));
  };
}

/**
 * Whether the client waits for its answer. For one that left during the check http-proxy-3 and http-proxy-middleware would hold a connection to the upstream for ever: at
 * the end of each run some more, until the peer stands still.
 */
const isThere = (answer: ServerResponse) => !answer.destroyed;

/** Milliseconds. */
const KEYS_LAST = 240_000;

/** oauth4webapi checks token and proof, as its documentation shows it; it remembers no proof. */
function withOauth4webapi(target: string, keySet: string): Serve {
  const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true, maxSockets: 64 }) });
  proxy.on('error', (_error, _request, answer) => answer.destroy());
  const fetched = () => ({
    server: { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` } satisfies oauth.AuthorizationServer,
    cache: { jwks: JSON.parse(readFileSync(keySet, 'utf8')) as oauth.JWKS, uat: Math.floor(Date.now() / 1000) },
  });
  let known = fetched();
  // It keeps keys by the server's object, and asks for them again after five minutes: none can be fetched here.
  setInterval(() => (known = fetched()), KEYS_LAST).unref();
  return (request, answer) => {
    const { server, cache } = known;
    const { authorization = '', dpop, host } = request.headers as Record<string, string>;
    const fields = { authorization, ...(dpop === undefined ? {} : { dpop }) };
    const asked = new Request(`https://${host}${request.url}`, { headers: fields });
    oauth.validateJwtAccessToken(server, asked, AUDIENCE, { requireDPoP: true, [oauth.jwksCache]: cache }).then(
      () => isThere(answer) && proxy.web(request, answer),
      () => answer.writeHead(401).end(),
    );
  };
}

/** Auth0's middleware for Express, with DPoP demanded, before http-proxy-middleware; it remembers no proof. */
async function withExpress(target: string, keySet: string, packages: string): Promise<Serve> {
  const load = createRequire(join(packages, 'x.js'));
  const keys = readFileSync(keySet);
  const issuer = createHttpServer((_, answer) => answer.end(keys)).listen(0, '127.0.0.1');
  await once(issuer, 'listening');
  const jwksUri = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/keys`;
  const express = load('express');
  const { auth } = load('express-oauth2-jwt-bearer');
  const { createProxyMiddleware } = load('http-proxy-middleware');
  const app = express();
  const dpop = { enabled: true, required: true };
  app.use(auth({ issuer: ISSUER, audience: AUDIENCE, jwksUri, tokenSigningAlg: 'ES256', dpop }));
  app.use((_request: unknown, answer: ServerResponse, next: () => void) => isThere(answer) && next());
  app.use(createProxyMiddleware({ target, agent: new Agent({ keepAlive: true, maxSockets: 64 }) }));
  return app as Serve;
}

async function makePeer(kind: string, target: string, keySet: string, packages: string): Promise<Serve> {
  if (kind === 'floor') return floor(target);
  if (kind === 'floor-verify') return floor(target, makeVerification());
  if (kind === 'oauth4webapi') return withOauth4webapi(target, keySet);
  if (kind === 'express') return await withExpress(target, keySet, packages);
  throw new Error(`no peer is called ${kind}`);
}

if (import.meta.main) {
  const [kind, port, target, cert, key, keySet, packages] = process.argv.slice(2) as [string, ...string[]];
  const tls = { cert: readFileSync(cert!), key: readFileSync(key!) };
  const server =
    kind === 'floor-h2'
      ? createSecureServer(tls).on('stream', floorOverHttp2(target!))
      : createServer(tls, await makePeer(kind, target!, keySet!, packages!));
  server.listen(Number(port), '127.0.0.1');
}
