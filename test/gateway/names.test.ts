// A whole gateway that finds everything by name through a real DNS server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertUnharmed, attack, serviceOf } from '../support/bystander.ts';
import { ISSUER_KEY, startTestGateway } from '../support/gateway.ts';
import { json, serve } from '../support/issuer-server.ts';
import { AUDIENCE, ISSUER, makeKey, makeToken } from '../support/tokens.ts';
import { LOOPBACK, resolver, startServer } from './naming.ts';

const NEXT_KEY = await makeKey('ES256', 'k2');
const ROUTES = `
- { name: well, match: { path: /well/* }, upstream: well, require: token, weaker_than_defaults: [require] }
- { name: silent, match: { path: /silent/* }, upstream: silent, require: public, weaker_than_defaults: [require] }
`;

test('60 requests for an upstream whose name is silent: another upstream and a rotated key are found as before', async (t) => {
  const { names } = await resolver(t, {
    'well.test': { ...LOOPBACK, ttl: 0 },
    'issuer.test': LOOPBACK,
    'silent.test': 'silent',
  });
  const issuer = await serve(t);
  issuer.answer = json({ keys: [ISSUER_KEY.jwk] });
  const { port } = await startServer(t, '127.0.0.1');
  let later = 0;
  const keys = `{ jwks_uri: "${issuer.origin.replace('127.0.0.1', 'issuer.test')}/jwks" }`;
  const gateway = await startTestGateway(t, {
    lookup: names.lookup,
    now: () => Date.now() / 1000 + later,
    issuers: `login: { issuer: ${ISSUER}, audience: [${AUDIENCE}], keys: ${keys}, insecure_http: true }`,
    upstreams: `well: { targets: ["http://well.test:${port}"], insecure_plain_http: true }
silent: { targets: ["http://silent.test:${port}"], insecure_plain_http: true }
`,
    routes: ROUTES,
  });
  const pass = async (key: typeof ISSUER_KEY) => {
    const token = await makeToken(key, gateway.now());
    return (await gateway.request('GET', '/well/1', { token })).status === 200;
  };
  const before = await serviceOf(100, () => pass(ISSUER_KEY));
  const silent = attack(t, { attackers: 60 }, async () => {
    assert.notEqual((await gateway.request('GET', '/silent/1')).status, 200);
  });
  // No connection is kept: each of these is found by name.
  await assertUnharmed(100, () => pass(ISSUER_KEY), before);
  issuer.answer = json({ keys: [NEXT_KEY.jwk] });
  later = 31;
  assert.ok(await pass(NEXT_KEY), 'the key set is found by name, too');
  await silent.stop();
});

test('a client may wait for a silent name for as long as timeouts.connect says, and hears that it was not reached', async (t) => {
  const { names } = await resolver(t, { 'silent.test': 'silent' });
  const gateway = await startTestGateway(t, {
    lookup: names.lookup,
    upstreams: 'silent: { targets: ["http://silent.test:1"], insecure_plain_http: true, retries: 0 }',
    routes: `- { name: silent, match: { path: /* }, upstream: silent, require: public, weaker_than_defaults: [require], timeouts: { connect: 300ms } }`,
  });
  const { status, reason } = await gateway.request('GET', '/1');
  assert.deepEqual([status, reason], [504, 'upstream_timed_out']);
});
