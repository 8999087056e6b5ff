// Names through a real DNS server that is silent, fails or moves.

import assert from 'node:assert/strict';
import type { LookupAddress, LookupOptions } from 'node:dns';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type AskSystem, NameResolver, type ResolverOptions } from '../../src/dns/resolver.ts';
import { startNameServer, type Zone } from '../support/name-server.ts';

/** A resolver with files and a name server of the test's own; nothing is known elsewhere. */
async function resolver(
  t: TestContext,
  zone: Zone,
  files: { hosts?: string; conf?: string } = {},
  more: ResolverOptions = {},
) {
  const dns = await startNameServer(t, zone);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-names-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [hostsFile, resolvConf] = [join(folder, 'hosts'), join(folder, 'resolv.conf')];
  writeFileSync(hostsFile, files.hosts ?? '');
  writeFileSync(resolvConf, files.conf ?? 'options ndots:1\nsearch none.test\n');
  const elsewhere: string[] = [];
  const names = new NameResolver({
    servers: [dns.server],
    hostsFile,
    resolvConf,
    otherwise: (name, callback) => {
      elsewhere.push(name);
      callback(Object.assign(new Error(name), { code: 'ENOTFOUND' }), []);
    },
    ...more,
  });
  t.after(() => names.close());
  const addresses = async (name: string) => (await names.resolve(name)).map(({ address }) => address);
  return { dns, names, addresses, elsewhere, hostsFile, resolvConf };
}

const rejects = (asked: Promise<unknown>, code: string) => assert.rejects(asked, { code });

describe('a silent name', { concurrency: true }, () => {
  test('delays no other, however many names are silent and however often they are asked for', async (t) => {
    const silent = Array.from({ length: 40 }, (_, nth) => `silent${nth}.test`);
    const zone: Zone = Object.fromEntries(silent.map((name) => [name, 'silent']));
    zone['well.test'] = { addresses: ['192.0.2.1'], ttl: 0 };
    const { addresses, dns } = await resolver(t, zone);
    const lost = silent.flatMap((name) => Array.from({ length: 60 }, () => rejects(addresses(name), 'EAI_AGAIN')));
    const ended = Promise.race(lost);
    let done = false;
    void ended.then(() => (done = true));
    for (let nth = 0; nth < 20; nth += 1) assert.deepEqual(await addresses('well.test'), ['192.0.2.1']);
    assert.equal(done, false, 'all of these came before the first silent name was given up');
    await Promise.all(lost);
    // Three rounds of two questions for each name, not for each that asks.
    for (const name of silent) assert.ok(dns.asked.filter((one) => one.endsWith(` ${name}`)).length <= 6, name);
  });

  test('is given up within seconds; that is remembered for a moment, and then it is asked for again', async (t) => {
    const { addresses, dns, elsewhere } = await resolver(t, { 'orders.test': 'silent' });
    await rejects(addresses('orders.test'), 'EAI_AGAIN');
    const asked = dns.asked.length;
    await rejects(addresses('orders.test'), 'EAI_AGAIN');
    assert.equal(dns.asked.length, asked);
    dns.zone['orders.test'] = { addresses: ['192.0.2.1'] };
    await pause(1100);
    assert.deepEqual(await addresses('orders.test'), ['192.0.2.1']);
    assert.deepEqual(elsewhere, [], 'the system would wait in a thread');
  });

  test('is not searched for under further domains, and neither does the system get it', async (t) => {
    const conf = 'search a.test b.test\noptions ndots:5\n';
    const { addresses, dns, elsewhere } = await resolver(t, { 'orders.a.test': 'silent' }, { conf });
    await rejects(addresses('orders'), 'EAI_AGAIN');
    assert.deepEqual(new Set(dns.asked), new Set(['A orders.a.test', 'AAAA orders.a.test']));
    assert.deepEqual(elsewhere, []);
  });
});

describe('an answer', { concurrency: true }, () => {
  test('is asked for once by all who want it at the same time, and serves for its TTL, at most a second', async (t) => {
    const { addresses, dns } = await resolver(t, {
      'long.test': { addresses: ['192.0.2.1'], ttl: 3600 },
      'zero.test': { addresses: ['192.0.2.2'], ttl: 0 },
    });
    await Promise.all(Array.from({ length: 100 }, () => addresses('LONG.test')));
    await addresses('long.test');
    assert.equal(dns.asked.length, 2);
    dns.zone['long.test'] = { addresses: ['192.0.2.9'] };
    await pause(1100);
    assert.deepEqual(await addresses('long.test'), ['192.0.2.9']);
    for (let nth = 1; nth <= 3; nth += 1) {
      await addresses('zero.test');
      assert.equal(dns.asked.filter((one) => one === 'A zero.test').length, nth);
    }
  });

  test('of one family serves though the server says nothing of the other', async (t) => {
    const { addresses, dns } = await resolver(t, {
      'four.test': { addresses: ['192.0.2.1', '192.0.2.2'], mute: 'AAAA' },
      'six.test': { addresses: ['2001:db8::1'] },
    });
    assert.deepEqual(await addresses('four.test'), ['192.0.2.1', '192.0.2.2']);
    assert.equal(dns.asked.filter((one) => one === 'AAAA four.test').length, 1, 'before the question is repeated');
    assert.deepEqual(await addresses('six.test'), ['2001:db8::1']);
  });

  test('of one family serves though the server denies the name when it is asked for the other (RFC 4074 §4.2)', async (t) => {
    const { addresses, elsewhere } = await resolver(t, {
      'four.test': { addresses: ['192.0.2.1'], denied: 'AAAA' },
      'six.test': { addresses: ['2001:db8::1'], denied: 'A' },
      'late.test': { addresses: ['192.0.2.1'], mute: 'A', denied: 'AAAA' },
    });
    assert.deepEqual(await addresses('four.test'), ['192.0.2.1']);
    assert.deepEqual(await addresses('six.test'), ['2001:db8::1']);
    assert.deepEqual(elsewhere, []);
    // Nothing but a denial came: the name does not exist, as far as DNS says.
    await rejects(addresses('late.test'), 'ENOTFOUND');
    assert.deepEqual(elsewhere, ['late.test']);
  });

  test('of both families is given as it is wanted: all, one, or one family', async (t) => {
    const { names } = await resolver(t, { 'both.test': { addresses: ['192.0.2.1', '2001:db8::1'] } });
    const give = (options: LookupOptions) =>
      new Promise<unknown>((resolve) => {
        names.lookup('both.test', options, (error, address, family) => resolve(error ?? family ?? address));
      });
    const all = (await give({ all: true })) as LookupAddress[];
    assert.deepEqual(all.map(({ address }) => address).toSorted(), ['192.0.2.1', '2001:db8::1']);
    assert.deepEqual(await give({ all: true, family: 6 }), [{ address: '2001:db8::1', family: 6 }]);
    assert.equal(await give({ family: 4 }), 4);
  });
});

describe('a name that does not exist', { concurrency: true }, () => {
  test('is asked of the system too, which may have other sources; one at a time, and remembered for a moment', async (t) => {
    const { addresses, elsewhere } = await resolver(t, {});
    await Promise.all(['x.test', 'y.test', 'x.test'].map((name) => rejects(addresses(name), 'ENOTFOUND')));
    await rejects(addresses('x.test'), 'ENOTFOUND');
    assert.deepEqual(elsewhere, ['x.test', 'y.test']);
  });

  test('is found where the system knows it', async (t) => {
    const otherwise: AskSystem = (_name, callback) => callback(null, [{ address: '192.0.2.7', family: 4 }]);
    const { addresses } = await resolver(t, {}, {}, { otherwise });
    assert.deepEqual(await addresses('printer.local'), ['192.0.2.7']);
  });

  test('is not what a failing server means', async (t) => {
    const { addresses, elsewhere } = await resolver(t, { 'orders.test': 'failing' });
    await rejects(addresses('orders.test'), 'EAI_AGAIN');
    assert.deepEqual(elsewhere, []);
  });
});

describe('the rules of the system', { concurrency: true }, () => {
  test('the hosts file comes first, whatever DNS says, and localhost is never asked for', async (t) => {
    const hosts = '127.0.0.9 orders.test alias # comment\n::1 other\n192.0.2.5 Orders.Test\nnonsense orders.test\n';
    const { addresses, dns, hostsFile } = await resolver(t, { 'orders.test': 'silent' }, { hosts });
    assert.deepEqual(await addresses('ORDERS.test'), ['127.0.0.9', '192.0.2.5']);
    assert.deepEqual(await addresses('alias'), ['127.0.0.9']);
    assert.deepEqual(await addresses('localhost'), ['127.0.0.1', '::1']);
    assert.deepEqual(await addresses('app.localhost'), ['127.0.0.1', '::1']);
    writeFileSync(hostsFile, '127.0.0.10 orders.test\n');
    await pause(1100);
    assert.deepEqual(await addresses('orders.test'), ['127.0.0.10']);
    assert.deepEqual(dns.asked, []);
  });

  test('a pod finds services by short names: search domains, and ndots of Kubernetes', async (t) => {
    const conf =
      'nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n';
    const at = (...addresses: string[]) => ({ addresses });
    const { addresses, dns } = await resolver(
      t,
      {
        'orders.shop.svc.cluster.local': at('10.0.0.1'),
        'orders.billing.svc.cluster.local': at('10.0.0.2'),
        'api.example.com': at('192.0.2.1'),
        'empty.shop.svc.cluster.local': at(),
        'empty.svc.cluster.local': at('10.0.0.3'),
      },
      { conf },
    );
    assert.deepEqual(await addresses('orders'), ['10.0.0.1']);
    assert.deepEqual(await addresses('orders.billing'), ['10.0.0.2']);
    assert.deepEqual(await addresses('orders.billing.svc.cluster.local'), ['10.0.0.2']);
    assert.deepEqual(await addresses('empty'), ['10.0.0.3'], 'a name without addresses is searched for further');
    dns.asked.length = 0;
    assert.deepEqual(await addresses('api.example.com.'), ['192.0.2.1']);
    assert.deepEqual(
      new Set(dns.asked),
      new Set(['A api.example.com', 'AAAA api.example.com']),
      'a full name is not searched for',
    );
  });

  test('a change of resolv.conf counts without a restart', async (t) => {
    const { addresses, resolvConf } = await resolver(t, { 'orders.b.test': { addresses: ['192.0.2.1'] } });
    await rejects(addresses('orders'), 'ENOTFOUND');
    writeFileSync(resolvConf, 'search b.test\n');
    await pause(1100);
    assert.deepEqual(await addresses('orders'), ['192.0.2.1']);
  });
});
