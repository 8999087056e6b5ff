// CORS: preflights are answered by us, only to listed origins and as narrowly as the routes are, and no answer ever says `*`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { corsFields, preflightAnswer } from '../../../src/edge/intake/cors.ts';
import type { CorsRules, Route, RouteGroup } from '../../../src/policy/policy.ts';

const APP = 'https://app.example.com';
const RULES: CorsRules = { origins: [APP], expose: ['X-Total'], maxAge: 600.5, credentials: false };

function route(cors: CorsRules | undefined, methods: readonly string[] | undefined): Route {
  return { cors, match: { methods } } as Route;
}

function group(...routes: readonly Route[]): RouteGroup {
  const byMethod = new Map(routes.flatMap((each) => (each.match.methods ?? []).map((method) => [method, each])));
  return { routes, byMethod, anyMethod: routes.find(({ match }) => match.methods === undefined), allow: '', rank: 0 };
}

function preflight(of: RouteGroup, method = 'POST', fieldNames = 'dpop,authorization', browserOrigin = APP) {
  const answer = preflightAnswer(of, { browserOrigin, preflight: { method, fieldNames } });
  return answer && { ...answer, fields: Object.fromEntries(answer.fields) };
}

const ORDERS = group(route(RULES, ['GET', 'HEAD']), route(RULES, ['POST']));

test('a preflight from a listed origin gets methods of all its routes, credentials fields and what it asked for', () => {
  const answer = preflight(ORDERS, 'POST', 'authorization, Content-Type,dpop');
  assert.equal(answer?.status, 204);
  assert.equal(answer?.body, '');
  assert.deepEqual(answer?.fields, {
    'Cache-Control': 'no-store',
    Vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    'Access-Control-Allow-Origin': APP,
    'Access-Control-Allow-Methods': 'GET, HEAD, POST',
    'Access-Control-Allow-Headers': 'Authorization, DPoP, content-type',
    'Access-Control-Max-Age': '600',
  });
});

test('a preflight from another origin is answered without leave', () => {
  for (const origin of [
    'https://evil.example.com',
    'http://app.example.com',
    `${APP}:443`,
    'null',
    `${APP}, ${APP}`,
    '*',
  ]) {
    const answer = preflight(ORDERS, 'POST', '', origin);
    assert.equal(answer?.status, 204);
    assert.deepEqual(Object.keys(answer?.fields ?? {}), ['Cache-Control', 'Vary'], origin);
  }
});

test('a method that no route takes, or one whose route has no cors, gets no leave', () => {
  const mixed = group(route(RULES, ['GET']), route(undefined, ['DELETE']));
  for (const method of ['DELETE', 'PUT', 'get', 'GET, DELETE', '']) {
    assert.equal(preflight(mixed, method)?.fields['Access-Control-Allow-Origin'], undefined, method);
  }
  assert.equal(preflight(mixed, 'GET')?.fields['Access-Control-Allow-Methods'], 'GET');
});

test('a route that takes every method allows the one asked for, but neither TRACE nor CONNECT', () => {
  const any = group(route(RULES, undefined));
  assert.equal(preflight(any, 'PATCH')?.fields['Access-Control-Allow-Methods'], 'PATCH');
  for (const method of ['TRACE', 'CONNECT', 'GET, TRACE']) {
    assert.equal(preflight(any, method)?.fields['Access-Control-Allow-Methods'], undefined, method);
  }
});

test('OPTIONS is no preflight where the group has no cors, and where the request is none', () => {
  assert.equal(preflight(group(route(undefined, ['POST']))), undefined);
  assert.equal(preflightAnswer(ORDERS, { browserOrigin: APP, preflight: undefined }), undefined);
});

test('field names are taken as far as they are field names, and not without end', () => {
  const answer = preflight(ORDERS, 'POST', `a b,x-ok,,x:y,${'z'.repeat(200)},"q"`);
  assert.equal(answer?.fields['Access-Control-Allow-Headers'], 'Authorization, DPoP, x-ok');
  const many = preflight(ORDERS, 'POST', Array.from({ length: 1000 }, (_, index) => `x-${index}`).join(','));
  assert.equal(many?.fields['Access-Control-Allow-Headers']?.split(', ').length, 66);
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
  assert.equal(preflight(group(route(rules, ['POST'])))?.fields['Access-Control-Allow-Credentials'], 'true');
  assert.deepEqual(corsFields({ ...rules, origins: ['*'] }, APP), []);
});
