// Incremental compilations against whole ones, after random edits.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Loaded, loadDocument } from '../../src/cli/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { Kept } from '../../src/config/kept.ts';
import { describeChanges } from '../../src/config/report/changes.ts';
import { makeCa } from '../support/pki.ts';

const CA = (await makeCa()).cert;
const OTHER_CA = (await makeCa()).cert;

/** Data whose shape the test knows. */
type Loose = ReturnType<typeof JSON.parse>;

const route = (index: number): Loose => ({
  name: `r${index}`,
  match: { listeners: ['https'], host: `h${index % 3}.example.com`, path: `/r${index}/*` },
  upstream: `u${index % 4}`,
  ...(index % 2 === 0 ? { require: 'dpop', scope: [`s${index}`] } : {}),
});

const initial = (): Loose => ({
  version: 1,
  listeners: [{ name: 'https', bind: '127.0.0.1:8443', origins: ['http://*.example.com', 'http://example.com'] }],
  issuers: { login: { issuer: 'https://login.example.com', audience: ['https://api.example.com'], ca_file: CA } },
  rate_limits: { some: { key: 'client', rate: '10/s', burst: 5 } },
  defaults: { require: 'token' },
  upstreams: Object.fromEntries(
    [0, 1, 2, 3].map((index) => [
      `u${index}`,
      index === 3
        ? { targets: [`https://10.0.0.${index}`], tls: { ca_file: CA } }
        : { targets: [`http://127.0.0.1:900${index}`] },
    ]),
  ),
  routes: [0, 1, 2, 3, 4, 5, 6, 7].map(route),
});

/** Numbers that look random and are the same in each run. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

type Edit = (data: Loose, dice: Dice) => void;
const someRoute = (data: Loose, dice: Dice): Loose => dice.of(data.routes);

/** Each is right or wrong depending on what is there, and each can be taken back by another one. */
const EDITS: Readonly<Record<string, Edit>> = {
  'a demand': (data, dice) =>
    (someRoute(data, dice).require = dice.of(['dpop', 'token', 'public', 'mtls', 'nonsense'])),
  'a scope': (data, dice) => (someRoute(data, dice).scope = dice.of([['a'], ['b', 'c'], 'wrong', undefined])),
  'a weaker demand that is named': (data, dice) => {
    const one = someRoute(data, dice);
    [one.require, one.scope, one.weaker_than_defaults] = ['public', undefined, dice.of([['require'], undefined])];
  },
  'an upstream by name': (data, dice) => (someRoute(data, dice).upstream = dice.of(['u0', 'u1', 'u2', 'u3', 'u4'])),
  'shares without weight': (data, dice) => {
    const one = someRoute(data, dice);
    if (one.upstreams === undefined)
      [one.upstream, one.upstreams] = [undefined, [{ name: 'u1', weight: dice.below(2) }]];
    else [one.upstream, one.upstreams] = ['u1', undefined];
  },
  'a path': (data, dice) =>
    (someRoute(data, dice).match.path = dice.of(['/r1/*', '/R2/*', '/*', '/new', '/a/*/b', 'bad'])),
  'a host': (data, dice) =>
    (someRoute(data, dice).match.host = dice.of(['h0.example.com', '*.example.com', 'x.test', undefined])),
  'fields asked for': (data, dice) =>
    (someRoute(data, dice).match.headers = dice.of([{ 'X-Env': 'a' }, { Forwarded: 'a' }, undefined])),
  'fields set': (data, dice) =>
    (someRoute(data, dice).request_fields = dice.of([{ set: { 'X-A': '1' } }, { set: { Host: 'a' } }, undefined])),
  'a name': (data, dice) => (someRoute(data, dice).name = dice.of(['r1', 'r2', 'other', '-'])),
  'an unknown key': (data, dice) => (someRoute(data, dice).nonsense = dice.of([1, undefined])),
  'a rate limit': (data, dice) => (someRoute(data, dice).rate_limit = dice.of(['some', 'none', undefined])),
  'something to fill in': (data, dice) =>
    (someRoute(data, dice).audience = dice.of([['$${A}'], ['${A:-b}'], ['${A}'], ['${'], undefined])),
  'a key with a substitution': (data, dice) =>
    (someRoute(data, dice).claims = dice.of([{ '${A:-b}': 'x' }, { a: 1 }, undefined])),
  'a shadow': (data, dice) =>
    (someRoute(data, dice).shadow = dice.of([
      { require: 'dpop' },
      { require: 'mtls', dpop: { max_age: '30s' } },
      { require: 'dpop', signature: { tag: 'a' } },
      undefined,
    ])),
  'rules of proofs': (data, dice) =>
    (someRoute(data, dice).dpop = dice.of([{ max_age: '30s' }, { nonce: 'on-skew' }, { max_age: '0s' }, undefined])),
  'a message signature': (data, dice) =>
    (someRoute(data, dice).signature = dice.of([{ components: ['content-digest'] }, { max_age: '20s' }, undefined])),
  'copies for a mirror': (data, dice) =>
    (someRoute(data, dice).mirror = dice.of([[{ upstream: 'u2', percent: 10 }], [{ upstream: 'u4' }], undefined])),
  'sending again': (data, dice) =>
    (someRoute(data, dice).retries = dice.of([{ codes: [503], attempts: 2 }, { codes: [200] }, undefined])),
  'an answer of the route': (data, dice) => {
    const one = someRoute(data, dice);
    if (one.upstream === undefined) [one.upstream, one.respond, one.redirect] = ['u1', undefined, undefined];
    else [one.upstream, one.respond] = [dice.of([undefined, 'u1']), { status: 410, body: 'gone' }];
  },
  'a redirect': (data, dice) => {
    const one = someRoute(data, dice);
    if (one.upstream === undefined) [one.upstream, one.respond, one.redirect] = ['u1', undefined, undefined];
    else [one.upstream, one.redirect] = [undefined, { host: dice.of(['a.example.com', 'h0.example.com']) }];
  },
  'a rewrite': (data, dice) =>
    (someRoute(data, dice).rewrite = dice.of([{ strip_prefix: '/r1' }, { prefix: '/new' }, { path: 'x' }, undefined])),
  'times of a route': (data, dice) =>
    (someRoute(data, dice).timeouts = dice.of([{ connect: '1s' }, { total: 'none' }, { idle: 'long' }, undefined])),
  'limits of a route': (data, dice) =>
    (someRoute(data, dice).limits = dice.of([{ request_body: '1KiB' }, { request_body: 'none' }, undefined])),
  'pages that may call': (data, dice) =>
    (someRoute(data, dice).cors = dice.of([
      { origins: ['https://app.example.com'] },
      { origins: ['https://app.example.com/'] },
      undefined,
    ])),
  'a resource': (data, dice) =>
    (someRoute(data, dice).resource = dice.of([
      { identifier: 'https://h0.example.com/r' },
      { identifier: 'https://elsewhere.example.net/' },
      undefined,
    ])),
  'who may have issued': (data, dice) =>
    (someRoute(data, dice).issuers = dice.of([['login'], ['two'], ['login', 'two'], undefined])),
  'times of the floor': (data, dice) => (data.defaults.timeouts = dice.of([{ connect: '2s' }, undefined])),
  'the CA of an issuer': (data, dice) => (data.issuers.login.ca_file = dice.of([CA, OTHER_CA, undefined])),
  'algorithms of an issuer': (data, dice) =>
    (data.issuers.login.algorithms = dice.of([['ES256'], ['none'], undefined])),
  'an exchange of tokens': (data, dice) => {
    const one = someRoute(data, dice);
    one.forward = dice.of([{ authorization: 'exchange', token_exchange: { audience: ['a'] } }, undefined]);
    data.issuers.login.token_exchange = dice.of([{ client_id: 'gw', client_secret_file: 'none' }, undefined]);
  },
  'the lifetime of nonces': (data, dice) =>
    (data.nonce = dice.of([{ lifetime: '60s' }, { lifetime: '0s' }, undefined])),
  'where problems are explained': (data, dice) =>
    (data.problem_base = dice.of(['https://example.com/problems/', undefined])),
  'routes in another order': (data, dice) =>
    data.routes.splice(dice.below(3), 0, ...data.routes.splice(dice.below(data.routes.length), 1)),
  'a route gone': (data, dice) => data.routes.length > 3 && data.routes.splice(dice.below(data.routes.length), 1),
  'a route more': (data, dice) => data.routes.splice(dice.below(data.routes.length), 0, route(dice.below(12))),
  'a route twice': (data, dice) => data.routes.push(structuredClone(someRoute(data, dice))),
  'a target': (data, dice) =>
    (data.upstreams[dice.of(['u0', 'u1', 'u2'])] = {
      targets: [dice.of(['http://127.0.0.1:1', 'http://10.0.0.9:1', 'ftp://x'])],
    }),
  'an upstream with a warning': (data) => (data.upstreams.u1 = { targets: [] }),
  'an upstream more or less': (data) =>
    data.upstreams.u4 === undefined
      ? (data.upstreams.u4 = { targets: ['http://127.0.0.1:1'] })
      : delete data.upstreams.u4,
  'the CA of an upstream': (data, dice) =>
    (data.upstreams.u3.tls = { ca_file: dice.of([CA, OTHER_CA, '-----BEGIN nothing']) }),
  'the floor': (data, dice) =>
    (data.defaults = dice.of([
      { require: 'token' },
      { require: 'dpop' },
      { require: 'public' },
      { require: 'token', dpop: { nonce: 'required' } },
    ])),
  'fields of the floor': (data, dice) =>
    (data.defaults.forward = dice.of([
      { identity: { 'X-User': 'sub' } },
      { identity: { 'X-A': 'sub', 'X-Env': 'sub' } },
      { remove: ['X-Env'] },
      undefined,
    ])),
  'an issuer': (data, dice) => (data.issuers.login.audience = dice.of([['https://api.example.com'], ['other']])),
  'an issuer more or less': (data) =>
    data.issuers.two === undefined
      ? (data.issuers.two = { issuer: 'https://two.example.com', audience: ['a'] })
      : delete data.issuers.two,
  'a limit': (data, dice) => (data.rate_limits.some.key = dice.of(['client', 'address', 'thumbprint'])),
  'a listener': (data, dice) =>
    (data.listeners[0].origins = dice.of([['http://*.example.com'], ['http://h0.example.com'], []])),
  'a listener that falls through': (data, dice) => (data.listeners[0].fall_through = dice.of([true, false])),
  'a listener that decides': (data, dice) => (data.listeners[0].mode = dice.of(['proxy', 'proxy', 'decide'])),
  'the field of the request id': (data, dice) => (data.request_id = dice.of(['X-Request-Id', 'X-Env', 'none'])),
};

function outcome(loaded: Loaded): object {
  if ('problems' in loaded) return { problems: loaded.problems.map(formatProblem) };
  return { policy: loaded.policy, warnings: loaded.warnings.map(formatProblem), config: loaded.read.config };
}

describe('what is kept over reloads', () => {
  test('means the same as all of it read again, over random sequences of edits', (t) => {
    const kinds = Object.keys(EDITS);
    const met = { good: 0, wrong: 0 };
    for (let seed = 1; seed <= 8; seed++) {
      const [dice, kept] = [new Dice(seed), new Kept()];
      let data = initial();
      const story: string[] = [];
      for (let step = 0; step < 25; step++) {
        const before = structuredClone(data);
        const kind = dice.of(kinds);
        EDITS[kind]?.(data, dice);
        story.push(kind);
        const text = JSON.stringify(data);
        const [whole, incremental] = [loadDocument(text, 'secret a/b'), loadDocument(text, 'secret a/b', kept)];
        assert.deepStrictEqual(outcome(incremental), outcome(whole), `seed ${seed}: ${story.join(', ')}`);
        met['policy' in whole ? 'good' : 'wrong'] += 1;
        // Errors are mended now and then, or there would be nothing else after some edits.
        if ('problems' in whole && dice.below(5) > 0) data = before;
      }
    }
    t.diagnostic(`${met.good} good ones, ${met.wrong} with problems`);
    assert.ok(met.good > 40 && met.wrong > 40, 'both were met');
  });

  test('each edit is met where nothing else is wrong, with the changes that are told', () => {
    for (const [kind, edit] of Object.entries(EDITS)) {
      for (let seed = 1; seed <= 2; seed++) {
        const kept = new Kept();
        const data = initial();
        const load = (memory?: Kept) => loadDocument(JSON.stringify(data), 'secret a/b', memory);
        const [before, old] = [load(kept), load()];
        edit(data, new Dice(seed));
        const [after, fresh] = [load(kept), load()];
        assert.deepStrictEqual(outcome(after), outcome(fresh), kind);
        if (!('policy' in before && 'policy' in after && 'policy' in old && 'policy' in fresh)) continue;
        assert.deepEqual(describeChanges(before.policy, after.policy), describeChanges(old.policy, fresh.policy), kind);
      }
    }
  });

  test('an edit of one route leaves all others the objects that they were, wherever they stand', () => {
    const kept = new Kept();
    const data = initial();
    const policy = () => {
      const loaded = loadDocument(JSON.stringify(data), 'secret a/b', kept);
      assert.ok('policy' in loaded, JSON.stringify(outcome(loaded)));
      return loaded.policy;
    };
    const byName = () => new Map(policy().routes.map((one) => [one.name, one]));
    const first = byName();
    data.routes[4].scope = ['another'];
    data.routes.unshift(route(11));
    data.routes.reverse();
    const second = byName();
    const made = [...second].filter(([name, one]) => first.get(name) !== one).map(([name]) => name);
    assert.deepEqual(made, ['r4', 'r11']);
    data.upstreams.u1.targets = ['http://127.0.0.1:1'];
    const third = byName();
    const moved = [...third].filter(([name, one]) => second.get(name) !== one).map(([name]) => name);
    assert.deepEqual(moved.toSorted(), ['r1', 'r5'], 'those of the upstream; u3 has a CA that is looked at each time');
  });

  test('nesting without end is refused', () => {
    const text = `{"version":${'['.repeat(5000)}${']'.repeat(5000)}}`;
    for (const kept of [undefined, new Kept()])
      assert.match(JSON.stringify(outcome(loadDocument(text, 'secret a/b', kept))), /nested too deeply/);
  });

  test('a key that is repeated is refused as in a file, whichever value stands last and however it is spelled', () => {
    const text = JSON.stringify(initial());
    const open = (written: string) => text.replace('"require":"dpop"', written);
    for (const written of [
      '"require":"dpop","require":"public"',
      '"require":"public","require":"dpop"',
      '"require":"dpop","r\\u0065quire":"public"',
    ]) {
      assert.notEqual(open(written), text);
      for (const kept of [undefined, new Kept()])
        assert.match(JSON.stringify(outcome(loadDocument(open(written), 'secret a/b', kept))), /is written twice/);
    }
    const spaced = JSON.stringify(initial(), undefined, 2);
    assert.ok('policy' in loadDocument(spaced, 'secret a/b'), 'spaces are no fault');
  });
});
