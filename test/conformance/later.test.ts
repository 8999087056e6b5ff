// What is not built yet cannot be configured, so that nobody relies on it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfig } from '../../src/policy/schema-check.ts';

/** What is said about a configuration with more keys in its issuer and its route. */
function problemsWith(issuer: object, route: object): readonly string[] {
  const data = {
    version: 1,
    listeners: [{ name: 'public', bind: '127.0.0.1:0', origins: ['http://localhost:8080'] }],
    issuers: { login: { issuer: 'https://login.example.com', audience: ['https://api.example.com'], ...issuer } },
    upstreams: { orders: { targets: ['http://127.0.0.1:9000'] } },
    routes: [{ name: 'orders', match: { path: '/*' }, upstream: 'orders', ...route }],
  };
  const checked = checkConfig(data, () => 'written');
  return 'findings' in checked ? checked.findings.map(({ path, message }) => `${path.join('.')}: ${message}`) : [];
}

test('introspection (RFC 7662) cannot be configured yet', () => {
  assert.deepEqual(problemsWith({}, {}), []);
  const [problem] = problemsWith({ introspection: { client_id: 'gateway', client_secret_file: 'secret' } }, {});
  assert.match(problem ?? '', /^issuers\.login\.introspection: .*not built yet/);
});

test('resource metadata (RFC 9728) cannot be configured yet', () => {
  const [problem] = problemsWith({}, { resource: { identifier: 'https://api.example.com/orders' } });
  assert.match(problem ?? '', /^routes\.0\.resource: .*not built yet/);
});
