// Refusals of the stages binding, certificate, proof, policy and replay.

import assert from 'node:assert/strict';
import { makeCertificate } from '../support/pki.ts';
import { makeKey } from '../support/tokens.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { TokenExchangeRules } from '../../src/token/issuer.ts';
import type { Answered, TestGateway } from '../support/gateway.ts';
import {
  CLIENT,
  type DpopWishes,
  dpop,
  issue,
  OTHER_CLIENT,
  prove,
  THIEF,
  TO_CERTIFICATE,
  TO_KEY,
} from './credentials.ts';
import { BEARER, type Challenge, DPOP, type Refusal } from './refusal.ts';

/** A clock that stands still. */
const STILL = Math.floor(Date.now() / 1000);
const onDpop = (error: string): readonly Challenge[] => [{ ...DPOP, error }];
const onAny = (error: string): readonly Challenge[] => [{ ...BEARER, error }, DPOP];

/** A bearer request whose token has these claims, changed as wished. */
const bearer =
  (path: string, claims: object, wishes: DpopWishes = {}) =>
  async (gateway: TestGateway) =>
    gateway.request('GET', path, { token: await issue(gateway, { ...claims }), ...wishes });
const holder =
  (path: string, wishes: DpopWishes = {}) =>
  (gateway: TestGateway) =>
    dpop(gateway, 'GET', path, wishes);

const binding = { stage: 'binding', status: 401 } as const;

export const BINDING: readonly Refusal[] = [
  ...[{}, { jwk: { kty: 'oct' } }, { tbh: 'MARK' }, { jkt: 7 }, null].map(
    (cnf): Refusal => ({
      ...binding,
      reason: 'confirmation_unsupported',
      when: `cnf is ${JSON.stringify(cnf)}`,
      challenges: onAny('invalid_token'),
      send: bearer('/any/1', { cnf }),
    }),
  ),
  {
    ...binding,
    reason: 'binding_required',
    when: 'an unbound token comes to a route for DPoP, whose only challenge says why (docs/decisions/0005)',
    challenges: onDpop('invalid_token'),
    send: bearer('/dpop/1', {}),
  },
  {
    ...binding,
    reason: 'binding_required',
    when: 'a certificate-bound token comes to a route for DPoP',
    challenges: onDpop('invalid_token'),
    send: bearer('/dpop/1', TO_CERTIFICATE, { client: CLIENT }),
  },
  {
    ...binding,
    reason: 'binding_required',
    when: 'an unbound token is presented as DPoP',
    challenges: [{ ...DPOP, error: 'invalid_token' }, BEARER],
    send: holder('/any/1', { claims: { cnf: undefined } }),
  },
  {
    ...binding,
    reason: 'binding_required',
    when: 'a key-bound token comes to a route for certificates',
    challenges: [{ ...DPOP, error: 'invalid_token' }, BEARER],
    send: holder('/mtls/1'),
  },
  {
    ...binding,
    reason: 'binding_downgraded',
    when: 'a key-bound token is presented as Bearer (RFC 9449 §7.2)',
    challenges: onAny('invalid_token'),
    send: bearer('/any/1', TO_KEY),
  },
  {
    ...binding,
    reason: 'binding_downgraded',
    when: 'a key-bound token is presented as Bearer together with a good proof',
    challenges: onDpop('invalid_token'),
    send: holder('/dpop/1', { scheme: 'Bearer' }),
  },
];

const certificate = { stage: 'certificate', status: 401, challenges: onAny('invalid_token') } as const;
const stranger = await makeCertificate({ names: ['client.example.net'] });

export const CERTIFICATE: readonly Refusal[] = [
  {
    ...certificate,
    reason: 'certificate_missing',
    when: 'a certificate-bound token comes without one',
    send: bearer('/any/1', TO_CERTIFICATE),
  },
  {
    ...certificate,
    reason: 'certificate_missing',
    when: 'the right certificate comes in a field of the client',
    send: bearer('/any/1', TO_CERTIFICATE, { fields: [['Client-Cert', `:${CLIENT.der.toString('base64')}:`]] }),
  },
  {
    ...certificate,
    reason: 'certificate_untrusted',
    when: 'no CA of the listener issued it, although the token names it',
    send: bearer('/any/1', { cnf: { 'x5t#S256': stranger.thumbprint } }, { client: stranger }),
  },
  {
    ...certificate,
    reason: 'certificate_mismatch',
    when: 'it is that of another client',
    challenges: [{ ...BEARER, error: 'invalid_token' }, DPOP],
    send: bearer('/mtls/1', TO_CERTIFICATE, { client: OTHER_CLIENT }),
  },
];

const proof = { stage: 'proof', status: 401, challenges: onDpop('invalid_dpop_proof') } as const;
const malformed = { ...proof, reason: 'proof_malformed' } as const;
const algorithm = { ...proof, reason: 'proof_algorithm_refused' } as const;
const keyed = { ...proof, reason: 'proof_key_invalid' } as const;
const nonced = { ...proof, challenges: onDpop('use_dpop_nonce') } as const;
const claims = (some: Readonly<Record<string, unknown>>, path = '/dpop/1') =>
  holder(path, { proving: { claims: some } });
const header = (some: Readonly<Record<string, unknown>>) => holder('/dpop/1', { proving: { header: some } });
const published = (await makeKey()).jwk;

export const PROOF: readonly Refusal[] = [
  { ...malformed, when: 'it is no JWS', send: holder('/dpop/1', { proof: 'MARK' }) },
  { ...malformed, when: 'it is larger than 8 KiB', send: claims({ padding: 'MARK'.repeat(2050) }) },
  { ...malformed, when: 'jti is missing', send: claims({ jti: undefined }) },
  { ...malformed, when: 'its header has crit', send: header({ crit: ['MARK'] }) },
  { ...malformed, when: 'its own exp is past', send: (gateway) => claims({ exp: gateway.now() - 60 })(gateway) },
  { ...proof, reason: 'proof_type_invalid', when: 'typ is another', send: header({ typ: 'MARK' }) },
  { ...algorithm, when: 'alg is none', send: header({ alg: 'none' }) },
  { ...algorithm, when: 'alg is not among the algs of the challenge', send: header({ alg: 'ES512' }) },
  { ...keyed, when: 'the key is private', send: header({ jwk: { ...published, d: 'MARK' } }) },
  { ...keyed, when: 'the key is symmetric', send: header({ jwk: { kty: 'oct', k: 'MARK' } }) },
  {
    ...proof,
    reason: 'proof_key_mismatch',
    when: 'a thief signed it with another key (figure 16)',
    challenges: onDpop('invalid_token'),
    send: holder('/dpop/1', { proving: { key: THIEF } }),
  },
  { ...proof, reason: 'proof_method_mismatch', when: 'htm is another method', send: claims({ htm: 'POST' }) },
  { ...proof, reason: 'proof_method_mismatch', when: 'htm is in another case', send: claims({ htm: 'get' }) },
  {
    ...proof,
    reason: 'proof_uri_mismatch',
    when: 'htu is another path',
    send: claims({ htu: 'https://api.example.com/dpop/2?code=MARK#MARK' }),
  },
  {
    ...proof,
    reason: 'proof_uri_mismatch',
    when: 'htu is another host',
    send: claims({ htu: 'https://else.example/dpop/1' }),
  },
  { ...proof, reason: 'proof_token_mismatch', when: 'ath is that of another token', send: claims({ ath: 'MARK' }) },
  { ...nonced, reason: 'nonce_required', when: 'the route wants a nonce', send: holder('/nonce/1') },
  {
    ...nonced,
    reason: 'nonce_required',
    when: 'it was made before this process began to remember',
    wishes: { now: () => STILL }, // one that begins now
    send: (gateway) => claims({ iat: Math.floor(gateway.now()) - 30 })(gateway),
  },
  { ...nonced, reason: 'nonce_stale', when: 'the nonce is not ours', send: claims({ nonce: 'MARK' }, '/nonce/1') },
  {
    ...nonced,
    reason: 'nonce_stale',
    when: 'it brings a bad nonce where none is asked for',
    send: claims({ nonce: 'MARK' }),
  },
  {
    ...proof,
    reason: 'proof_stale',
    when: 'iat is too old',
    send: (gateway) => claims({ iat: gateway.now() - 62 })(gateway),
  },
  {
    ...proof,
    reason: 'proof_from_future',
    when: 'iat is too far ahead',
    send: (gateway) => claims({ iat: gateway.now() + 3600 })(gateway),
  },
  {
    ...proof,
    reason: 'proof_signature_invalid',
    when: 'its claims were changed after it was signed',
    send: async (gateway) => {
      const token = await issue(gateway, TO_KEY);
      const [one, two] = [await prove(gateway, token, 'GET', '/dpop/1'), await prove(gateway, token, 'GET', '/dpop/1')];
      const forged = [one.split('.')[0], one.split('.')[1], two.split('.')[2]].join('.');
      return gateway.request('GET', '/dpop/1', { token, proof: forged });
    },
  },
];

const policy = { stage: 'policy', status: 403 } as const;
const strength = { error: 'insufficient_user_authentication', acr_values: 'urn:example:loa3', max_age: '600' };

export const POLICY: readonly Refusal[] = [
  {
    reason: 'authentication_insufficient',
    when: 'acr is none of those asked for (RFC 9470 §3)',
    stage: 'policy',
    status: 401,
    challenges: [{ ...BEARER, ...strength }, DPOP],
    send: (gateway) => bearer('/strong/1', { acr: 'urn:example:MARK', auth_time: gateway.now() })(gateway),
  },
  {
    reason: 'authentication_insufficient',
    when: 'the user authenticated too long ago',
    stage: 'policy',
    status: 401,
    challenges: [{ ...BEARER, ...strength }, DPOP],
    send: (gateway) => bearer('/strong/1', { acr: 'urn:example:loa3', auth_time: gateway.now() - 620 })(gateway),
  },
  {
    ...policy,
    reason: 'scope_insufficient',
    when: 'a scope is missing (RFC 6750 §3.1)',
    challenges: [
      { ...BEARER, error: 'insufficient_scope', scope: 'orders:write' },
      { ...DPOP, scope: 'orders:write' },
    ],
    send: bearer('/scope/1', { scope: 'orders:read orders:MARK' }),
  },
  {
    ...policy,
    reason: 'claim_mismatch',
    when: 'a claim has another value; no scope would mend that',
    challenges: onAny('insufficient_scope'),
    send: bearer('/scope/1', { scope: 'orders:write', tenant: 'MARK' }),
  },
  {
    ...policy,
    reason: 'identity_unforwardable',
    when: 'sub would break out of its field',
    challenges: [DPOP, BEARER],
    send: bearer('/any/1', { sub: 'MARK\r\nX-Auth-Scope: admin' }),
  },
  {
    reason: 'rate_limited',
    when: 'its client had the only request of an hour',
    stage: 'policy',
    status: 429,
    challenges: [],
    fields: { 'retry-after': '3600', ratelimit: '"hourly";r=0;t=3600', 'ratelimit-policy': '"hourly";q=1;w=3600' },
    reached: 1,
    wishes: { now: () => STILL },
    send: async (gateway) => {
      assert.equal((await bearer('/rare/1', {})(gateway)).status, 200);
      return bearer('/rare/2', {})(gateway);
    },
  },
];

/** The same proof for both. */
async function twice(gateway: TestGateway, path: string): Promise<Answered> {
  const token = await issue(gateway, TO_KEY);
  const wishes = { token, proof: await prove(gateway, token, 'GET', path) };
  assert.equal((await gateway.request('GET', path, wishes)).status, 200);
  return gateway.request('GET', path, wishes);
}

export const REPLAY: readonly Refusal[] = [
  {
    reason: 'proof_replayed',
    when: 'the proof was used before',
    stage: 'replay',
    status: 401,
    challenges: onDpop('invalid_dpop_proof'),
    reached: 1,
    send: (gateway) => twice(gateway, '/dpop/1'),
  },
  {
    reason: 'replay_store_full',
    when: 'as many proofs are remembered as there is room for',
    stage: 'replay',
    status: 503,
    challenges: [],
    reached: 1,
    wishes: { adjust: (read) => ({ ...read, replay: { ...read.replay, capacity: 1 } }) },
    send: async (gateway) => {
      assert.equal((await dpop(gateway, 'GET', '/dpop/1')).status, 200);
      return dpop(gateway, 'GET', '/dpop/1');
    },
  },
];

/** The policy, but that a route exchanges tokens at this endpoint. */
const exchanging =
  (endpoint: (policy: Policy) => string) =>
  (policy: Policy): Policy => {
    const next = structuredClone(policy);
    const tokenExchange: TokenExchangeRules = {
      endpoint: endpoint(policy),
      clientId: 'gateway',
      credentials: { method: 'client_secret_basic', secret: 'MARK-secret' },
      cache: 30,
    };
    const exchange = { audience: ['orders'], resource: [], scope: [], name: 'orders', form: 'audience=orders' };
    for (const issuer of next.issuers) Object.assign(issuer, { tokenExchange });
    for (const { name, forward } of next.routes) {
      if (name === 'any') Object.assign(forward, { authorization: 'exchange', exchange });
    }
    return next;
  };

export const EXCHANGE: readonly Refusal[] = [
  {
    reason: 'token_exchange_refused',
    when: 'the issuer does not take the token',
    stage: 'exchange',
    status: 401,
    challenges: onAny('invalid_token'),
    // The upstream stands in for the issuer.
    reached: 1,
    wishes: { adjust: exchanging(({ upstreams }) => `${upstreams[0]?.targets[0]?.origin}/token`) },
    send: (gateway) => {
      gateway.upstream.answer = (_request, response) =>
        response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_grant"}');
      return bearer('/any/1', {})(gateway);
    },
  },
  {
    reason: 'token_exchange_unavailable',
    when: 'the issuer does not answer',
    stage: 'exchange',
    status: 503,
    challenges: [],
    fields: { 'retry-after': '5' },
    wishes: { adjust: exchanging(() => 'http://127.0.0.1:1/token') },
    send: bearer('/any/1', {}),
  },
];
