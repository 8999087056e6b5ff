// All addresses of a target's name, and its changes, on several addresses of loopback.

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { openBalanced, openTarget, type TestTarget } from '../../support/targets.ts';
import { until } from '../../support/until.ts';
import { resolver } from './naming.ts';

/** Servers on one port of 127.0.0.1, 127.0.0.2 and so on. */
async function openAddresses(t: TestContext, count: number): Promise<TestTarget[]> {
  const first = await openTarget(t, 'a');
  const others = ['b', 'c', 'd'].slice(0, count - 1).map((name, at) => ({ name, host: `127.0.0.${at + 2}` }));
  return [
    first,
    ...(await Promise.all(others.map(({ name, host }) => openTarget(t, name, { host, port: first.port })))),
  ];
}

describe('a target by name', () => {
  it('is connected to at all its addresses, in turn', async (t) => {
    const servers = await openAddresses(t, 3);
    const { lookup } = resolver({ 'orders.test': ['127.0.0.1', '127.0.0.2', '127.0.0.3'] });
    const origin = `http://orders.test:${servers[0]?.port}`;
    const held: (() => void)[] = [];
    for (const server of servers) {
      const { answer } = server;
      server.answer = (...exchange) => held.push(() => answer(...exchange));
    }
    const balanced = await openBalanced(t, [origin], { connections: 6 }, { open: { lookup } });
    const asked = Promise.all(Array.from({ length: 6 }, () => balanced.ask('/')));
    await until(() => held.length === 6);
    for (const release of held) release();
    await asked;
    assert.deepEqual(
      servers.map(({ connections }) => connections),
      [2, 2, 2],
    );
  });

  it('is reached as long as one of its addresses can be connected to', async (t) => {
    const [server] = await openAddresses(t, 1);
    const { lookup } = resolver({ 'orders.test': ['127.0.0.8', '127.0.0.1', '127.0.0.9'] });
    const wishes = { open: { lookup, connectionAge: 0.001 } };
    const balanced = await openBalanced(t, [`http://orders.test:${server?.port}`], {}, wishes);
    for (let n = 0; n < 6; n += 1) assert.equal((await balanced.ask('/')).body, 'a ');
    assert.deepEqual(balanced.events.troubles, []);
  });

  it('is left, under load without a pause, when its address changes: connections do not live for ever', async (t) => {
    const [before, after] = await openAddresses(t, 2);
    assert.ok(before && after);
    const { state, lookup } = resolver({ 'orders.test': ['127.0.0.1'] });
    const [age, connections, began] = [0.2, 2, performance.now()];
    const wishes = { open: { lookup, connectionAge: age } };
    const balanced = await openBalanced(t, [`http://orders.test:${before.port}`], { connections }, wishes);
    const load = { stop: false };
    const client = async () => {
      while (!load.stop) assert.equal((await balanced.ask('/')).status, 200);
    };
    const clients = Promise.all(Array.from({ length: 6 }, client));
    await until(() => before.seen.length >= 50);
    assert.equal(after.seen.length, 0);
    state.names = { 'orders.test': ['127.0.0.2'] };
    await until(() => after.seen.length > 0 && before.connections === 0);
    const left = before.seen.length;
    const then: number = after.seen.length;
    await until(() => after.seen.length >= then + 50);
    assert.equal(before.seen.length, left);
    load.stop = true;
    await clients;
    const ages = (performance.now() - began) / 1000 / age;
    assert.ok(state.asked <= connections * (ages + 1), `resolved ${state.asked} times in ${ages} ages of a connection`);
  });
});
