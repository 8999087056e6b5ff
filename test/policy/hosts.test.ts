// Hosts of routes: one label, any number of labels, the narrowest first, odd spellings last.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fitsPattern, narrownessOf } from '../../src/http/host-pattern.ts';
import { readAuthority } from '../../src/http/uri.ts';
import type { Route, RouteTable } from '../../src/policy/policy.ts';
import { chooseRoute, compileRouteTable } from '../../src/policy/route-table.ts';
import { Rejection } from '../../src/rejection/rejection.ts';
import { makeFacts } from '../support/facts.ts';

/** Of routes with these hosts, each for `/*` unless told, and named by its host. */
function tableOf(hosts: readonly string[], { fallThrough = false, path = '/*' } = {}): RouteTable {
  const routes = hosts.map((host) => {
    const match = { listeners: undefined, host: host === '' ? undefined : host, path, methods: undefined };
    return { name: host, match } as unknown as Route;
  });
  const compiled = compileRouteTable(routes, [{ name: 'public', fallThrough }]);
  assert.ok('table' in compiled);
  return compiled.table;
}

/** The host of the route that takes a request with this Host field; undefined: none. */
function hostFor(table: RouteTable, field: string, path = '/'): string | undefined {
  const authority = readAuthority(field, 'https') ?? assert.fail(`${field} is no host`);
  const origin = { scheme: 'https', authority, pathPrefix: '' } as const;
  const choice = chooseRoute(table, makeFacts({ origin, path, matchPath: path }));
  return choice instanceof Rejection ? undefined : choice.name;
}

describe('**.', () => {
  test('stands for one label and more, and not for none', () => {
    const table = tableOf(['**.example.com']);
    for (const host of ['a.example.com', 'a.b.example.com', 'x.y.z.example.com', 'A.Example.COM', 'a.example.com:8443'])
      assert.equal(hostFor(table, host), '**.example.com', host);
    for (const host of ['example.com', 'aexample.com', 'com', 'example.org', 'a.example.com.evil.org', 'example.com.'])
      assert.equal(hostFor(table, host), undefined, host);
  });

  test('a trailing dot, empty labels, addresses and punycode of others are other hosts', () => {
    const table = tableOf(['**.example.com']);
    for (const host of ['a.example.com.', '.example.com', 'a..example.com', '..example.com', '127.0.0.1', '[::1]'])
      assert.equal(hostFor(table, host), undefined, host);
    assert.equal(hostFor(tableOf(['**.xn--bcher-kva.example']), 'a.XN--BCHER-KVA.example'), '**.xn--bcher-kva.example');
  });

  test('comes after an exact host and *., the longest name first, and before no host', () => {
    const hosts = ['api.example.com', '*.example.com', '**.example.com', '**.b.example.com', '**.com', ''];
    for (const order of [hosts, hosts.toReversed()]) {
      const table = tableOf(order);
      assert.equal(hostFor(table, 'api.example.com'), 'api.example.com');
      assert.equal(hostFor(table, 'www.example.com'), '*.example.com');
      assert.equal(hostFor(table, 'a.c.example.com'), '**.example.com');
      assert.equal(hostFor(table, 'a.b.example.com'), '**.b.example.com');
      assert.equal(hostFor(table, 'b.example.com'), '*.example.com');
      assert.equal(hostFor(table, 'other.com'), '**.com');
      assert.equal(hostFor(table, 'example.org'), '');
    }
  });

  test('a host whose paths do not fit leaves the request to wider ones, unless the listener has fall_through', () => {
    const routes = [
      { host: '**.b.example.com', path: '/b' },
      { host: '**.example.com', path: '/e' },
      { host: undefined, path: '/any' },
    ].map((match) => ({ name: match.path, match: { listeners: undefined, methods: undefined, ...match } }) as Route);
    const tables = [false, true].map((fallThrough) => {
      const compiled = compileRouteTable(routes, [{ name: 'public', fallThrough }]);
      assert.ok('table' in compiled);
      return compiled.table;
    });
    const asked = (path: string) => tables.map((table) => hostFor(table, 'a.b.example.com', path));
    assert.deepEqual(asked('/b'), ['/b', '/b']);
    assert.deepEqual(asked('/e'), ['/e', undefined]);
    assert.deepEqual(asked('/any'), ['/any', undefined]);
  });
});

test('a name of three hundred characters is looked up as any other', () => {
  const table = tableOf(['**.example.com', '**.a.a']);
  const long = `${'a.'.repeat(140)}example.com`;
  assert.equal(hostFor(table, long), '**.example.com');
  assert.equal(hostFor(table, 'a.'.repeat(149)), undefined);
});

test('for any set of hosts the choice is the narrowest pattern that fits, with and without fall_through', () => {
  const label = fc.constantFrom('a', 'b', 'example', 'com', '');
  const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
  const plain = name.filter((host) => /^[a-z]+(?:\.[a-z]+)*$/.test(host));
  const pattern = fc.tuple(fc.constantFrom('', '*.', '**.'), plain).map(([stars, host]) => `${stars}${host}`);
  fc.assert(
    fc.property(fc.uniqueArray(pattern, { maxLength: 8 }), name, fc.boolean(), (hosts, host, fallThrough) => {
      fc.pre(readAuthority(host, 'https') !== undefined);
      const rank = (one: string) => (one.startsWith('*') ? narrownessOf(one) : 1000);
      const [expected] = hosts.filter((one) => fitsPattern(host, one)).toSorted((one, two) => rank(two) - rank(one));
      assert.equal(hostFor(tableOf(hosts, { fallThrough }), host), expected);
    }),
    { numRuns: 2000 },
  );
});
