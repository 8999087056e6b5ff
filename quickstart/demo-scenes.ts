// The scenes of the demo: good requests and thefts, each with its expected outcome.

import { X509Certificate } from 'node:crypto';
import type { JWK } from 'jose';
import type { Reason } from '../src/rejection/rejection.ts';
import { makeProof, sendWithProof } from './dpop-client.ts';
import type { Answer } from './answer.ts';
import type { Party, TokenKind } from './parties.ts';

/** One request on the wire and its answer; `trace` finds it at the upstream. */
export interface Exchange {
  readonly answer: Answer;
  readonly trace: string;
}

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly fields?: Readonly<Record<string, string>>;
}

/** What a scene plays with: the tokens are those of the rightful holder, and a thief has them too. */
export interface Stage {
  /** Origin of the gateway. */
  readonly gateway: string;
  readonly tokens: Readonly<Record<TokenKind, string>>;
  /** The key to which the dpop token is bound, and one of the thief's own. */
  readonly holderKey: JWK;
  readonly thiefKey: JWK;
  /** PEM texts; certificates are public. */
  readonly certificates: { readonly alice: string; readonly mallory: string };
  readonly send: (party: Party, sent: Sent) => Promise<Exchange>;
}

export interface Scene {
  readonly who: 'holder' | 'thief';
  readonly tried: string;
  /** Expected: the statuses in order, the reason of the last problem document, and what `describeSeen` says of the last request. */
  readonly answers: readonly number[];
  readonly reason?: Reason;
  readonly saw: string;
  readonly play: (stage: Stage) => Promise<readonly Exchange[]>;
}

const bearer = (accessToken: string) => ({ Authorization: `Bearer ${accessToken}` });

/** Token and proof, sent as DPoP wants it; `proof` says in what the proof differs from a good one. */
async function dpopFields(
  { gateway, tokens, holderKey }: Stage,
  path: string,
  proof: { readonly key?: JWK; readonly method?: string } = {},
): Promise<Record<string, string>> {
  const { key = holderKey, method = 'GET' } = proof;
  const parts = { method, url: gateway + path, accessToken: tokens.dpop };
  return { Authorization: `DPoP ${tokens.dpop}`, DPoP: await makeProof(key, parts) };
}

/** As a good client does it: with a fresh proof, and once more if a nonce is asked for. */
function sendAsHolder(stage: Stage, path: string, clockOffset = 0): Promise<Exchange[]> {
  const parts = { method: 'GET', url: stage.gateway + path, accessToken: stage.tokens.dpop, clockOffset };
  return sendWithProof(stage.holderKey, parts, (fields) => stage.send('nobody', { path, fields }));
}

/** RFC 9440 §2.1, as the client of a gateway must never get away with sending it. */
const clientCert = (pem: string) => `:${new X509Certificate(pem).raw.toString('base64')}:`;

/** The value in every identity field that the demo forges. */
export const FORGED = 'forged-admin';

/** The token with another `sub` and its old signature. */
function withChangedClaim(token: string): string {
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
  const changed = Buffer.from(JSON.stringify({ ...claims, sub: FORGED })).toString('base64url');
  return `${header}.${changed}.${signature}`;
}

const GOOD: readonly Omit<Scene, 'who'>[] = [
  {
    tried: 'no token, forged X-Auth-Subject, public route',
    answers: [200],
    saw: 'no identity',
    play: async ({ send }) => {
      const fields = { 'X-Auth-Subject': FORGED };
      return [await send('nobody', { path: '/healthz', fields })];
    },
  },
  {
    tried: 'unbound token as Bearer, where that is allowed',
    answers: [200],
    saw: 'bearer-client (none)',
    play: async ({ send, tokens }) => [await send('nobody', { path: '/legacy/1', fields: bearer(tokens.bearer) })],
  },
  {
    tried: 'DPoP-bound token with a fresh proof',
    answers: [200],
    saw: 'dpop-client (dpop)',
    play: (stage) => sendAsHolder(stage, '/orders/1'),
  },
  {
    tried: "certificate-bound token, with alice's certificate",
    answers: [200],
    saw: 'mtls-client (mtls, CN=alice)',
    play: async ({ send, tokens }) => [await send('alice', { path: '/partners/1', fields: bearer(tokens.mtls) })],
  },
  {
    tried: 'DPoP-bound token, on the route that takes both',
    answers: [200],
    saw: 'dpop-client (dpop)',
    play: (stage) => sendAsHolder(stage, '/anything/1'),
  },
  {
    tried: 'certificate-bound token, on the same route',
    answers: [200],
    saw: 'mtls-client (mtls)',
    play: async ({ send, tokens }) => [await send('alice', { path: '/anything/1', fields: bearer(tokens.mtls) })],
  },
  {
    tried: 'nonce demanded: sent again with the nonce',
    answers: [401, 200],
    reason: 'nonce_required',
    saw: 'dpop-client (dpop)',
    play: (stage) => sendAsHolder(stage, '/nonce/1'),
  },
  {
    tried: 'clock an hour slow: sent again with the nonce',
    answers: [401, 200],
    reason: 'nonce_required',
    saw: 'dpop-client (dpop)',
    play: (stage) => sendAsHolder(stage, '/orders/1', -3600),
  },
  {
    tried: 'good request with forged Client-Cert and X-Auth-*',
    answers: [200],
    saw: 'mtls-client (mtls, CN=alice)',
    play: async ({ send, tokens, certificates }) => {
      const forged = {
        'Client-Cert': clientCert(certificates.mallory),
        'X-Auth-Subject': FORGED,
        'X-Auth-Client': FORGED,
        'X-Auth-Scope': FORGED,
      };
      return [await send('alice', { path: '/partners/1', fields: { ...bearer(tokens.mtls), ...forged } })];
    },
  },
  {
    tried: 'preflight of a browser application',
    answers: [204],
    saw: 'nothing',
    play: async ({ send }) => {
      const fields = { Origin: 'https://app.example.com', 'Access-Control-Request-Method': 'GET' };
      return [await send('nobody', { method: 'OPTIONS', path: '/browser/1', fields })];
    },
  },
];

const THEFTS: readonly Omit<Scene, 'who' | 'saw'>[] = [
  {
    tried: 'no token at all',
    answers: [401],
    reason: 'credentials_missing',
    play: async ({ send }) => [await send('nobody', { path: '/orders/1' })],
  },
  {
    tried: 'stolen DPoP token without a proof',
    answers: [401],
    reason: 'proof_missing',
    play: async ({ send, tokens }) => [
      await send('nobody', { path: '/orders/1', fields: { Authorization: `DPoP ${tokens.dpop}` } }),
    ],
  },
  {
    tried: 'stolen DPoP token sent as Bearer',
    answers: [401],
    reason: 'binding_downgraded',
    play: async ({ send, tokens }) => [await send('nobody', { path: '/legacy/1', fields: bearer(tokens.dpop) })],
  },
  {
    tried: "stolen DPoP token with a proof by the thief's key",
    answers: [401],
    reason: 'proof_key_mismatch',
    play: async (stage) => {
      const fields = await dpopFields(stage, '/orders/1', { key: stage.thiefKey });
      return [await stage.send('nobody', { path: '/orders/1', fields })];
    },
  },
  {
    tried: 'whole request overheard and sent again',
    answers: [200, 401],
    reason: 'proof_replayed',
    play: async (stage) => {
      const fields = await dpopFields(stage, '/orders/1');
      const sent = { path: '/orders/1', fields };
      return [await stage.send('nobody', sent), await stage.send('nobody', sent)];
    },
  },
  {
    tried: 'proof for another URL',
    answers: [401],
    reason: 'proof_uri_mismatch',
    play: async (stage) => {
      const fields = await dpopFields(stage, '/orders/2');
      return [await stage.send('nobody', { path: '/orders/1', fields })];
    },
  },
  {
    tried: 'proof for another method',
    answers: [401],
    reason: 'proof_method_mismatch',
    play: async (stage) => {
      const fields = await dpopFields(stage, '/orders/1', { method: 'GET' });
      return [await stage.send('nobody', { method: 'DELETE', path: '/orders/1', fields })];
    },
  },
  {
    tried: 'unbound token where a bound one is demanded',
    answers: [401],
    reason: 'binding_required',
    play: async ({ send, tokens }) => [await send('nobody', { path: '/orders/1', fields: bearer(tokens.bearer) })],
  },
  {
    tried: "certificate-bound token with mallory's certificate",
    answers: [401],
    reason: 'certificate_mismatch',
    play: async ({ send, tokens }) => [await send('mallory', { path: '/partners/1', fields: bearer(tokens.mtls) })],
  },
  {
    tried: "no certificate, alice's in a forged Client-Cert",
    answers: [401],
    reason: 'certificate_missing',
    play: async ({ send, tokens, certificates }) => {
      const fields = { ...bearer(tokens.mtls), 'Client-Cert': clientCert(certificates.alice) };
      return [await send('nobody', { path: '/partners/1', fields })];
    },
  },
  {
    tried: 'token with a changed claim',
    answers: [401],
    reason: 'token_signature_invalid',
    play: async ({ send, tokens }) => [
      await send('nobody', { path: '/legacy/1', fields: bearer(withChangedClaim(tokens.bearer)) }),
    ],
  },
  {
    tried: 'expired token',
    answers: [401],
    reason: 'token_expired',
    play: async ({ send, tokens }) => [await send('nobody', { path: '/legacy/1', fields: bearer(tokens.expired) })],
  },
];

export const SCENES: readonly Scene[] = [
  ...GOOD.map((scene) => ({ who: 'holder' as const, ...scene })),
  ...THEFTS.map((scene) => ({ who: 'thief' as const, saw: 'nothing', ...scene })),
];
