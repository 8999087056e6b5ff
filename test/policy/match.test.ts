// Matches by fields and query: what fits, what comes first, what is left to others.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AskedParts, type RouteMatch, unmetCondition } from '../../src/policy/match.ts';
import type { Route, RouteTable } from '../../src/policy/policy.ts';
import { chooseRoute, compileRouteTable, isDisguised } from '../../src/policy/route-table.ts';
import { Rejection } from '../../src/rejection/rejection.ts';
import { makeFacts } from '../support/facts.ts';

interface Written {
  readonly name: string;
  readonly path?: string;
  readonly host?: string;
  readonly methods?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly encodedSlash?: boolean;
}

const conditions = (written: Readonly<Record<string, string>> | undefined) =>
  written && Object.entries(written).map(([name, value]) => ({ name, value }));

function route({ name, path = '/*', host, methods, headers, query, encodedSlash = false }: Written): Route {
  const asked = { headers: conditions(headers), query: conditions(query) };
  const match: RouteMatch = { listeners: undefined, host, path, methods, ...asked };
  return { name, match, encodedSlash } as Route;
}

function compile(written: readonly Written[], fallThrough = false) {
  return compileRouteTable(written.map(route), [{ name: 'public', fallThrough }]);
}

function tableOf(written: readonly Written[], fallThrough = false): RouteTable {
  const compiled = compile(written, fallThrough);
  assert.ok('table' in compiled, `unexpectedly ambiguous: ${JSON.stringify(compiled)}`);
  return compiled.table;
}

interface Asking {
  readonly method?: string;
  readonly host?: string;
  readonly fields?: readonly string[];
  readonly query?: string | undefined;
  readonly encodedSlash?: boolean;
}

const asked = (path: string, { method = 'GET', host = 'api.example.com', fields = [], query, encodedSlash }: Asking) =>
  makeFacts({
    method,
    path,
    matchPath: path,
    query,
    origin: { scheme: 'https', authority: host, pathPrefix: '' },
    message: { rawHeaders: fields },
    encodedSlash: encodedSlash ?? false,
  });

/** Name of the route, or reason and what of the refusal. */
function chosen(table: RouteTable, path: string, asking: Asking = {}): string {
  const choice = chooseRoute(table, asked(path, asking));
  return choice instanceof Rejection ? `${choice.reason}: ${choice.facts.what}` : choice.name;
}

describe('a condition on a field', () => {
  const table = tableOf([{ name: 'canary', headers: { 'x-env': 'canary' } }, { name: 'stable' }]);
  const withFields = (...fields: string[]) => chosen(table, '/a', { fields });

  test('fits the exact value under any spelling of the name, and nothing near it', () => {
    assert.equal(withFields('X-Env', 'canary'), 'canary');
    assert.equal(withFields('x-ENV', 'canary'), 'canary');
    for (const value of [
      'Canary',
      'canary,',
      'canary, canary',
      '',
      'canar',
      'canary\xa0',
      '"canary"',
      'canary;q=1',
      'cana\xffry',
    ])
      assert.equal(withFields('X-Env', value), 'stable', value);
    for (const name of ['X-Envy', 'X-Enw', 'Env', 'X-En']) assert.equal(withFields(name, 'canary'), 'stable', name);
    for (const name of ['X_Env', 'X-Env-', 'XEnv', 'x.env'])
      assert.equal(withFields(name, 'other'), 'field_forbidden: x-env', name);
    assert.equal(withFields('X-Env', 'canary', 'Connection', 'close, X-ENV'), 'field_forbidden: Connection');
    assert.equal(withFields('canary', 'X-Env'), 'stable', 'a value is no name');
    assert.equal(withFields(), 'stable');
  });

  test('takes blanks off the ends of a value, and joins the lines of one name', () => {
    assert.equal(withFields('X-Env', ' \tcanary \t'), 'canary');
    assert.equal(withFields('X-Env', 'canary', 'X-Other', 'a', 'x-env', 'canary'), 'stable');
    const joined = tableOf([{ name: 'both', headers: { 'x-env': 'a, b' } }, { name: 'rest' }]);
    assert.equal(chosen(joined, '/a', { fields: ['X-Env', 'a', 'X-ENV', 'b'] }), 'both');
    assert.equal(chosen(joined, '/a', { fields: ['X-Env', 'a, b'] }), 'both');
    assert.equal(chosen(joined, '/a', { fields: ['X-Env', 'b', 'X-ENV', 'a'] }), 'rest');
    assert.equal(chosen(joined, '/a', { fields: ['X-Env', 'a,b'] }), 'rest', 'exact: one blank after the comma');
    assert.equal(chosen(joined, '/a', { fields: ['X-Env', 'a', 'X-Env', ''] }), 'rest');
  });

  test('names of object members are names like any other', () => {
    const odd = tableOf([{ name: 'odd', headers: { constructor: 'x' } }, { name: 'rest' }]);
    assert.equal(chosen(odd, '/a'), 'rest');
    assert.equal(chosen(odd, '/a', { fields: ['Constructor', 'x'] }), 'odd');
  });

  test('says which one is not met, and what came', () => {
    const { match } = route({ name: 'a', headers: { 'x-a': '1', 'x-b': '2' }, query: { c: '3' } });
    const unmet = (fields: string[], query?: string) =>
      unmetCondition(match, new AskedParts({ message: { rawHeaders: fields }, query }));
    assert.deepEqual(unmet(['X-A', '1']), { name: 'x-b', value: '2', of: 'fields', received: undefined });
    assert.deepEqual(unmet(['X-A', '1', 'X-B', '2'], 'c=4'), { name: 'c', value: '3', of: 'query', received: '4' });
    assert.equal(unmet(['X-A', '1', 'X-B', '2'], 'c=3'), undefined);
  });
});

describe('a condition on the query', () => {
  const table = tableOf([{ name: 'two', query: { 'api version': '2 b' } }, { name: 'one' }]);
  const withQuery = (query: string | undefined) => chosen(table, '/a', { query });

  test('is decoded as a form is: plus and %20 are blanks, in names and values', () => {
    for (const query of [
      'api+version=2+b',
      'api%20version=2%20b',
      '%61pi+version=%32+b',
      'x=1&api+version=2+b&y',
      '&&api+version=2+b',
    ])
      assert.equal(withQuery(query), 'two', query);
  });

  test('the first of several counts, ";" separates nothing, and a second "?" is part of the name', () => {
    assert.equal(withQuery('api+version=1&api+version=2+b'), 'one');
    assert.equal(withQuery('api+version=2+b&api+version=1'), 'two');
    for (const query of [
      'x=1;api+version=2+b',
      '?api+version=2+b',
      'api+version=2+b;',
      'API+version=2+b',
      'api+version=2%2Bb',
      'api+version[]=2+b',
      'api+version=2+b%00',
      'api%2520version=2+b',
      'api+version',
      '',
    ])
      assert.equal(withQuery(query), 'one', query);
    assert.equal(withQuery(undefined), 'one');
  });

  test('an empty value is a value, with and without "="', () => {
    const debug = tableOf([{ name: 'debug', query: { debug: '' } }, { name: 'rest' }]);
    for (const query of ['debug', 'debug=', 'a&debug']) assert.equal(chosen(debug, '/a', { query }), 'debug', query);
    for (const query of ['debug=1', 'Debug', '']) assert.equal(chosen(debug, '/a', { query }), 'rest', query);
  });
});

describe('the order in one group', () => {
  test('is methods named, more fields, more parameters, then the order of writing', () => {
    const table = tableOf(
      [
        { name: 'none' },
        { name: 'query', query: { q: '1' } },
        { name: 'field', headers: { a: '1' } },
        { name: 'other field', headers: { b: '1' } },
        { name: 'fields', headers: { a: '1', b: '1' } },
        { name: 'method', methods: ['PATCH'] },
      ],
      true,
    );
    const fields = ['A', '1', 'B', '1'];
    assert.equal(chosen(table, '/a', { fields, query: 'q=1' }), 'fields');
    assert.equal(chosen(table, '/a', { fields, query: 'q=1', method: 'PATCH' }), 'method');
    assert.equal(chosen(table, '/a', { fields: ['A', '1'], query: 'q=1' }), 'field');
    assert.equal(chosen(table, '/a', { fields: ['B', '1'], query: 'q=1' }), 'other field');
    assert.equal(chosen(table, '/a', { query: 'q=1' }), 'query');
    assert.equal(chosen(table, '/a'), 'none');
  });

  test('two routes that ask the same and share a method are ambiguous, in whatever order they ask', () => {
    const same = [
      { name: 'a', headers: { a: '1', b: '2' }, methods: ['GET'] },
      { name: 'b', headers: { b: '2', a: '1' } },
    ];
    const compiled = compile(same);
    assert.ok('ambiguities' in compiled);
    assert.deepEqual(
      compiled.ambiguities.map(({ why }) => why),
      ['both take GET'],
    );
    assert.ok('table' in compile(same, true), 'with fall_through the one that names methods comes first');
    assert.ok(
      'table' in
        compile([
          { name: 'a', headers: { a: '1' } },
          { name: 'b', headers: { a: '2' } },
        ]),
    );
    assert.ok('ambiguities' in compile([{ name: 'a' }, { name: 'b' }], true));
  });
});

describe('where no route of a group fits', () => {
  const written: readonly Written[] = [
    { name: 'all' },
    { name: 'admin', path: '/admin/*', methods: ['GET'], headers: { 'x-env': 'canary' } },
    { name: 'users', path: '/admin/users', methods: ['POST'] },
  ];

  test('the group is final: 405 for the method, 404 for fields or query, and never a less specific path', () => {
    const table = tableOf(written);
    assert.equal(chosen(table, '/admin/1', { fields: ['X-Env', 'canary'] }), 'admin');
    assert.equal(chosen(table, '/admin/1'), 'route_not_found: fields');
    assert.equal(chosen(table, '/admin/1', { method: 'PUT' }), 'method_not_allowed: method');
    assert.equal(chosen(table, '/admin/users'), 'method_not_allowed: method');
    const byQuery = tableOf([{ name: 'two', query: { version: '2' } }]);
    assert.equal(chosen(byQuery, '/a'), 'route_not_found: query');
    const refused = chooseRoute(table, asked('/admin/1', {}));
    assert.ok(refused instanceof Rejection);
    assert.deepEqual(
      refused.facts,
      { what: 'fields', expected: ['x-env'] },
      'and no value, of the policy or of the request',
    );
  });

  test('with fall_through the next less specific path of the same host takes it, in the end 404', () => {
    const table = tableOf(written, true);
    assert.equal(chosen(table, '/admin/1', { fields: ['X-Env', 'canary'] }), 'admin');
    for (const path of ['/admin/1', '/admin/users', '/admin']) assert.equal(chosen(table, path), 'all', path);
    assert.equal(chosen(table, '/admin/users', { fields: ['X-Env', 'canary'] }), 'admin');
    const narrow = tableOf(written.slice(1), true);
    assert.equal(chosen(narrow, '/admin/users', { method: 'PUT' }), 'route_not_found: method');
    assert.equal(chosen(narrow, '/admin/users'), 'route_not_found: fields');
    assert.equal(chosen(narrow, '/other'), 'route_not_found: path');
  });

  test('TRACE and CONNECT stay 405 wherever they fall', () => {
    for (const method of ['TRACE', 'CONNECT'])
      assert.equal(chosen(tableOf(written, true), '/admin/users', { method }), 'method_not_allowed: method');
  });

  test('with fall_through a host is final: what its paths do not take is not given to a wider host', () => {
    const hosts = [
      { name: 'own', host: 'api.example.com', path: '/orders' },
      { name: 'wide', host: '*.example.com' },
      { name: 'every' },
    ];
    assert.equal(chosen(tableOf(hosts, true), '/x'), 'route_not_found: path');
    assert.equal(chosen(tableOf(hosts, true), '/x', { host: 'www.example.com' }), 'wide');
    assert.equal(chosen(tableOf(hosts, false), '/x'), 'wide');
  });
});

describe('a path that means two things, with fall_through', () => {
  const table = tableOf(
    [
      { name: 'all', encodedSlash: true },
      { name: 'admin', path: '/admin/*', headers: { 'x-env': 'canary' } },
      { name: 'users', path: '/admin/users/*' },
      { name: 'files', path: '/files/*', headers: { 'x-env': 'canary' }, encodedSlash: true },
    ],
    true,
  );
  const canary = { fields: ['X-Env', 'canary'], encodedSlash: true };

  test('is refused where the other reading belongs to a more specific route', () => {
    assert.equal(chosen(table, '/admin%2Fx', canary), 'request_malformed: encoded delimiter');
    assert.equal(chosen(table, '/admin%2Fusers%2F1', { encodedSlash: true }), 'request_malformed: encoded delimiter');
    assert.equal(chosen(table, '/admin%3Bx/users', { encodedSlash: true }), 'request_malformed: encoded delimiter');
  });

  test('is judged by the route that takes it, and not by the group that it fell out of', () => {
    assert.equal(chosen(table, '/files/a%2Fb', { encodedSlash: true }), 'all', 'both readings fall to the same route');
    assert.equal(chosen(table, '/files/a%2Fb', canary), 'files');
    // The longest path is left for want of its field; /x/* takes neither this reading nor the other, /* only this one.
    const longer = tableOf(
      [
        { name: 'all', encodedSlash: true },
        { name: 'long', path: '/*/b/c/*', headers: { 'x-env': 'canary' }, encodedSlash: true },
        { name: 'strict', path: '/x/y/*' },
      ],
      true,
    );
    assert.equal(chosen(longer, '/x%2Fy/b/c', { encodedSlash: true }), 'request_malformed: encoded delimiter');
    assert.equal(isDisguised(longer, asked('/x%2Fy/b/c', { encodedSlash: true })), true);
    assert.equal(chosen(longer, '/x%2Fy/b/c', canary), 'long', 'the most specific path of all');
  });

  test('a more specific host counts more than a longer path', () => {
    const hosts = tableOf([
      { name: 'admin', host: 'api.example.com', path: '/admin/*' },
      { name: 'wide', host: '*.example.com', path: '/*/users/list' },
    ]);
    assert.equal(chosen(hosts, '/admin%3Bx/users/list'), 'request_malformed: encoded delimiter');
    assert.equal(chosen(hosts, '/other/users/list'), 'wide');
  });
});

/** The rules once more, slowly: every route that fits, sorted. */
function chosenSlowly(written: readonly Written[], path: string, { method = 'GET', fields = [], query = '' }: Asking) {
  const fits = ({ path: pattern = '/*', methods, headers = {}, query: wanted = {} }: Written) => {
    const below = pattern.endsWith('/*');
    const fixed = below ? pattern.slice(0, -2) : pattern;
    const onPath = below ? path === fixed || path.startsWith(`${fixed}/`) : path === fixed;
    const sent = new Map(fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1]] as const] : [])));
    const parameters = new URLSearchParams(query);
    return (
      onPath &&
      (methods?.includes(method) ?? true) &&
      Object.entries(headers).every(([name, value]) => sent.get(name) === value) &&
      Object.entries(wanted).every(([name, value]) => parameters.get(name) === value)
    );
  };
  const weigh = ({ path: pattern = '/*', methods, headers = {}, query: wanted = {} }: Written) => [
    pattern.replace(/\/\*$/, '').split('/').length,
    pattern.endsWith('/*') ? 0 : 1,
    methods === undefined ? 0 : 1,
    Object.keys(headers).length,
    Object.keys(wanted).length,
  ];
  const [first] = written.filter(fits).toSorted((one, two) => {
    const [ours, theirs] = [weigh(one), weigh(two)];
    const place = ours.findIndex((value, at) => value !== theirs[at]);
    return place === -1 ? 0 : (theirs[place] ?? 0) - (ours[place] ?? 0);
  });
  return first?.name;
}

test('for any set of routes with fall_through, the choice is the one that the rules of the Gateway API name', () => {
  const path = fc.constantFrom('/*', '/a', '/a/*', '/a/b', '/a/b/*');
  const some = fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.constantFrom('1', '2'), { maxKeys: 2 });
  const written = fc.record({
    path,
    methods: fc.option(fc.subarray(['GET', 'POST', 'PUT'], { minLength: 1 }), { nil: undefined }),
    headers: fc.option(some, { nil: undefined }),
    query: fc.option(some, { nil: undefined }),
  });
  const asking = fc.record({
    method: fc.constantFrom('GET', 'POST', 'DELETE'),
    fields: some.map((fields) => Object.entries(fields).flat()),
    query: some.map((query) => new URLSearchParams(query).toString()),
  });
  let found = 0;
  fc.assert(
    fc.property(
      fc.array(written, { maxLength: 10 }),
      fc.constantFrom('/', '/a', '/a/', '/a/b', '/a/b/c', '/x'),
      asking,
      (set, at, request) => {
        const named = set.map(({ methods, headers, query, ...each }, index) => ({
          ...each,
          name: `r${index}`,
          ...(methods && { methods }),
          ...(headers && { headers }),
          ...(query && { query }),
        }));
        const compiled = compile(named, true);
        fc.pre('table' in compiled);
        const choice = chosen(compiled.table, at, request);
        const expected = chosenSlowly(named, at, request);
        if (expected !== undefined) found += 1;
        assert.equal(choice.startsWith('route_not_found') ? undefined : choice, expected);
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(found > 500, `only ${found} requests had a route`);
});
