// A gateway in its own namespace, which finds everything by short names.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertUnharmed, attack, serviceOf } from '../support/bystander.ts';
import { ISSUER_KEY, startTestGateway, startUpstream } from '../support/gateway.ts';
import { json, serve } from '../support/issuer-server.ts';
import { startNameServer } from '../support/name-server.ts';
import { AUDIENCE, ISSUER, makeKey, makeToken } from '../support/tokens.ts';

const LOOPBACK = { addresses: ['127.0.0.1'], ttl: 0 };
const SILENT = 8;

test('60 clients wait for silent names: an upstream and a rotated key are found by short names as before', async (t) => {
  const silent = Array.from({ length: SILENT }, (_, nth) => [`silent${nth}.shop.svc.cluster.local`, 'silent'] as const);
  const found = ['well.shop.svc.cluster.local', 'issuer.shop.svc.cluster.local'].map(
    (name) => [name, LOOPBACK] as const,
  );
  await startNameServer(t, Object.fromEntries([...silent, ...found]), 53);
  const issuer = await serve(t);
  const [nextKey, { origin }] = [await makeKey('ES256', 'k2'), await startUpstream(t)];
  issuer.answer = json({ keys: [ISSUER_KEY.jwk] });
  const port = (of: string) => new URL(of).port;
  const [names, open] = [silent.map((_, nth) => `silent${nth}`), 'weaker_than_defaults: [require]'];
  let later = 0;
  const gateway = await startTestGateway(t, {
    threads: true,
    now: () => Date.now() / 1000 + later,
    issuers: `login: { issuer: ${ISSUER}, audience: [${AUDIENCE}], keys: { jwks_uri: "http://issuer:${port(issuer.origin)}/jwks" }, insecure_http: true }`,
    upstreams: ['well', ...names]
      .map((name) => `${name}: { targets: ["http://${name}:${port(origin)}"], insecure_plain_http: true }`)
      .join('\n'),
    routes: [
      `- { name: well, match: { path: /well/* }, upstream: well, require: token, ${open} }`,
      ...names.map(
        (name) => `- { name: ${name}, match: { path: /${name}/* }, upstream: ${name}, require: public, ${open} }`,
      ),
    ].join('\n'),
    more: 'drain: { delay: 0s, grace: 5s }\nlog: { level: fatal }\nworkers: 2',
  });
  const pass = async (key: typeof ISSUER_KEY) => {
    const token = await makeToken(key, Date.now() / 1000);
    return (await gateway.request('GET', '/well/1', { token })).status === 200;
  };
  const before = await serviceOf(50, () => pass(ISSUER_KEY));
  const waiting = attack(t, { attackers: 60 }, async (nth) => {
    assert.notEqual((await gateway.request('GET', `/silent${nth % SILENT}/1`)).status, 200);
  });
  await assertUnharmed(50, () => pass(ISSUER_KEY), before);
  issuer.answer = json({ keys: [nextKey.jwk] });
  later = 31;
  assert.ok(await pass(nextKey));
  await waiting.stop();
});
