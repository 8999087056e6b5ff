// The box of the status page: everything that is wrong now stands there, and nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Status } from '../../src/operator/status.ts';
import { findTroubles } from '../../src/operator/troubles.ts';
import { STATUS } from '../support/status.ts';

const DAY = 86_400;

/** The status of the pages, mended: nothing in it is wrong. */
const GOOD: Status = {
  ...STATUS,
  issuers: STATUS.issuers.map((one) => ({ ...one, keys: 2, lastError: undefined })),
  upstreams: [{ name: 'orders', targets: [{ target: 'http://10.0.0.1', health: 'healthy', pending: 0 }] }],
  workers: STATUS.workers.map((one) => ({ ...one, state: 'serving' })),
  lastReload: undefined,
  certificates: [{ listener: 'public', file: 'tls.crt', ends: STATUS.now + 30 * DAY }],
};

const words = (change: Partial<Status>) => findTroubles({ ...GOOD, ...change }).map(({ what, grave }) => [what, grave]);
const target = (health: 'healthy' | 'unhealthy' | 'unknown') => ({ target: 'http://10.0.0.1', health, pending: 0 });

test('a gateway at which nothing is wrong has no trouble; targets that nobody checks are none', () => {
  assert.deepEqual(words({}), []);
  assert.deepEqual(words({ upstreams: [{ name: 'orders', targets: [target('unknown')] }] }), []);
});

test('each thing that is wrong is told, with how grave it is', () => {
  const [issuer] = GOOD.issuers;
  const [worker] = GOOD.workers;
  assert.ok(issuer !== undefined && worker !== undefined);
  const certificate = (ends: number) => ({ certificates: [{ listener: 'public', file: 'tls.crt', ends }] });
  const replay = (entries: number) => ({ replay: { entries, capacity: 100, replica: undefined } });
  const replica = (up: boolean | undefined, reason?: string) => ({
    replay: { entries: 0, capacity: 100, replica: { up, reason } },
  });
  const targets = (...healths: ('healthy' | 'unhealthy')[]) => ({
    upstreams: [{ name: 'orders', targets: healths.map(target) }],
  });
  const cases: readonly (readonly [Partial<Status>, string, boolean])[] = [
    [{ issuers: [{ ...issuer, keys: 0 }] }, 'Issuer login has no keys: its tokens get 503.', true],
    [{ issuers: [{ ...issuer, lastError: 'timed out' }] }, 'The keys of issuer login could not be refreshed.', false],
    [targets('unhealthy', 'healthy'), '1 of 2 targets of upstream orders are down.', false],
    [targets('unhealthy', 'unhealthy'), 'Upstream orders is down.', true],
    [{ lastReload: STATUS.lastReload }, 'The last change of the configuration was refused.', false],
    [certificate(STATUS.now + 13.5 * DAY), 'Certificate tls.crt ends in 13 d.', false],
    [certificate(STATUS.now), 'Certificate tls.crt has ended.', true],
    [replay(80), 'The replay store is 80 % full.', false],
    [replay(100), 'The replay store is 100 % full.', true],
    [replica(false, 'timeout'), 'The replay store in Redis does not answer: timeout.', true],
    [{ workers: [worker, { ...worker, state: 'gone' }] }, '1 of 2 workers do not serve.', false],
    [{ workers: [{ ...worker, state: 'gone' }] }, '1 of 1 workers do not serve.', true],
  ];
  for (const [change, what, grave] of cases) assert.deepEqual(words(change), [[what, grave]]);
});

test('a near miss is no trouble: 79 % of the store, a certificate of 14 days', () => {
  assert.deepEqual(words({ replay: { entries: 79, capacity: 100, replica: undefined } }), []);
  for (const up of [true, undefined]) {
    assert.deepEqual(words({ replay: { entries: 99, capacity: 100, replica: { up, reason: undefined } } }).length, 1);
  }
  const certificates = [{ listener: 'public', file: 'tls.crt', ends: STATUS.now + 14 * DAY }];
  assert.deepEqual(words({ certificates }), []);
});
