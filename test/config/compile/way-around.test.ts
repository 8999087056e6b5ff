// Warnings of routes that a client chooses in place of stricter ones.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { warningsOf } from '../../support/policies.ts';

const WEAK = 'require: token, weaker_than_defaults: [require]';

interface Wishes {
  readonly fallThrough?: boolean;
  readonly upstreams?: string;
}

/** Of routes given as `name | match | rest`, the names of those that are warned of, with the stricter ones. */
function chosenInstead(routes: readonly string[], { fallThrough = false, upstreams }: Wishes = {}): readonly string[] {
  const written = routes.map((each) => {
    const [name = '', match = '', rest = ''] = each.split(' | ');
    const upstream = rest.includes('upstream:') ? '' : ', upstream: orders';
    return `- { name: ${name}, match: { ${match} }${upstream}${rest === '' ? '' : `, ${rest}`} }`;
  });
  const warnings = warningsOf({
    routes: written.join('\n'),
    listeners: `- { name: public, bind: "127.0.0.1:0", origins: ["http://localhost:8080"], fall_through: ${fallThrough} }`,
    ...(upstreams && { upstreams }),
  });
  return warnings.flatMap((text) => {
    const [, at, strict] =
      /^routes\[(\d+)\]\.match: can be had in place of (.*) by what a client writes/.exec(text) ?? [];
    return at === undefined ? [] : [`${routes[Number(at)]?.split(' ')[0]}: ${strict}`];
  });
}

describe('in one group', () => {
  test('a weak route is warned of, whichever of the two asks for a field', () => {
    const strict = 'strict | path: /orders/*';
    assert.deepEqual(chosenInstead([strict, `weak | path: /orders/*, headers: { X-Env: a } | ${WEAK}`]), [
      'weak: strict',
    ]);
    assert.deepEqual(
      chosenInstead(['strict | path: /orders/*, headers: { X-Env: a }', `weak | path: /orders/* | ${WEAK}`]),
      ['weak: strict'],
    );
    assert.deepEqual(chosenInstead([strict, `weak | path: /orders/*, query: { a: b } | ${WEAK}`]), ['weak: strict']);
  });

  test('less scope is less, too; the same demand, other methods and another upstream are fine', () => {
    const canary = 'canary | path: /orders/*, headers: { X-Env: a }';
    assert.deepEqual(chosenInstead(['strict | path: /orders/* | scope: [a]', canary]), ['canary: strict']);
    assert.deepEqual(chosenInstead(['strict | path: /orders/* | scope: [a]', `${canary} | scope: [b]`]), []);
    assert.deepEqual(chosenInstead(['strict | path: /orders/*', canary]), []);
    const writes = 'strict | path: /orders/*, methods: [POST]';
    assert.deepEqual(
      chosenInstead([writes, `weak | path: /orders/*, methods: [GET], headers: { A: b } | ${WEAK}`]),
      [],
    );
    const upstreams = 'orders: { targets: ["http://127.0.0.1:1"] }\nother: { targets: ["http://127.0.0.1:2"] }';
    assert.deepEqual(
      chosenInstead(['strict | path: /*', `weak | path: /*, headers: { A: b } | upstream: other, ${WEAK}`], {
        upstreams,
      }),
      [],
    );
  });
});

describe('between paths', () => {
  const routes = [`all | path: /* | ${WEAK}`, 'admin | path: /admin/*, headers: { X-Env: a }'];

  test('without fall_through a group leaves nothing to others', () => {
    assert.deepEqual(chosenInstead(routes), []);
  });

  test('with fall_through what a strict route does not fit goes to a weak one', () => {
    assert.deepEqual(chosenInstead(routes, { fallThrough: true }), ['all: admin']);
    assert.deepEqual(chosenInstead([`all | path: /* | ${WEAK}`, 'admin | path: /admin/*'], { fallThrough: true }), []);
  });

  test('with fall_through so do methods that a strict path does not take, which were 405 without it', () => {
    const admin = 'admin | path: /admin/*, methods: [GET, POST]';
    const all = `all | path: /* | ${WEAK}`;
    assert.deepEqual(chosenInstead([all, admin], { fallThrough: true }), ['all: admin']);
    assert.deepEqual(chosenInstead([all, admin]), []);
    const reads = `reads | path: /*, methods: [GET] | ${WEAK}`;
    assert.deepEqual(chosenInstead([reads, admin], { fallThrough: true }), []);
    const rest = 'rest | path: /admin/*, methods: [DELETE]';
    const writes = `writes | path: /*, methods: [POST, DELETE] | ${WEAK}`;
    assert.deepEqual(chosenInstead([writes, admin, rest], { fallThrough: true }), []);
    assert.deepEqual(chosenInstead([writes, admin], { fallThrough: true }), ['writes: admin']);
    const between = 'between | path: /admin/*';
    assert.deepEqual(
      chosenInstead([all, 'deep | path: /admin/x/*, methods: [GET]', between], { fallThrough: true }),
      [],
    );
  });

  test('with fall_through a weak route for some fields below a strict path is one, too', () => {
    const weak = `weak | path: /admin/debug/*, headers: { X-Debug: a } | ${WEAK}`;
    assert.deepEqual(chosenInstead(['admin | path: /admin/*', weak], { fallThrough: true }), ['weak: admin']);
  });
});
