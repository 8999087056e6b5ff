// CORS: preflights for listed origins only, as narrow as their routes, never `*`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { corsFields, preflightAnswer } from '../../../src/edge/intake/cors.ts';
import type { CorsRules, Route } from '../../../src/policy/policy.ts';
import { compileRouteTable, groupOf, type PreflightReach, preflightReach } from '../../../src/policy/route-table.ts';
import { Rejection } from '../../../src/rejection/rejection.ts';
import { makeFacts } from '../../support/facts.ts';

const APP = 'https://app.example.com';
const RULES: CorsRules = { origins: [APP], expose: ['X-Total'], maxAge: 600.5, credentials: false };

function route(cors: CorsRules | undefined, methods: readonly string[] | undefined, requirement = 'dpop'): Route {
  return { cors, match: { path: '/orders/*', methods }, demand: { requirement } } as Route;
}

/** Where a preflight for /orders/1 leads. */
function group(...routes: readonly Route[]): PreflightReach {
  return reachOf(routes, { fallThrough: false });
}

function reachOf(routes: readonly Route[], { fallThrough }: { readonly fallThrough: boolean }): PreflightReach {
  const compiled = compileRouteTable(routes, [{ name: 'public', fallThrough }]);
  assert.ok('table' in compiled);
  const facts = makeFacts({ method: 'OPTIONS' });
  return preflightReach(compiled.table, facts, groupOf(compiled.table, facts) ?? assert.fail());
}

function ask(of: PreflightReach, method = 'POST', fieldNames = 'dpop,authorization', browserOrigin = APP) {
  return preflightAnswer(of, { browserOrigin, preflight: { method, fieldNames }, authorization: [] });
}

function preflight(...asked: Parameters<typeof ask>) {
  const answer = ask(...asked);
  assert.ok(answer !== undefined && !(answer instanceof Rejection), 'refused');
  return { ...answer, fields: Object.fromEntries(answer.fields) };
}

function refusal(...asked: Parameters<typeof ask>) {
  const answer = ask(...asked);
  return answer instanceof Rejection && [answer.reason, answer.facts.what];
}

const ORDERS = group(route(RULES, ['GET', 'HEAD']), route(RULES, ['POST']));

test('a preflight from a listed origin gets methods of all its routes, credentials fields and what it asked for', () => {
  const answer = preflight(ORDERS, 'POST', 'authorization, Content-Type,dpop');
  assert.equal(answer.status, 204);
  assert.equal(answer.body, '');
  assert.deepEqual(answer.fields, {
    'Cache-Control': 'no-store',
    Vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    'Access-Control-Allow-Origin': APP,
    'Access-Control-Allow-Methods': 'GET, HEAD, POST',
    'Access-Control-Allow-Headers': 'Authorization, DPoP, content-type',
    'Access-Control-Max-Age': '600',
  });
});

test('a preflight from another origin is refused', () => {
  for (const origin of [
    'https://evil.example.com',
    'http://app.example.com',
    `${APP}:443`,
    'null',
    `${APP}, ${APP}`,
    '*',
  ]) {
    assert.deepEqual(refusal(ORDERS, 'POST', '', origin), ['preflight_refused', 'Origin'], origin);
  }
});

test('a method that no route takes, or one whose route has no cors, is refused', () => {
  const mixed = group(route(RULES, ['GET']), route(undefined, ['DELETE']));
  for (const method of ['DELETE', 'PUT', 'get', 'GET, DELETE', '']) {
    assert.deepEqual(refusal(mixed, method), ['preflight_refused', 'Access-Control-Request-Method'], method);
  }
  assert.equal(preflight(mixed, 'GET').fields['Access-Control-Allow-Methods'], 'GET');
});

test('a route that takes every method allows the one asked for, but neither TRACE nor CONNECT', () => {
  const any = group(route(RULES, undefined));
  assert.equal(preflight(any, 'PATCH').fields['Access-Control-Allow-Methods'], 'PATCH');
  for (const method of ['TRACE', 'CONNECT', 'GET, TRACE']) {
    assert.deepEqual(refusal(any, method), ['preflight_refused', 'Access-Control-Request-Method'], method);
  }
});

test('where no route has cors, a preflight is refused where it would be for its credentials, and else is a request like any other', () => {
  assert.deepEqual(refusal(group(route(undefined, undefined))), ['preflight_refused', 'preflight']);
  assert.deepEqual(refusal(group(route(undefined, ['POST', 'OPTIONS']))), ['preflight_refused', 'preflight']);
  assert.equal(ask(group(route(undefined, ['POST']))), undefined, 'the method decides');
  assert.equal(ask(group(route(undefined, undefined, 'public'))), undefined, 'the upstream answers');
});

test('OPTIONS with credentials, or without what makes a preflight, is none', () => {
  const plain = group(route(undefined, undefined));
  const asked = { browserOrigin: APP, preflight: { method: 'POST', fieldNames: '' } };
  assert.equal(preflightAnswer(plain, { ...asked, authorization: ['Bearer a'] }), undefined);
  for (const each of [ORDERS, plain]) {
    assert.equal(preflightAnswer(each, { browserOrigin: APP, preflight: undefined, authorization: [] }), undefined);
  }
});

test('field names are taken as far as they are field names, and not without end', () => {
  const answer = preflight(ORDERS, 'POST', `a b,x-ok,,x:y,${'z'.repeat(200)},"q"`);
  assert.equal(answer.fields['Access-Control-Allow-Headers'], 'Authorization, DPoP, x-ok');
  const many = preflight(ORDERS, 'POST', Array.from({ length: 1000 }, (_, index) => `x-${index}`).join(','));
  assert.equal(many.fields['Access-Control-Allow-Headers']?.split(', ').length, 66);
});

test('an answer to a listed origin exposes nonce, challenge and the configured fields', () => {
  assert.deepEqual(corsFields(RULES, APP), [
    ['Access-Control-Allow-Origin', APP],
    ['Access-Control-Expose-Headers', 'DPoP-Nonce, WWW-Authenticate, X-Total'],
  ]);
});

test('an answer to another origin, or to none, has no CORS field', () => {
  assert.deepEqual(corsFields(RULES, 'https://evil.example.com'), []);
  assert.deepEqual(corsFields(RULES, undefined), []);
});

test('credentials are allowed where the policy says so, to the one origin', () => {
  const rules = { ...RULES, credentials: true };
  assert.deepEqual(Object.fromEntries(corsFields(rules, APP))['Access-Control-Allow-Credentials'], 'true');
  assert.equal(preflight(group(route(rules, ['POST']))).fields['Access-Control-Allow-Credentials'], 'true');
  assert.deepEqual(corsFields({ ...rules, origins: ['*'] }, APP), []);
});

/** A route for /orders/* that asks for a field. */
function canary(cors: CorsRules | undefined, methods: readonly string[] | undefined): Route {
  const plain = route(cors, methods);
  return { ...plain, match: { ...plain.match, headers: [{ name: 'x-env', value: 'canary' }] } };
}

test('where routes ask for fields, which a preflight has not, all that may take the request have to allow it', () => {
  const narrow = { ...RULES, maxAge: 5, credentials: true };
  const alike = preflight(group(canary(narrow, undefined), route({ ...RULES, credentials: true }, undefined)));
  assert.equal(alike.fields['Access-Control-Max-Age'], '5', 'the shorter one');
  assert.equal(alike.fields['Access-Control-Allow-Credentials'], 'true');
  const mixed = preflight(group(canary(narrow, undefined), route(RULES, undefined)));
  assert.equal(mixed.fields['Access-Control-Allow-Credentials'], undefined, 'only where both allow them');
  for (const reach of [
    group(canary(RULES, undefined), route(undefined, undefined)),
    group(canary(undefined, undefined), route(RULES, undefined)),
    reachOf([canary(RULES, undefined), { ...route(undefined, undefined), match: { path: '/*' } } as Route], {
      fallThrough: true,
    }),
  ])
    assert.deepEqual(refusal(reach), ['preflight_refused', 'Access-Control-Request-Method']);
  const other = group(canary({ ...RULES, origins: ['https://other.example.com'] }, undefined), route(RULES, undefined));
  assert.deepEqual(refusal(other), ['preflight_refused', 'Origin']);
});

test('methods that not every route in question allows are not named, because browsers remember them', () => {
  const answer = preflight(group(canary(undefined, ['DELETE']), route(RULES, ['DELETE', 'POST'])));
  assert.equal(answer.fields['Access-Control-Allow-Methods'], 'POST');
});
