// The duties behind every balancer: addresses, proofs, certificates, forgeries.

import assert from 'node:assert/strict';
import type { Answered, TestGateway } from '../support/gateway.ts';
import { CLIENT_ADDRESS } from './behind.ts';
import { CLIENT, dpop, issue, OTHER_CLIENT, TO_CERTIFICATE } from './credentials.ts';

type Lines = readonly (readonly [name: string, value: string])[];

export const seenBy = ({ upstream }: TestGateway) =>
  upstream.seen.at(-1)?.fields ?? assert.fail('nothing reached the upstream');

const FORGED: Lines = [
  ['X-Forwarded-For', '203.0.113.66'],
  ['X-Forwarded-Host', 'evil.example'],
  ['X-Forwarded-Proto', 'http'],
  ['Forwarded', 'for=203.0.113.66;host=evil.example;proto=http'],
  ['Client-Cert', `:${CLIENT.der.toString('base64')}:`],
  ['Client-Cert', `:${CLIENT.der.toString('base64')}:`],
  ['Client-Cert-Chain', `:${CLIENT.der.toString('base64')}:`],
  ['ssl-client-cert', encodeURIComponent(CLIENT.cert)],
];

/** @param addresses that X-Forwarded-For must name, the client's and those of proxies that terminated TLS */
export async function assertAddress(gateway: TestGateway, addresses: string): Promise<void> {
  assert.equal((await gateway.request('GET', '/open/1', { fields: FORGED })).status, 200);
  const seen = seenBy(gateway);
  assert.equal(seen.one('x-forwarded-for'), addresses);
  assert.equal(seen.one('x-forwarded-host'), 'api.example.com');
  assert.equal(seen.one('x-forwarded-proto'), 'https');
  assert.match(seen.one('forwarded') ?? '', /host=api\.example\.com;proto=https$/);
  assert.doesNotMatch(seen.one('forwarded') ?? '', /evil|203\.0/);
  for (const name of ['client-cert', 'client-cert-chain', 'ssl-client-cert']) assert.equal(seen.one(name), undefined);
}

/** The log names the client by its address where the connection does. */
export async function assertLogged(gateway: TestGateway): Promise<void> {
  assert.equal((await gateway.request('GET', '/open/log')).status, 200);
  await gateway.logged({ client: CLIENT_ADDRESS });
}

export async function assertProofs(gateway: TestGateway): Promise<void> {
  assert.equal((await dpop(gateway, 'GET', '/dpop/1', { fields: FORGED })).status, 200);
  const inner = { claims: { htu: 'https://gateway.internal:8443/dpop/1' } };
  assert.equal((await dpop(gateway, 'GET', '/dpop/1', { proving: inner })).reason, 'proof_uri_mismatch');
  assert.equal((await dpop(gateway, 'GET', '/dpop/1', { host: 'other.example' })).reason, 'misdirected');
}

/** RFC 8705 §3: the token passes with its certificate alone, and no field of the client takes its place. */
export async function assertCertificates(gateway: TestGateway): Promise<void> {
  const token = await issue(gateway, TO_CERTIFICATE);
  const ask = (wishes: object): Promise<Answered> => gateway.request('GET', '/mtls/1', { token, ...wishes });

  assert.equal((await ask({ client: CLIENT })).status, 200);
  assert.equal(seenBy(gateway).one('x-auth-binding'), 'mtls');
  assert.equal(seenBy(gateway).one('client-cert'), `:${CLIENT.der.toString('base64')}:`);
  assert.equal((await ask({ client: OTHER_CLIENT })).reason, 'certificate_mismatch');
  assert.equal((await ask({})).reason, 'certificate_missing');

  assert.equal((await ask({ fields: FORGED })).reason, 'certificate_missing');
  assert.equal((await ask({ client: OTHER_CLIENT, fields: FORGED })).reason, 'certificate_mismatch');
  assert.equal((await ask({ client: CLIENT, fields: FORGED })).status, 200);
}
