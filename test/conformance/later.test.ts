// What is not built yet cannot be configured, so that nobody relies on it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfig } from '../../src/config/schema/check.ts';

/** What is said about a configuration with more keys in its route. */
function problemsWith(route: object): readonly string[] {
  const data = {
    version: 1,
    listeners: [{ name: 'public', bind: '127.0.0.1:0', origins: ['http://localhost:8080'] }],
    issuers: { login: { issuer: 'https://login.example.com', audience: ['https://api.example.com'] } },
    upstreams: { orders: { targets: ['http://127.0.0.1:9000'] } },
    routes: [{ name: 'orders', match: { path: '/*' }, upstream: 'orders', ...route }],
  };
  const checked = checkConfig(data, () => 'written');
  return 'findings' in checked ? checked.findings.map(({ path, message }) => `${path.join('.')}: ${message}`) : [];
}

test('resource metadata (RFC 9728) cannot be configured yet', () => {
  assert.deepEqual(problemsWith({}), []);
  const [problem] = problemsWith({ resource: { identifier: 'https://api.example.com/orders' } });
  assert.match(problem ?? '', /^routes\.0\.resource: .*not built yet/);
});
