// The example versions-and-maintenance.yaml: versions, redirects, a fixed answer.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { startUpstream } from '../support/gateway.ts';
import { issue, prove, startExample, startIssuer } from './example.ts';

export async function playVersions(t: TestContext, files: Readonly<Record<string, string>>): Promise<void> {
  const issuer = await startIssuer(t);
  const next = await startUpstream(t);
  const env = { LOGIN_ISSUER: issuer, NEXT_URL: next.origin };
  const example = await startExample(t, 'versions-and-maintenance.yaml', files, ['ORDERS_URL'], env);
  const token = await issue(issuer);
  const call = async (path: string, fields: readonly (readonly [string, string])[] = []) =>
    example.call('GET', path, { ...(await prove(token, 'GET', path.split('?')[0] ?? '')), fields });

  assert.equal((await call('/orders/1')).status, 200);
  assert.equal((await call('/orders/2', [['X-Env', 'prod']])).status, 200);
  assert.deepEqual([example.upstream.seen.length, next.seen.length], [2, 0]);
  assert.equal((await call('/orders/3', [['x-env', 'canary']])).status, 200);
  assert.equal((await call('/orders/4?version=2')).status, 200);
  assert.deepEqual([example.upstream.seen.length, next.seen.length], [2, 2]);
  const stolen = await example.call('GET', '/orders/1', { token, fields: [['X-Env', 'canary']] });
  assert.equal(stolen.reason, 'binding_downgraded');

  const moved = await call('/v1/orders/7?full=1');
  assert.equal(moved.status, 308);
  assert.match(moved.fields.one('Location') ?? '', /^https:\/\/api\.example\.com(?::\d+)?\/orders\/7\?full=1$/);
  assert.equal((await example.call('GET', '/v1/orders/7')).reason, 'credentials_missing');
  const reports = await call('/reports/2026');
  assert.deepEqual([reports.status, reports.body], [503, 'Reports are back on Monday.\n']);
  const docs = await example.call('GET', '/');
  assert.deepEqual([docs.status, docs.fields.one('Location')], [302, 'https://docs.example.com/orders/']);
}
