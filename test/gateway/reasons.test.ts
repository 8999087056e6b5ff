// Every reason, end to end: real TLS in front, a real upstream behind, and exactly the answer that rejections.md promises.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASON_NAMES } from '../../src/rejection/rejection.ts';
import { startTestGateway } from '../support/gateway.ts';
import { meet, type Refusal } from './refusal.ts';
import { EDGE, ROUTE, UPSTREAM } from './refusals-edge.ts';
import { BINDING, CERTIFICATE, POLICY, PROOF, REPLAY } from './refusals-sender.ts';
import { PRESENTATION, TOKEN } from './refusals-token.ts';

/** One route per demand; /open demands nothing, so that only the edge can refuse. */
const LISTENER = 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }';
const POLICY_OF_ALL = {
  listener: LISTENER,
  upstreams: 'gone: { targets: ["http://127.0.0.1:1"] }',
  routes: `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }
- { name: mtls, match: { path: /mtls/* }, upstream: orders, require: mtls }
- { name: nonce, match: { path: /nonce/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- name: scope
  match: { path: /scope/* }
  upstream: orders
  require: token
  scope: [orders:write]
  claims: { tenant: acme }
  weaker_than_defaults: [require]
- name: strong
  match: { path: /strong/* }
  upstream: orders
  require: token
  acr: [urn:example:loa3]
  max_auth_age: 10m
  weaker_than_defaults: [require]
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
- { name: few, match: { path: /few/*, methods: [GET, POST] }, upstream: orders, require: public, weaker_than_defaults: [require] }
- { name: gone, match: { path: /gone/* }, upstream: gone, require: public, weaker_than_defaults: [require] }
- name: hasty
  match: { path: /hasty/* }
  upstream: orders
  require: public
  timeouts: { response_header: 200ms, idle: 200ms }
  weaker_than_defaults: [require]
- name: small
  match: { path: /small/* }
  upstream: orders
  require: public
  limits: { request_body: 1KiB }
  weaker_than_defaults: [require]
`,
};

const REFUSALS: readonly Refusal[] = [
  ...EDGE,
  ...ROUTE,
  ...PRESENTATION,
  ...TOKEN,
  ...BINDING,
  ...CERTIFICATE,
  ...PROOF,
  ...POLICY,
  ...REPLAY,
  ...UPSTREAM,
];

/** Why a reason cannot occur yet. */
const NOT_YET = {
  token_inactive: 'introspection is not built',
  rate_limited: 'rate limits are not built',
  upstream_circuit_open: 'the circuit breaker is not built',
  replay_store_unavailable: 'the memory inside the process always answers',
};

test('every reason that can occur has a refusal here, and every other one says why it cannot', () => {
  const occurring = new Set<string>(REFUSALS.map(({ reason }) => reason));
  assert.deepEqual([...occurring, ...Object.keys(NOT_YET)].toSorted(), REASON_NAMES.toSorted());
});

test('a refusal occurs with its status, error, challenge and body, and never reaches the upstream', async (t) => {
  const shared = await startTestGateway(t, POLICY_OF_ALL);
  for (const refusal of REFUSALS) {
    await t.test(`${refusal.reason}: ${refusal.when}`, async (each) => {
      const { wishes } = refusal;
      const own = { ...POLICY_OF_ALL, ...wishes, listener: `${LISTENER}\n${wishes?.listener ?? ''}` };
      await meet(wishes === undefined ? shared : await startTestGateway(each, own), refusal);
    });
  }
});
