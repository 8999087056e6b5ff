// Connections to targets: all addresses of a name, changes of names, trust of TLS.

import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { makeCa, makeCertificate } from '../../support/pki.ts';
import { openBalanced, openTarget, type TestTarget, until } from '../../support/targets.ts';

const ca = await makeCa();
const stranger = await makeCa({ subject: 'CN=Stranger' });
const NO_TLS = { ca: ca.cert, cert: undefined, key: undefined, serverName: undefined };

/** A resolver that knows what it is told. */
function resolver(names: Record<string, readonly string[]>) {
  const state = { names, asked: 0 };
  const lookup: LookupFunction = (name, _options, callback) => {
    state.asked += 1;
    const found: LookupAddress[] = (state.names[name] ?? []).map((address) => ({ address, family: 4 }));
    if (found.length === 0) callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []);
    else setImmediate(() => callback(null, found));
  };
  return { state, lookup };
}

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
    for (const server of servers) {
      const { answer } = server;
      server.answer = (...exchange) => void setTimeout(() => answer(...exchange), 20);
    }
    const balanced = await openBalanced(t, [origin], { connections: 6 }, { open: { lookup } });
    await Promise.all(Array.from({ length: 6 }, () => balanced.ask('/')));
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
    assert.deepEqual(balanced.events.all, []);
  });

  it('is left, under load without a pause, when its address changes: connections do not live for ever', async (t) => {
    const [before, after] = await openAddresses(t, 2);
    assert.ok(before && after);
    const { state, lookup } = resolver({ 'orders.test': ['127.0.0.1'] });
    const wishes = { open: { lookup, connectionAge: 0.2 } };
    const balanced = await openBalanced(t, [`http://orders.test:${before.port}`], { connections: 2 }, wishes);
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
    assert.ok(state.asked < 60, `resolved ${state.asked} times`);
  });

  it('that does not resolve is unreachable; the request goes to another', async (t) => {
    const [server] = await openAddresses(t, 1);
    assert.ok(server);
    const { lookup } = resolver({});
    const balanced = await openBalanced(
      t,
      ['http://gone.test', server],
      { balance: 'round-robin' },
      { open: { lookup } },
    );
    assert.equal((await balanced.ask('/', 'body')).body, 'a body');
    assert.deepEqual(balanced.events.failures, ['unreachable']);
  });
});

describe('several https targets', () => {
  const { lookup } = resolver({ 'a.test': ['127.0.0.1'], 'b.test': ['127.0.0.1'], 'c.test': ['127.0.0.1'] });

  async function openTlsTarget(t: TestContext, name: string, wishes: object = {}, more: TlsOptions = {}) {
    const leaf = await makeCertificate({ names: [`${name}.test`], ca, ...wishes });
    const target = await openTarget(t, name, { tls: { cert: leaf.chain, key: leaf.key, ...more } });
    return { target, origin: `https://${name}.test:${target.port}` };
  }

  it('are verified by the name of each, over connections that are kept', async (t) => {
    const all = await Promise.all(['a', 'b', 'c'].map((name) => openTlsTarget(t, name)));
    for (const { target } of all) {
      target.answer = ({ socket }, response) => response.end(String((socket as TLSSocket).servername));
    }
    const origins = all.map(({ origin }) => origin);
    const balanced = await openBalanced(t, origins, { tls: NO_TLS, balance: 'round-robin' }, { open: { lookup } });
    const names = [];
    for (let n = 0; n < 6; n += 1) names.push((await balanced.ask('/')).body);
    assert.deepEqual(names, ['a.test', 'b.test', 'c.test', 'a.test', 'b.test', 'c.test']);
    assert.deepEqual(
      all.map(({ target }) => target.connections),
      [1, 1, 1],
    );
  });

  it('are all verified by server_name where that is given', async (t) => {
    const names = { names: ['orders.internal'] };
    const all = await Promise.all(['a', 'b'].map((name) => openTlsTarget(t, name, names)));
    const tls = { ...NO_TLS, serverName: 'orders.internal' };
    const origins = all.map(({ origin }) => origin);
    const balanced = await openBalanced(t, origins, { tls, balance: 'round-robin' }, { open: { lookup } });
    for (const name of ['a ', 'b ']) assert.equal((await balanced.ask('/')).body, name);
  });

  const hourAgo = Date.now() / 1000 - 3600;
  const REFUSED: readonly (readonly [string, object])[] = [
    ['from another CA', { ca: stranger }],
    ['for another name', { names: ['elsewhere.test'] }],
    ['for an address instead of the name', { names: ['127.0.0.1'] }],
    ['that expired', { notBefore: hourAgo - 3600, notAfter: hourAgo }],
    ['that is not valid yet', { notBefore: Date.now() / 1000 + 3600 }],
  ];
  for (const [what, wishes] of REFUSED) {
    it(`send nothing to one with a certificate ${what}, and everything to the other`, async (t) => {
      const bad = await openTlsTarget(t, 'a', wishes);
      const good = await openTlsTarget(t, 'b');
      const upstream = { tls: NO_TLS, balance: 'round-robin' } as const;
      const balanced = await openBalanced(t, [bad.origin, good.origin], upstream, { open: { lookup } });
      for (let n = 0; n < 4; n += 1) assert.equal((await balanced.ask('/', 'body')).body, 'b body');
      assert.deepEqual(bad.target.seen, []);
      assert.deepEqual(balanced.events.failures, ['unreachable']);
    });
  }

  const DEMANDING = { requestCert: true, rejectUnauthorized: true, ca: ca.cert };
  it('get the certificate of the configuration where they demand one', async (t) => {
    const all = [await openTlsTarget(t, 'a', {}, DEMANDING), await openTlsTarget(t, 'b', {}, DEMANDING)];
    const own = await makeCertificate({ names: ['gateway.internal'], ca });
    const tls = { ...NO_TLS, cert: own.chain, key: own.key };
    const origins = all.map(({ origin }) => origin);
    const balanced = await openBalanced(t, origins, { tls, balance: 'round-robin' }, { open: { lookup } });
    for (const name of ['a ', 'b ', 'a ', 'b ']) assert.equal((await balanced.ask('/')).body, name);
  });

  it('that demand one where there is none: TLS 1.2 refuses before anything is sent, and the request goes elsewhere', async (t) => {
    const bad = await openTlsTarget(t, 'a', {}, { ...DEMANDING, maxVersion: 'TLSv1.2' });
    const good = await openTlsTarget(t, 'b');
    const upstream = { tls: NO_TLS, balance: 'round-robin' } as const;
    const balanced = await openBalanced(t, [bad.origin, good.origin], upstream, { open: { lookup } });
    assert.equal((await balanced.ask('/')).body, 'b ');
    assert.deepEqual(bad.target.seen, []);
  });

  it('that demand one where there is none: TLS 1.3 refuses after the request was sent, which is not sent again', async (t) => {
    const bad = await openTlsTarget(t, 'a', {}, { ...DEMANDING, minVersion: 'TLSv1.3' });
    const good = await openTlsTarget(t, 'b');
    const upstream = { tls: NO_TLS, balance: 'round-robin' } as const;
    const balanced = await openBalanced(t, [bad.origin, good.origin], upstream, { open: { lookup } });
    assert.equal((await balanced.ask('/')).body, 'upstream_unreachable');
    assert.deepEqual([bad.target.seen, good.target.seen], [[], []]);
  });
});
