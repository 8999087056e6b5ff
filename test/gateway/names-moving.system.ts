// A service that moves to another address of loopback.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attack } from '../support/bystander.ts';
import { startTestGateway } from '../support/gateway.ts';
import { until } from '../support/targets.ts';
import { LOOPBACK, resolver, startServer } from './naming.ts';

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
