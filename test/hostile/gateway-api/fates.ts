// The fates of the requests of an attack by a tenant.

import assert from 'node:assert/strict';
import { ISSUER_KEY, sendRequest, type TestUpstream } from '../../support/gateway.ts';
import { makeKey, makeProof, makeToken } from '../../support/tokens.ts';
import type { Asked, Fate, TenantAttack } from './tenant-objects.ts';

/** A Gateway that tenants share, with the backend of each. */
export interface SharedSide {
  readonly address: string;
  readonly port: number;
  readonly shop: TestUpstream;
  readonly evil: TestUpstream;
}

const KEY = await makeKey();

async function credentials(host: string, { path = '/', method = 'GET', claims, age = 0, bearer }: Asked) {
  const now = Date.now() / 1000;
  if (bearer) return { token: await makeToken(ISSUER_KEY, now, { claims: { scope: 'api' } }) };
  if (claims === undefined) return {};
  const token = await makeToken(ISSUER_KEY, now, { claims: { cnf: { jkt: KEY.jkt }, ...claims } });
  return { token, proof: await makeProof(KEY, now - age, { method, url: `https://${host}${path}`, token }) };
}

/** @returns the backend that got it, or status and reason */
async function fateOf(side: SharedSide, own: string, asked: Asked): Promise<{ fate: Fate; got: string }> {
  const { host = own, path = '/', method = 'GET', fields, body } = asked;
  const seen = { shop: side.shop.seen.length, evil: side.evil.seen.length };
  const { status, reason } = await sendRequest(side.port, method, path, {
    to: side.address,
    host,
    servername: asked.servername ?? host.toLowerCase().replace(/\.?(?::\d+)?$/, ''),
    ...(await credentials(host, asked)),
    ...(fields !== undefined && { fields }),
    ...(body !== undefined && { body }),
  });
  const reached = (['shop', 'evil'] as const).filter((name) => side[name].seen.length > seen[name]);
  const got = reached
    .flatMap((name) => side[name].seen.slice(seen[name]))
    .flatMap((one) => one.fields.lines.map(([name, value]) => `${name}: ${value}\n`.toLowerCase()));
  assert.ok(reached.length < 2, 'the request of one went to both');
  if (reached[0] !== undefined) return { fate: reached[0], got: got.join('') };
  return { fate: `${status} ${reason ?? ''}`.trim() as Fate, got: '' };
}

/** Sends what an attack asks for, and holds against it what is expected. @param own host of the attack */
export async function meetFates(side: SharedSide, { asked }: TenantAttack, own: string): Promise<void> {
  for (const one of asked) {
    const { fate, got } = await fateOf(side, own, one);
    const { fields: _, body: __, ...shown } = one;
    assert.equal(fate, one.fate, JSON.stringify(shown));
    if (one.without !== undefined) assert.doesNotMatch(got, new RegExp(one.without, 'm'));
  }
}

const WEBSOCKET = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'AAAAAAAAAAAAAAAAAAAAAA=='],
] as const;
/** Over HTTP/1.1 it is a request like any other. */
const CALL = [
  ['Content-Type', 'application/grpc'],
  ['TE', 'trailers'],
] as const;

/** What the good tenant's clients get, whatever the others write. */
export const UNHARMED: TenantAttack = {
  what: 'nothing',
  objects: '',
  asked: [
    { host: 'shop.example.org', path: '/orders/1', fate: '401 credentials_missing' },
    { host: 'shop.example.org', path: '/orders/1', claims: { scope: 'api' }, fate: '403 scope_insufficient' },
    { host: 'shop.example.org', path: '/orders/1', claims: { scope: 'api orders:read' }, fate: 'shop' },
    { host: 'shop.example.org', path: '/', claims: { scope: 'api orders:read' }, fate: '404 route_not_found' },
    { host: 'own.example.org', claims: { scope: 'api' }, fate: 'shop' },
    { host: 'own.example.org', fate: '401 credentials_missing' },
    { host: 'shop.example.org', path: '/orders/1', method: 'HEAD', fate: '401' },
    { host: 'shop.example.org', path: '/orders/1', fields: WEBSOCKET, fate: '401 credentials_missing' },
    { host: 'shop.example.org', path: '/orders/list', method: 'POST', fields: CALL, fate: '401 credentials_missing' },
    { host: 'SHOP.example.org:443', path: '/%6frders/1', fate: '401 credentials_missing' },
    { host: 'shop.example.org', path: '/orders%2f1', fate: '400 request_malformed' },
    { host: 'shop.example.org', path: '/x/../orders/1', fate: '400 request_malformed' },
    { host: 'shop.example.org:444', path: '/orders/1', fate: '421 misdirected' },
    { host: 'shop.example.org.', path: '/orders/1', claims: { scope: 'api orders:read' }, fate: '421 misdirected' },
    { host: 'own.example.org', servername: 'shop.example.org', claims: { scope: 'api' }, fate: '421 misdirected' },
    { host: 'shop.example.org', servername: 'own.example.org', path: '/orders/1', fate: '421 misdirected' },
  ],
};
