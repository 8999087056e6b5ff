// Rate limits in the configuration: rates, routes that name them, unused ones.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertProblems, policyOf, warningsOf } from '../../support/policies.ts';

const LIMITS = `rate_limits:
  per_client: { key: client, rate: 100/s, burst: 200 }
  per_subject: { key: subject, rate: 7/m, burst: 10 }
  per_key: { key: thumbprint, rate: 1/h, burst: 1 }
  per_address: { key: address, rate: 600/s, burst: 1 }
`;
const route = (keys: string) => `- { name: orders, match: { path: /* }, upstream: orders, ${keys} }`;
const limitOf = (name: string, keys = 'require: dpop') =>
  policyOf({ more: LIMITS, routes: route(`${keys}, rate_limit: ${name}`) }).routes[0]?.rateLimit;

describe('a rate', () => {
  test('is compiled to the time that one request takes up, and to whole numbers for clients', () => {
    assert.deepEqual(limitOf('per_client'), {
      name: 'per_client',
      key: 'client',
      interval: 0.01,
      burst: 200,
      quota: 200,
      window: 2,
      shared: false,
      text: '100/s, 200 at once, by client',
    });
    const figures = (name: string) => {
      const { interval, burst, quota, window } = limitOf(name) ?? assert.fail();
      return { interval, burst, quota, window };
    };
    assert.deepEqual(figures('per_subject'), { interval: 60 / 7, burst: 10, quota: 10, window: 86 });
    assert.deepEqual(figures('per_key'), { interval: 3600, burst: 1, quota: 1, window: 3600 });
    assert.deepEqual(figures('per_address'), { interval: 1 / 600, burst: 1, quota: 600, window: 1 });
  });

  test('promises clients at least the burst, and never more than the rate', () => {
    for (const [rate, burst] of [
      ['3/s', 3],
      ['3/s', 4],
      ['49/m', 49],
      ['999999999/h', 1_000_000_000],
      ['1/h', 1000],
      ['7/h', 49],
    ] as const) {
      const more = `rate_limits: { a: { key: client, rate: ${rate}, burst: ${burst} } }\n`;
      const limit = policyOf({ more, routes: route('rate_limit: a') }).routes[0]?.rateLimit ?? assert.fail();
      assert.ok(limit.quota >= burst && Number.isInteger(limit.quota) && Number.isInteger(limit.window), rate);
      assert.ok(limit.quota * limit.interval <= limit.window * (1 + 1e-9), rate);
    }
  });
});

describe('a limit that replicas share', () => {
  const limits = (store: string) =>
    `rate_limits: { a: { key: client, rate: 10/s, burst: 5, shared: «true } }\n${store}`;
  const REDIS = 'replay: { store: redis, redis: { url: "redis://127.0.0.1:6379" } }\n';

  test('says so, in plain words too', () => {
    const more = limits(REDIS).replace('«', '');
    const limit = policyOf({ more, routes: route('rate_limit: a') }).routes[0]?.rateLimit;
    assert.deepEqual([limit?.shared, limit?.text], [true, '10/s, 5 at once, by client, over all replicas']);
  });

  test('needs a store that they share', () => {
    assertProblems({ more: limits(''), routes: route('rate_limit: a') }, [
      'rate_limits.a.shared: is true although replay.store is memory, expected store: redis with replay.redis, in which replicas count together',
    ]);
  });
});

describe('a route', () => {
  test('names a limit that there is', () => {
    const problems = (name: string, expected: string, more = LIMITS) =>
      assertProblems({ more, routes: route(`rate_limit: «${name}`) }, [
        `routes[0].rate_limit: is not a declared rate limit, ${expected}`,
      ]);
    problems('per_clinet', 'did you mean per_client?');
    problems('hourly', 'expected one of: per_client, per_subject, per_key, per_address');
    problems('hourly', 'expected one of: none is configured', '');
  });

  test('that is public counts by address alone', () => {
    const keys = 'require: public, weaker_than_defaults: [require]';
    for (const [name, key] of [
      ['per_client', 'client'],
      ['per_subject', 'subject'],
      ['per_key', 'thumbprint'],
    ] as const) {
      assertProblems({ more: LIMITS, routes: route(`${keys}, rate_limit: «${name}`) }, [
        `routes[0].rate_limit: counts by ${key}, and clients of a public route do not say who they are, expected a limit by address`,
      ]);
    }
    assert.equal(limitOf('per_address', keys)?.key, 'address');
  });

  test('that takes unbound tokens does not count by thumbprint', () => {
    const keys = 'require: token, weaker_than_defaults: [require]';
    assertProblems({ more: LIMITS, routes: route(`${keys}, rate_limit: «per_key`) }, [
      'routes[0].rate_limit: counts by thumbprint, and require: token lets tokens pass that are bound to none, expected another key, or a route that demands a binding',
    ]);
    for (const name of ['per_client', 'per_subject', 'per_address']) assert.ok(limitOf(name, keys));
    for (const require of ['sender-constrained', 'dpop']) assert.ok(limitOf('per_key', `require: ${require}`));
  });

  test('with cors lets pages read what its limit leaves', () => {
    const cors = 'cors: { origins: ["https://app.example.com"], expose: [X-Total, RateLimit] }';
    const expose = (keys: string) => policyOf({ more: LIMITS, routes: route(keys) }).routes[0]?.cors?.expose;
    assert.deepEqual(expose(cors), ['X-Total', 'RateLimit', 'X-Request-Id']);
    assert.deepEqual(expose(`${cors}, rate_limit: per_client`), [
      'X-Total',
      'RateLimit',
      'X-Request-Id',
      'RateLimit-Policy',
      'Retry-After',
    ]);
  });
});

test('a limit that no route names is a warning', () => {
  const used = route('rate_limit: per_client');
  const unused = warningsOf({ more: LIMITS, routes: used }).filter((warning) => warning.startsWith('rate_limits'));
  assert.deepEqual(unused, [
    'rate_limits.per_subject: is used by no route',
    'rate_limits.per_key: is used by no route',
    'rate_limits.per_address: is used by no route',
  ]);
});
