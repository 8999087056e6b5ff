// A whole gateway that finds everything by name through a real DNS server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestGateway } from '../support/gateway.ts';
import { resolver } from './naming.ts';

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
