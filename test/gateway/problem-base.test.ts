// The page to which a refusal leads by type and error_uri, also before a route is known.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestGateway } from '../support/gateway.ts';
import { dpop } from './credentials.ts';

const PAGE = 'https://docs.example.com/holdfast/rejections';
const ROUTES = '- { name: any, match: { path: /any/* }, upstream: orders, require: dpop }';
const wishes = (base: string) => ({ routes: ROUTES, more: `drain: { delay: 0s, grace: 5s }\n${base}` });

test('type and error_uri lead to the page of the reason, of the policy that refused', async (t) => {
  const gateway = await startTestGateway(t, wishes(`problem_base: ${PAGE}`));
  const refused = await dpop(gateway, 'GET', '/any/1', { proving: { claims: { htm: 'POST' } } });
  assert.equal(JSON.parse(refused.body).type, `${PAGE}#proof_method_mismatch`);
  const [challenge = ''] = refused.fields.all('www-authenticate');
  assert.ok(challenge.includes(`, error_uri="${PAGE}#proof_method_mismatch", algs=`), challenge);
  const early = await gateway.raw('GET /any/1 HTTP/1.1\r\n\r\n');
  assert.equal(JSON.parse(early.body).type, `${PAGE}#request_malformed`);
  assert.equal(early.fields.one('x-content-type-options'), 'nosniff');
  await gateway.reload(wishes(''));
  const later = await gateway.request('GET', '/any/1');
  assert.equal(JSON.parse(later.body).type, 'urn:holdfast:rejection:credentials_missing');
});
