// A gateway whose routes are all public: it needs no issuer, and takes some later.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ISSUER_KEY, startTestGateway } from '../support/gateway.ts';
import { dpop } from './credentials.ts';

const OPEN =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';

test('without an issuer public routes are served, the gateway is ready, and a reload can bring an issuer', async (t) => {
  const gateway = await startTestGateway(t, { issuers: '{}', routes: OPEN, unready: true });
  assert.equal((await gateway.page('/readyz')).status, 200);
  assert.equal((await gateway.request('GET', '/1')).status, 200);
  assert.equal((await gateway.page('/metrics')).status, 200);

  await gateway.reload({
    routes: '- { name: bound, match: { path: /* }, upstream: orders, require: dpop }',
    files: { 'keys.json': JSON.stringify({ keys: [ISSUER_KEY.jwk] }) },
  });
  assert.equal((await gateway.request('GET', '/1')).reason, 'credentials_missing');
  assert.equal((await dpop(gateway, 'GET', '/1')).status, 200);

  await gateway.reload({ issuers: '{}', routes: OPEN });
  assert.equal((await gateway.request('GET', '/1')).status, 200);
  assert.equal((await gateway.page('/readyz')).status, 200);
});
