// Tests of leader election: one at a time, a successor when the leader is gone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lease } from '../../src/controller/lease.ts';
import { SmallApiServer } from '../support/api-server.ts';

const LEASES = '/apis/coordination.k8s.io/v1/leases';
const KEY = '/apis/coordination.k8s.io/v1/namespaces/edge/leases/holdfast-controller';
/** Seconds. */
const TIMES = { duration: 0.6, deadline: 0.4, renewal: 0.05 };
/** Where nothing is to happen because time passes, however slow the machine is. */
const PATIENT = { duration: 60, deadline: 40, renewal: 0.05 };

function candidate(server: SmallApiServer, identity: string, times = TIMES) {
  const failures: string[] = [];
  let wake = () => {};
  const lease = new Lease({
    api: server.api,
    namespace: 'edge',
    name: 'holdfast-controller',
    identity,
    times,
    onFailure: ({ message }) => failures.push(message),
  });
  lease.onChange(() => wake());
  const ending = new AbortController();
  const ended = lease.run(ending.signal);
  return {
    lease,
    failures,
    async until(leads: boolean) {
      // oxlint-disable-next-line no-await-in-loop -- each change is looked at
      while (lease.leads !== leads) await new Promise<void>((resolve) => (wake = resolve));
    },
    async stop() {
      ending.abort();
      await ended;
    },
  };
}

const specOf = (server: SmallApiServer) =>
  (server.objects.get(KEY) as unknown as { spec: { holderIdentity: string; leaseTransitions: number } }).spec;
const holder = (server: SmallApiServer) => specOf(server).holderIdentity;

test('one of two leads; when it ends the lease is given back, and the other one leads at once', async () => {
  await using server = await new SmallApiServer([LEASES]).start();
  const one = candidate(server, 'one', PATIENT);
  await one.until(true);
  const two = candidate(server, 'two', PATIENT);
  assert.equal(holder(server), 'one');
  await one.stop();
  assert.equal(one.lease.leads, false);
  await two.until(true);
  assert.equal(holder(server), 'two');
  assert.equal(specOf(server).leaseTransitions, 1);
  await two.stop();
  assert.equal(holder(server), '');
});

test('a leader that cannot renew ceases before another one may begin', async () => {
  await using server = await new SmallApiServer([LEASES]).start();
  const one = candidate(server, 'one');
  await one.until(true);
  server.faults.answer = () => 500;
  await one.until(false);
  const ceased = performance.now();
  assert.match(one.failures[0] ?? '', /500 Faulty$/);
  server.faults.answer = ({ path }) => (path === KEY || path.endsWith('/leases') ? undefined : 404);
  const two = candidate(server, 'two');
  await Promise.race([two.until(true), one.until(true)]);
  assert.ok(performance.now() >= ceased);
  assert.notEqual(one.lease.leads, two.lease.leads);
  await Promise.all([one.stop(), two.stop()]);
});

test('a lease of one that died is taken when it did not change for its duration', async () => {
  await using server = await new SmallApiServer([LEASES]).start();
  server.put('/apis/coordination.k8s.io/v1/namespaces/edge/leases', {
    metadata: { name: 'holdfast-controller' },
    spec: {
      holderIdentity: 'dead',
      leaseDurationSeconds: 0.3,
      leaseTransitions: 4,
      renewTime: '2099-01-01T00:00:00.000000Z',
    },
  });
  const began = performance.now();
  const heir = candidate(server, 'heir');
  await heir.until(true);
  assert.ok(performance.now() - began >= 300, 'clocks of machines are not compared');
  await heir.stop();
});

test('of two that ask for a free lease at once one gets it', async () => {
  await using server = await new SmallApiServer([LEASES]).start();
  const all = ['a', 'b', 'c'].map((identity) => candidate(server, identity, PATIENT));
  await Promise.race(all.map((one) => one.until(true)));
  assert.equal(all.filter(({ lease }) => lease.leads).length, 1);
  await Promise.all(all.map((one) => one.stop()));
});
