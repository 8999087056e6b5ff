// The choice of a route: the most specific group, whatever the order of files.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { chooseGroup, chooseRoute, compileRouteTable, isDisguised } from '../../src/policy/route-table.ts';
import type { RouteMatch } from '../../src/policy/match.ts';
import type { Route, RouteTable } from '../../src/policy/policy.ts';
import { Rejection } from '../../src/rejection/rejection.ts';
import { makeFacts } from '../support/facts.ts';

const LISTENERS = [{ name: 'public' }, { name: 'internal' }];

interface Written {
  readonly name?: string;
  readonly path: string;
  readonly host?: string;
  readonly methods?: readonly string[];
  readonly listeners?: readonly string[];
}

/** A route with nothing but what the table looks at; named by its path unless told. */
function route(written: Written): Route {
  const match: RouteMatch = { listeners: undefined, host: undefined, methods: undefined, ...written };
  return { name: written.name ?? written.path, match } as Route;
}

function tableOf(...written: readonly Written[]): RouteTable {
  const compiled = compileRouteTable(written.map(route), LISTENERS);
  assert.ok('table' in compiled, `unexpectedly ambiguous: ${JSON.stringify(compiled)}`);
  return compiled.table;
}

function ambiguitiesOf(...written: readonly Written[]): readonly string[] {
  const compiled = compileRouteTable(written.map(route), LISTENERS);
  if ('table' in compiled) return [];
  return compiled.ambiguities.map((each) => `${each.route.name} and ${each.other.name}: ${each.why}`);
}

/** What a route is chosen by, of a request for this path. */
const asked = (listener: string, host: string, path: string, method: string) =>
  makeFacts({ listener, origin: { scheme: 'https', authority: host, pathPrefix: '' }, path, matchPath: path, method });

/** Name of the chosen route, or the reason. */
function chosen(
  table: RouteTable,
  path: string,
  { host = 'api.example.com', method = 'GET', listener = 'public' } = {},
) {
  const choice = chooseRoute(table, asked(listener, host, path, method));
  return choice instanceof Rejection ? choice.reason : choice.name;
}

describe('paths that mean two things', () => {
  const table = tableOf({ path: '/*' }, { path: '/admin/*' }, { path: '/admin' });
  /** What is wrong with it, or the route. */
  const judged = (of: RouteTable, path: string, encodedSlash = false) => {
    const choice = chooseRoute(of, { ...asked('public', 'api.example.com', path, 'GET'), encodedSlash });
    return choice instanceof Rejection ? `${choice.reason} ${choice.facts.what ?? ''}` : choice.name;
  };

  test('a path that belongs to a more specific route for servers that decode delimiters is refused', () => {
    for (const path of ['/admin%2Fusers', '/admin%3Bx=1/users', '/admin%3Fx', '/admin%23x', '/%2Fadmin']) {
      assert.equal(judged(table, path), 'request_malformed encoded delimiter', path);
    }
  });

  test('a near miss passes: the same route, a less specific one, or none', () => {
    for (const path of ['/public%2Fusers', '/administer%2Fusers', '/x%3Fadmin'])
      assert.equal(judged(table, path), '/*', path);
    const other = tableOf({ path: '/a/*' }, { path: '/b/*' });
    assert.equal(judged(other, '/a%2Fb'), 'route_not_found path', 'a path without a route is only that');
    assert.equal(judged(other, '/a/x%2Fy'), '/a/*');
    assert.equal(isDisguised(other, asked('public', 'api.example.com', '/a%2Fb', 'GET')), false);
  });

  test('an encoded slash is refused where the route does not admit it, and where there is none', () => {
    assert.equal(judged(table, '/x%2Fy', true), 'request_malformed %2F');
    assert.equal(judged(tableOf({ path: '/orders' }), '/x%2Fy', true), 'request_malformed %2F');
    const admitting = { ...route({ path: '/files/*' }), encodedSlash: true };
    const compiled = compileRouteTable([admitting], [{ name: 'public' }]);
    assert.ok('table' in compiled);
    assert.equal(judged(compiled.table, '/files/a%2Fb', true), '/files/*');
  });
});

describe('paths', () => {
  test('an exact path fits itself alone: a trailing slash, another case or anything below is another path', () => {
    const table = tableOf({ path: '/orders' });
    assert.equal(chosen(table, '/orders'), '/orders');
    for (const path of ['/orders/', '/Orders', '/orders/1', '/order', '/orderss', '/']) {
      assert.equal(chosen(table, path), 'route_not_found', path);
    }
  });

  test('a last /* fits the path itself and everything below, and no sibling that begins with the same letters', () => {
    const table = tableOf({ path: '/orders/*' });
    for (const path of ['/orders', '/orders/', '/orders/1', '/orders/1/items/2']) {
      assert.equal(chosen(table, path), '/orders/*', path);
    }
    for (const path of ['/', '/ordersx', '/orders%2F1', '/x/orders'])
      assert.equal(chosen(table, path), 'route_not_found', path);
  });

  test('/* fits every path, and / fits only itself', () => {
    const table = tableOf({ path: '/*' }, { path: '/' });
    assert.equal(chosen(table, '/'), '/');
    assert.equal(chosen(table, '/a/b'), '/*');
  });

  test('an inner * fits exactly one segment, and not an empty one', () => {
    const table = tableOf({ path: '/shops/*/orders' }, { path: '/teams/*/*' });
    assert.equal(chosen(table, '/shops/7/orders'), '/shops/*/orders');
    assert.equal(chosen(table, '/shops/*/orders'), '/shops/*/orders');
    for (const path of ['/shops/orders', '/shops/7/8/orders', '/shops/7/orders/', '/teams', '/teams/']) {
      assert.equal(chosen(table, path), 'route_not_found', path);
    }
    assert.equal(chosen(table, '/teams/red'), '/teams/*/*');
  });

  test('a * in a request is a letter like any other', () => {
    const table = tableOf({ path: '/a/*/c' }, { path: '/a/b/c' });
    assert.equal(chosen(table, '/a/*/c'), '/a/*/c');
    assert.equal(chosen(table, '/*/b/c'), 'route_not_found');
  });

  test('the longer path comes first, exact before /* where both are equally long, a literal before *', () => {
    const table = tableOf(
      { path: '/a/*' },
      { path: '/a/b/*' },
      { path: '/a/b' },
      { path: '/a/*/c' },
      { path: '/a/b/c' },
    );
    assert.equal(chosen(table, '/a'), '/a/*');
    assert.equal(chosen(table, '/a/b'), '/a/b');
    assert.equal(chosen(table, '/a/b/d'), '/a/b/*');
    assert.equal(chosen(table, '/a/x/c'), '/a/*/c');
    assert.equal(chosen(table, '/a/b/c'), '/a/b/c');
  });

  test('a longer path through * comes before a shorter literal one', () => {
    const table = tableOf({ path: '/a/b/*' }, { path: '/a/*/c/*' });
    assert.equal(chosen(table, '/a/b/c'), '/a/*/c/*');
    assert.equal(chosen(table, '/a/b/d'), '/a/b/*');
  });

  test('names of object members are paths like any other', () => {
    const table = tableOf({ path: '/a' });
    for (const path of ['/__proto__', '/constructor', '/toString'])
      assert.equal(chosen(table, path), 'route_not_found');
    assert.equal(chosen(table, '/a', { method: 'constructor' }), '/a');
    assert.equal(
      chosen(tableOf({ path: '/a', methods: ['GET'] }), '/a', { method: 'constructor' }),
      'method_not_allowed',
    );
  });
});

describe('hosts', () => {
  test('an exact host comes before *., and *. before no host, whatever the paths', () => {
    const table = tableOf(
      { name: 'exact', host: 'api.example.com', path: '/*' },
      { name: 'wildcard', host: '*.example.com', path: '/orders/*' },
      { name: 'every', path: '/orders/1' },
    );
    assert.equal(chosen(table, '/orders/1'), 'exact');
    assert.equal(chosen(table, '/orders/1', { host: 'www.example.com' }), 'wildcard');
    assert.equal(chosen(table, '/orders/1', { host: 'other.example' }), 'every');
  });

  test('a host without a fitting path leaves the request to routes for more hosts: a group is host and path together', () => {
    const table = tableOf({ host: 'api.example.com', path: '/orders/*' }, { path: '/healthz' });
    assert.equal(chosen(table, '/healthz'), '/healthz');
  });

  test('*. stands for exactly one label', () => {
    const table = tableOf({ host: '*.example.com', path: '/*' });
    assert.equal(chosen(table, '/', { host: 'a.example.com' }), '/*');
    for (const host of ['example.com', 'a.b.example.com', 'aexample.com', 'com', 'a.example.com.']) {
      assert.equal(chosen(table, '/', { host }), 'route_not_found', host);
    }
    assert.equal(chosen(tableOf({ host: '*.example', path: '/*' }), '/', { host: 'example' }), 'route_not_found');
  });

  test('IPv6 hosts are compared as a whole', () => {
    const table = tableOf({ host: '[2001:db8::1]', path: '/*' });
    assert.equal(chosen(table, '/', { host: '[2001:db8::1]' }), '/*');
    assert.equal(chosen(table, '/', { host: '[2001:db8::2]' }), 'route_not_found');
  });
});

describe('listeners', () => {
  test('a route that names listeners exists on them alone; one that names none exists on all', () => {
    const table = tableOf({ path: '/admin', listeners: ['internal'] }, { path: '/orders' });
    assert.equal(chosen(table, '/admin', { listener: 'internal' }), '/admin');
    assert.equal(chosen(table, '/admin'), 'route_not_found');
    assert.equal(chosen(table, '/orders'), '/orders');
    assert.equal(chosen(table, '/orders', { listener: 'internal' }), '/orders');
    assert.equal(chosen(table, '/orders', { listener: 'unheard-of' }), 'route_not_found');
  });

  test('naming listeners gives no precedence: a broad route on one listener never takes requests from a longer path', () => {
    const table = tableOf({ path: '/*', listeners: ['public'] }, { path: '/admin/*' });
    assert.equal(chosen(table, '/admin/users'), '/admin/*');
  });
});

describe('methods', () => {
  test('methods are looked up only inside the group: a less specific one that has the method is not asked', () => {
    const table = tableOf({ path: '/orders/*', methods: ['GET', 'HEAD'] }, { path: '/*', methods: ['DELETE'] });
    const choice = chooseRoute(table, asked('public', 'api.example.com', '/orders/1', 'DELETE'));
    assert.ok(choice instanceof Rejection);
    assert.equal(choice.reason, 'method_not_allowed');
    assert.equal(choice.status, 405);
    assert.equal(choice.facts.allow, 'GET, HEAD');
  });

  test('routes of one group share its Allow and divide its methods', () => {
    const table = tableOf(
      { name: 'read', path: '/orders', methods: ['GET', 'HEAD'] },
      { name: 'write', path: '/orders', methods: ['POST'] },
    );
    assert.equal(chosen(table, '/orders', { method: 'HEAD' }), 'read');
    assert.equal(chosen(table, '/orders', { method: 'POST' }), 'write');
    assert.equal(chooseGroup(table, 'public', 'api.example.com', '/orders')?.allow, 'GET, HEAD, POST');
  });

  test('methods are case-sensitive', () => {
    assert.equal(chosen(tableOf({ path: '/a', methods: ['GET'] }), '/a', { method: 'get' }), 'method_not_allowed');
  });

  test('TRACE and CONNECT are refused even by a route that takes every method', () => {
    const table = tableOf({ path: '/*' });
    assert.equal(chosen(table, '/a', { method: 'PROPFIND' }), '/*');
    for (const method of ['TRACE', 'CONNECT']) {
      const choice = chooseRoute(table, asked('public', 'api.example.com', '/a', method));
      assert.ok(choice instanceof Rejection);
      assert.equal(choice.reason, 'method_not_allowed');
      assert.equal(choice.facts.allow, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
    }
  });
});

describe('ambiguity', () => {
  test('two routes with the same host, path and method are ambiguous', () => {
    assert.deepEqual(
      ambiguitiesOf(
        { name: 'a', path: '/x', methods: ['GET', 'HEAD'] },
        { name: 'b', path: '/x', methods: ['POST', 'HEAD'] },
      ),
      ['b and a: both take HEAD'],
    );
    assert.deepEqual(ambiguitiesOf({ name: 'a', path: '/x' }, { name: 'b', path: '/x' }), [
      'b and a: both take every method',
    ]);
  });

  test('a route without methods leaves none to another one of its group, whichever comes first', () => {
    const some: Written = { name: 'some', path: '/x', methods: ['PUT'] };
    const every: Written = { name: 'every', path: '/x' };
    assert.deepEqual(ambiguitiesOf(some, every), ['every and some: both take PUT']);
    assert.deepEqual(ambiguitiesOf(every, some), ['some and every: both take PUT']);
  });

  test('routes that meet on one of several listeners are ambiguous, and said so once', () => {
    assert.deepEqual(
      ambiguitiesOf({ name: 'a', path: '/x' }, { name: 'b', path: '/x', listeners: ['public', 'internal'] }),
      ['b and a: both take every method'],
    );
    assert.deepEqual(ambiguitiesOf({ path: '/x', listeners: ['public'] }, { path: '/x', listeners: ['internal'] }), []);
  });

  test('paths whose literals cross are ambiguous even with different methods, because the group comes before the method', () => {
    assert.deepEqual(
      ambiguitiesOf({ name: 'a', path: '/x/*/z', methods: ['GET'] }, { name: 'b', path: '/*/y/z', methods: ['POST'] }),
      ['b and a: some paths fit both, and neither is the more specific one'],
    );
    assert.deepEqual(ambiguitiesOf({ path: '/x/*/1/*' }, { path: '/*/y/1/*' }).length, 1);
  });

  test('paths that cannot meet, or of which one is more literal everywhere, are not ambiguous', () => {
    assert.deepEqual(ambiguitiesOf({ path: '/x/*/z' }, { path: '/y/*/z' }), []);
    assert.deepEqual(ambiguitiesOf({ path: '/x/*/z' }, { path: '/*/y/w' }), []);
    assert.deepEqual(ambiguitiesOf({ path: '/*/*/z' }, { path: '/*/y/z' }, { path: '/x/y/z' }), []);
    assert.deepEqual(ambiguitiesOf({ path: '/x/*/z' }, { path: '/*/y/*' }), []);
    assert.deepEqual(ambiguitiesOf({ host: 'a.example', path: '/x/*/z' }, { host: 'b.example', path: '/*/y/z' }), []);
  });
});

/** The rules of the docstring once more, slowly: all groups that fit, sorted. */
function chosenSlowly(written: readonly Written[], host: string, path: string): string {
  const hostRank = (of: string | undefined) =>
    of === undefined
      ? 0
      : of === host
        ? 2
        : of.startsWith('*.') && host.split('.').slice(1).join('.') === of.slice(2)
          ? 1
          : -1;
  const shape = (of: string) => ({ below: of.endsWith('/*'), segments: of.replace(/\/\*$/, '').split('/').slice(1) });
  const fits = (of: string) => {
    const [{ below, segments }, asked] = [shape(of), path.split('/').slice(1)];
    const long = below ? asked.length >= segments.length : asked.length === segments.length;
    return (
      long && segments.every((segment, index) => segment === asked[index] || (segment === '*' && asked[index] !== ''))
    );
  };
  const stars = (of: string) => shape(of).segments.filter((segment) => segment === '*').length;
  const [first] = written
    .filter((each) => hostRank(each.host) >= 0 && fits(each.path))
    .toSorted((a, b) => {
      const [one, two] = [shape(a.path), shape(b.path)];
      const byHost = hostRank(b.host) - hostRank(a.host);
      const byLength = two.segments.length - one.segments.length;
      return byHost || byLength || Number(one.below) - Number(two.below) || stars(a.path) - stars(b.path);
    });
  return first?.name ?? 'route_not_found';
}

test('for any set of routes in any order, the choice is the one that the rules name', () => {
  const segment = fc.constantFrom('a', 'b', '*');
  const path = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean())
    .map(([segments, below]) => `/${segments.join('/')}${below ? (segments.length > 0 ? '/*' : '*') : ''}`);
  const host = fc.constantFrom(undefined, 'api.example.com', '*.example.com');
  const asked = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 5 }).map((segments) => `/${segments.join('/')}`);
  const sets = fc.uniqueArray(fc.record({ host, path }), {
    maxLength: 8,
    selector: ({ host: of, path: at }) => `${of} ${at}`,
  });
  fc.assert(
    fc.property(sets, asked, fc.constantFrom('api.example.com', 'b.example.com', 'x'), (set, at, of) => {
      const written = set.map((each, index) => ({
        name: `r${index}`,
        path: each.path,
        ...(each.host === undefined ? {} : { host: each.host }),
      }));
      const compiled = compileRouteTable(written.map(route), [{ name: 'public' }]);
      fc.pre('table' in compiled);
      const backwards = compileRouteTable(written.toReversed().map(route), [{ name: 'public' }]);
      assert.ok('table' in compiled && 'table' in backwards);
      assert.equal(chosen(compiled.table, at, { host: of }), chosenSlowly(written, of, at));
      assert.equal(chosen(backwards.table, at, { host: of }), chosen(compiled.table, at, { host: of }));
    }),
    { numRuns: 500 },
  );
});

test('two pairs of routes that are ambiguous are told apart, each once', () => {
  const found = ambiguitiesOf(
    { name: 'a', path: '/a' },
    { name: 'b', path: '/a' },
    { name: 'c', path: '/c' },
    { name: 'd', path: '/c' },
  );
  assert.deepEqual(found, ['b and a: both take every method', 'd and c: both take every method']);
});
