// Refusals of message signatures, and of bodies that are not the signed ones.

import { KeyObject } from 'node:crypto';
import type { TestGateway } from '../support/gateway.ts';
import { contentDigest } from '../support/signing.ts';
import { HOLDER, issue, prove, THIEF } from './credentials.ts';
import { BEARER, DPOP, type Refusal } from './refusal.ts';
import { edit, type Edit, makeSigned, type SignedWishes, sendSigned } from './signed-requests.ts';
import { makeKey } from '../support/tokens.ts';

const ACCEPT = 'sig=("@method" "@target-uri" "authorization" "dpop");created';
const signature = {
  stage: 'signature',
  status: 401,
  challenges: [DPOP, BEARER],
  fields: { 'accept-signature': ACCEPT },
} as const;
const P521 = await makeKey('ES512');

const sent = (wishes: SignedWishes, change?: Edit) => (gateway: TestGateway) => sendSigned(gateway, wishes, change);
const input = (change: (value: string) => string) => edit('Signature-Input', change);
/** Signed so many seconds before it is sent. */
const sentAfter = (seconds: number) => (gateway: TestGateway) =>
  sendSigned(gateway, { created: gateway.now() - seconds });

export const SIGNATURE: readonly Refusal[] = [
  {
    ...signature,
    reason: 'signature_missing',
    when: 'a request whose proof is good is not signed',
    send: sent({}, (request) => edit('Signature', () => undefined)(edit('Signature-Input', () => undefined)(request))),
  },
  {
    ...signature,
    reason: 'signature_missing',
    when: 'its signature has another tag than the route asks for',
    fields: { 'accept-signature': `${ACCEPT};tag="orders"` },
    send: sent({ path: '/tagged/1', tag: 'else' }),
  },
  {
    ...signature,
    reason: 'signature_repeated',
    when: 'it has two',
    send: sent(
      {},
      input((value) => `${value}, b=("@method");created=1`),
    ),
  },
  { ...signature, reason: 'signature_malformed', when: 'it has no created', send: sent({ created: null }) },
  {
    ...signature,
    reason: 'signature_key_unusable',
    when: 'its token is bound to a key P-521',
    wishes: {
      more: 'drain: { delay: 0s, grace: 5s }\ndefaults: { dpop: { algorithms: [ES512] } }',
      routes: '- { name: signed, match: { path: /signed/* }, upstream: orders, signature: {} }',
    },
    challenges: [{ ...DPOP, algs: 'ES512' }, BEARER],
    async send(gateway) {
      const token = await issue(gateway, { cnf: { jkt: P521.jkt } });
      const { method, path, request } = await makeSigned(gateway, { token });
      const proof = await prove(gateway, token, method, path, { key: P521 });
      return gateway.request(method, path, { ...request, proof });
    },
  },
  { ...signature, reason: 'signature_key_mismatch', when: 'it names another key', send: sent({ keyid: THIEF.jkt }) },
  {
    ...signature,
    reason: 'signature_algorithm_refused',
    when: 'it names a symmetric algorithm',
    send: sent({ keyid: HOLDER.jkt, alg: 'hmac-sha256' }),
  },
  {
    ...signature,
    reason: 'signature_component_refused',
    when: 'it covers the request target',
    send: sent({ covered: ['@method', '@target-uri', 'authorization', 'dpop', '@request-target'] }),
  },
  {
    ...signature,
    reason: 'signature_component_missing',
    when: 'it does not cover the proof',
    send: sent({ covered: ['@method', '@target-uri', 'authorization'] }),
  },
  {
    ...signature,
    reason: 'signature_component_missing',
    when: 'a body was added',
    fields: { 'accept-signature': ACCEPT.replace(')', ' "content-digest")') },
    send: sent({ method: 'POST' }, (request) => ({ ...request, body: 'x' })),
  },
  { ...signature, reason: 'signature_stale', when: 'it is too old', send: sentAfter(62) },
  { ...signature, reason: 'signature_from_future', when: 'it is dated in the future', send: sentAfter(-30) },
  {
    ...signature,
    reason: 'content_digest_invalid',
    when: 'the digest has no known algorithm',
    status: 400,
    challenges: [],
    fields: { 'want-content-digest': 'sha-256=10, sha-512=10' },
    send: sent({ body: 'x', fields: [['Content-Digest', 'md5=:AAAA:']] }),
  },
  {
    ...signature,
    reason: 'signature_invalid',
    when: "it was made by the thief's key",
    send: sent({ by: KeyObject.from(THIEF.privateKey) }),
  },
];

export const SIGNATURE_REPLAY: readonly Refusal[] = [
  {
    ...signature,
    reason: 'signature_replayed',
    when: 'a signature by a certificate was used before',
    stage: 'replay',
    reached: 1,
    fields: {},
    async send(gateway) {
      const { method, path, request } = await makeSigned(gateway, { certificate: true });
      await gateway.request(method, path, request);
      return gateway.request(method, path, request);
    },
  },
];

export const BODY: readonly Refusal[] = [
  {
    reason: 'content_digest_mismatch',
    when: 'the body is another one than was signed',
    stage: 'upstream',
    status: 400,
    challenges: [],
    send: sent({ body: 'pay 1' }, (request) => ({ ...request, body: 'pay 9' })),
  },
  {
    reason: 'content_digest_mismatch',
    when: 'there is no body any more',
    stage: 'upstream',
    status: 400,
    challenges: [],
    send: sent({
      method: 'POST',
      fields: [
        ['Content-Digest', contentDigest('pay 1')],
        ['Content-Length', '0'],
      ],
    }),
  },
];
