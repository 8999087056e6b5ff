// All refusals of the tests, and the gateways that give them.

import type { TestContext } from 'node:test';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { Refusal } from './refusal.ts';
import { EDGE, ROUTE, UPSTREAM } from './refusals-edge.ts';
import { BINDING, CERTIFICATE, EXCHANGE, POLICY, PROOF, REPLAY } from './refusals-sender.ts';
import { BODY, SIGNATURE, SIGNATURE_REPLAY } from './refusals-signature.ts';
import { NOWHERE } from './refusals-nowhere.ts';
import { PRESENTATION, TOKEN } from './refusals-token.ts';

/** One route per demand; /open demands nothing, so that only the edge can refuse. */
const ASKING = 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }';
export const POLICY_OF_ALL = {
  more: 'drain: { delay: 0s, grace: 5s }\nrate_limits: { hourly: { key: client, rate: 1/h, burst: 1 } }',
  listener: ASKING,
  upstreams: 'gone: { targets: ["http://127.0.0.1:1"] }',
  routes: `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }
- { name: mtls, match: { path: /mtls/* }, upstream: orders, require: mtls }
- { name: nonce, match: { path: /nonce/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- { name: signed, match: { path: /signed/* }, upstream: orders, signature: {} }
- { name: tagged, match: { path: /tagged/* }, upstream: orders, signature: { tag: orders } }
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
- { name: rare, match: { path: /rare/* }, upstream: orders, require: token, rate_limit: hourly, weaker_than_defaults: [require] }
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

export const REFUSALS: readonly Refusal[] = [
  ...EDGE,
  ...ROUTE,
  ...PRESENTATION,
  ...TOKEN,
  ...BINDING,
  ...CERTIFICATE,
  ...PROOF,
  ...SIGNATURE,
  ...POLICY,
  ...REPLAY,
  ...SIGNATURE_REPLAY,
  ...EXCHANGE,
  ...NOWHERE,
  ...UPSTREAM,
  ...BODY,
];

/** The gateway for a refusal: the shared one, or one of its own where it wishes for something. */
export async function gatewayFor(t: TestContext, { wishes }: Refusal, shared: TestGateway): Promise<TestGateway> {
  if (wishes === undefined) return shared;
  return startTestGateway(t, { ...POLICY_OF_ALL, ...wishes, listener: `${ASKING}\n${wishes.listener ?? ''}` });
}
