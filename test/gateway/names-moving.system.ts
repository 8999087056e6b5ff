// Names under load: a service that moves to another address, and a name that is silent.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertUnharmed, attack, serviceOf } from '../support/bystander.ts';
import { ISSUER_KEY, startTestGateway } from '../support/gateway.ts';
import { json, serve } from '../support/issuer-server.ts';
import { until } from '../support/until.ts';
import { AUDIENCE, ISSUER, makeKey, makeToken } from '../support/tokens.ts';
import { LOOPBACK, resolver, startServer } from './naming.ts';

const NEXT_KEY = await makeKey('ES256', 'k2');
const ROUTES = `
- { name: well, match: { path: /well/* }, upstream: well, require: token, weaker_than_defaults: [require] }
- { name: silent, match: { path: /silent/* }, upstream: silent, require: public, weaker_than_defaults: [require] }
`;

test('the addresses of a service that moves are followed at once, and nothing is lost', async (t) => {
  const { dns, names } = await resolver(t, { 'orders.test': LOOPBACK });
  const first = await startServer(t, '127.0.0.1');
  const gateway = await startTestGateway(t, {
    lookup: names.lookup,
    upstreams: `moving: { targets: ["http://orders.test:${first.port}"], insecure_plain_http: true }`,
    routes:
      '- { name: moving, match: { path: /* }, upstream: moving, require: public, weaker_than_defaults: [require] }',
  });
  const lost: string[] = [];
  const seen = new Set<string>();
  const clients = attack(t, { attackers: 4, pause: 5 }, async () => {
    const { status, body } = await gateway.request('GET', '/1');
    if (status !== 200) lost.push(`${status} ${body}`);
    seen.add(body);
  });
  await until(() => seen.has('127.0.0.1'));
  const second = await startServer(t, '127.0.0.2', first.port);
  // As for the endpoints of a service: the old address takes requests until those who resolved it have come.
  dns.zone['orders.test'] = { addresses: ['127.0.0.2'] };
  await until(() => second.seen.length > 20);
  first.server.close();
  await until(() => second.seen.length > 60);
  await clients.stop();
  assert.deepEqual(lost, []);
});

// Hundreds of requests beside sixty clients: on a busy machine that takes its time.
test('60 requests for an upstream whose name is silent: another upstream and a rotated key are found as before', {
  timeout: 300_000,
}, async (t) => {
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
