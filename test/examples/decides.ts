// The example decides-for-nginx.yaml, asked as nginx asks.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { issue, prove, startExample, startIssuer } from './example.ts';

const NAME = 'decides-for-nginx.yaml';

const described = (path: string) =>
  [
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'api.example.com'],
    ['X-Forwarded-Uri', path],
    ['X-Auth-Subject', 'forged'],
  ] as const;

export async function playDecides(t: TestContext, files: Readonly<Record<string, string>>): Promise<void> {
  const issuer = await startIssuer(t);
  const env = { LOGIN_ISSUER: issuer, PROXY_CIDR: '127.0.0.1/32' };
  const example = await startExample(t, NAME, files, [], env);
  const ask = (path: string, credentials: object = {}) =>
    example.call('GET', '/', { host: 'holdfast.internal', fields: described(path), ...credentials });
  const token = await issue(issuer);
  // The replay store remembers from its start on, to the second.
  const credentials = await prove(token, 'GET', '/orders/1', { skew: 1 });
  const good = await ask('/orders/1', credentials);
  assert.deepEqual([good.status, good.fields.one('X-Auth-Subject')], [200, 'alice']);
  const again = await ask('/orders/1', credentials);
  assert.deepEqual([again.status, again.fields.one('X-Holdfast-Reason')], [401, 'proof_replayed']);
  assert.equal((await ask('/orders/1', { token })).reason, 'binding_downgraded');
  assert.equal((await ask('/healthz')).status, 200);
  // A neighbour of nginx that is not nginx.
  const stranger = await startExample(t, NAME, files, [], { LOGIN_ISSUER: issuer });
  assert.equal((await stranger.call('GET', '/', { fields: described('/healthz') })).reason, 'peer_unknown');
}
