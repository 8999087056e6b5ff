// Ways to send what client developers get wrong, and the gateway that refuses it.

import { createHash } from 'node:crypto';
import type { Reason } from '../../src/rejection/rejection.ts';
import type { Answered, TestGateway } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { makeKey } from '../support/tokens.ts';
import { type DpopWishes, dpop, issue } from './credentials.ts';

/** One mistake. `says`: found in the answer alone, the first of them what was wrong, the last what to do. */
export interface Mistake {
  readonly mistake: string;
  readonly reason: Reason;
  readonly send: (gateway: TestGateway) => Promise<Answered>;
  readonly says: readonly RegExp[];
}

export const APP = 'https://app.example.com';

/** What the mistakes are made on. */
export const MISTAKEN = {
  more: 'drain: { delay: 0s, grace: 5s }\nrate_limits: { hourly: { key: client, rate: 1/h, burst: 1 } }',
  listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }\nexplain_to_clients: true',
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
- { name: rare, match: { path: /rare/* }, upstream: orders, require: token, rate_limit: hourly, weaker_than_defaults: [require] }
- { name: pages, match: { path: /pages/*, methods: [GET] }, upstream: orders, require: dpop, cors: { origins: ["${APP}"] } }
- { name: exact, match: { path: /exact }, upstream: orders, require: public, weaker_than_defaults: [require] }
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

export const bearer =
  (path: string, claims: object = {}, wishes: DpopWishes = {}) =>
  async (gateway: TestGateway) =>
    gateway.request('GET', path, { token: await issue(gateway, { ...claims }), ...wishes });
export const holder =
  (path: string, wishes: DpopWishes = {}) =>
  (gateway: TestGateway) =>
    dpop(gateway, 'GET', path, wishes);
export const proof = (claims: Readonly<Record<string, unknown>>, path = '/dpop/1') =>
  holder(path, { proving: { claims } });
export const header = (some: Readonly<Record<string, unknown>>) => holder('/dpop/1', { proving: { header: some } });
export const plain =
  (path: string, ...fields: (readonly [string, string])[]) =>
  (gateway: TestGateway) =>
    gateway.request('GET', path, { fields });
export const authorized = (...values: readonly string[]) =>
  plain('/any/1', ...values.map((value) => ['Authorization', value] as const));
export const page =
  (method: string, origin: string, path = '/pages/1') =>
  (gateway: TestGateway) =>
    gateway.request('OPTIONS', path, {
      fields: [
        ['Origin', origin],
        ['Access-Control-Request-Method', method],
      ],
    });
export const raw =
  (...lines: readonly string[]) =>
  (gateway: TestGateway) =>
    gateway.raw(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`);

export const unknownKey = await makeKey('ES256', 'staging-7');
export const stranger = await makeCertificate({ names: ['client.example.net'] });
export const published = (await makeKey()).jwk;
export const hash = (text: string) => createHash('sha256').update(text);

/** A compact JWS with one of its parts changed. */
export const changed = (jws: string, at: number, to: (part: string) => string) =>
  jws
    .split('.')
    .map((part, index) => (index === at ? to(part) : part))
    .join('.');
