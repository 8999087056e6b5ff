// The example moving-a-service.yaml: two versions, and clients that notice neither.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { startUpstream } from '../support/gateway.ts';
import { issue, prove, startExample, startIssuer } from './example.ts';

export async function playMoving(t: TestContext, files: Readonly<Record<string, string>>): Promise<void> {
  const issuer = await startIssuer(t);
  const next = await startUpstream(t);
  const trial = await startUpstream(t);
  const env = { LOGIN_ISSUER: issuer, NEXT_URL: next.origin, TRIAL_URL: trial.origin };
  const example = await startExample(t, 'moving-a-service.yaml', files, ['ORDERS_URL'], env);
  const token = await issue(issuer);
  for (let nth = 0; nth < 100; nth += 1) {
    const path = `/orders/${nth}`;
    assert.equal((await example.call('GET', path, await prove(token, 'GET', path))).status, 200);
  }
  assert.equal(example.upstream.seen.length + next.seen.length, 100);
  // 95 are to be expected; as few as these come in one run of more than a million.
  assert.ok(example.upstream.seen.length > 80);
  // 10 are to be expected.
  assert.ok(trial.seen.length < 40 && trial.seen.every(({ fields }) => fields.all('Authorization').length === 0));
  const fields = [['X-Debug', '1'] as const, ['X_Api_Generation', '1'] as const];
  const path = '/preview/orders/7';
  const preview = await example.call('GET', path, { ...(await prove(token, 'GET', path)), fields });
  assert.deepEqual([preview.status, preview.fields.one('X-Served-By')], [200, 'orders-next']);
  const seen = next.seen.at(-1);
  assert.deepEqual([seen?.target, seen?.fields.one('Host')], ['/v2/orders/7', 'orders-next.internal']);
  assert.deepEqual([seen?.fields.all('X-Debug'), seen?.fields.all('X_Api_Generation')], [[], []]);
  assert.equal(seen?.fields.one('X-Api-Generation'), '2');
  const wrong = await prove(token, 'GET', '/v2/orders/7');
  assert.equal((await example.call('GET', path, wrong)).reason, 'proof_uri_mismatch');
  assert.equal((await example.call('GET', '/orders/1', { token })).reason, 'binding_downgraded');
}
