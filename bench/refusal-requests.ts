// One request for each reason that a client can cause, and why the others are not measured.

import { createHash, type KeyObject } from 'node:crypto';
import type { Reason } from '../src/rejection/rejection.ts';
import { contentDigest, signMessage, type SigningWishes } from '../test/support/signing.ts';
import { type Client, makeProof, signProof } from './credentials.ts';

type Fields = readonly (readonly [name: string, value: string])[];

/** What requests are made of. */
export interface Kit {
  readonly origin: string;
  readonly host: string;
  readonly clients: readonly Client[];
  readonly issue: (claims?: object, header?: object) => string;
  /** A client whose key cannot verify messages. */
  readonly unusable: Client;
}

/** What is sent, again and again; most make another proof or token each time. */
export interface Case {
  readonly make: (kit: Kit, nth: number) => string | Promise<string>;
  /** Where it is sent; the default is the listener itself. */
  readonly via?: 'relay' | 'stranger' | 'plain' | 'behind' | 'deciding';
  /** Only the second time is it refused. */
  readonly again?: true;
}

/** A whole request. */
export function request(
  kit: Kit,
  path: string,
  fields: Fields = [],
  { method = 'GET', body = '', host = kit.host } = {},
): string {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...fields.map((one) => one.join(': '))];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

const AWAY = 'no client causes it';
const NO_DIFFERENCE = 'it asks an issuer, and costs what that call costs';

const client = ({ clients }: Kit, nth: number) => clients[nth % clients.length]!;
const plain = (path: string, fields: Fields = [], more: object = {}): Case => ({
  make: (kit) => request(kit, path, fields, more),
});

/** Credentials of the bearer scheme on a route. */
const bearerTo = (path: string, token: (kit: Kit, nth: number) => string, more: Omit<Case, 'make'> = {}): Case => ({
  ...more,
  make: (kit, nth) => request(kit, path, [['Authorization', `Bearer ${token(kit, nth)}`]]),
});
const claims = (some: object, header: object = {}) => bearerTo('/token/x', ({ issue }) => issue(some, header));

type Proof = (kit: Kit, one: Client) => string;
const proofTo = (path: string, proof: Proof): Case => ({
  make(kit, nth) {
    const one = client(kit, nth);
    const fields: Fields = [['Authorization', `DPoP ${one.tokens.dpop}`]];
    return request(kit, path, [...fields, ['DPoP', proof(kit, one)]]);
  },
});
const proofClaims = (some: object, path = '/dpop/x') =>
  proofTo(path, ({ origin }, one) => makeProof(one, 'GET', `${origin}${path}`, some));
const proofHeader = (header: object) =>
  proofTo('/dpop/x', ({ origin }, one) => signProof(one, header, { htm: 'GET', htu: `${origin}/dpop/x` }));

/** A signature whose last octets are others. */
const forged = (jws: string) => `${jws.slice(0, -8)}AAAAAAAA`;
const seconds = () => Math.floor(Date.now() / 1000);

interface Signed {
  readonly wishes?: SigningWishes;
  readonly by?: KeyObject;
  readonly method?: string;
  readonly body?: string;
  /** Without one it is made of the body. */
  readonly digest?: string;
  readonly edit?: (lines: Fields) => Fields;
}

/** A signed request with a good proof. */
const signed = ({ wishes = {}, by, method = 'GET', body = '', digest, edit = (same) => same }: Signed = {}): Case => ({
  async make(kit, nth) {
    const one = client(kit, nth);
    const url = `${kit.origin}/signed/x`;
    const fields: Fields = [
      ['Authorization', `DPoP ${one.tokens.dpop}`],
      ['DPoP', makeProof(one, method, url)],
      ...(body === '' ? [] : ([['Content-Digest', digest ?? contentDigest(body)]] as const)),
    ];
    const made = await signMessage(by ?? one.privateKey, { method, url, fields }, { created: seconds(), ...wishes });
    const length: Fields = body === '' ? [] : [['Content-Length', String(body.length)]];
    return request(kit, '/signed/x', [...fields, ...edit(made), ...length], { method, body });
  },
});
const input = (change: (value: string) => string) => (lines: Fields) =>
  lines.map(([name, value]) => [name, name === 'Signature-Input' ? change(value) : value] as const);

/** Every reason has its request here, or says why not. */
export const REQUESTS: Readonly<Record<Reason, Case | string>> = {
  internal_error: AWAY,
  draining: AWAY,
  tls_required: { ...plain('/public/x'), via: 'plain' },
  request_malformed: plain('/public//x'),
  header_too_large: plain('/public/x', [['X-Large', 'x'.repeat(33_000)]]),
  method_unknown: 'wrk does not send it; it ends its connection, as request_malformed does',
  uri_too_long: plain(`/public/${'x'.repeat(8200)}`),
  request_timed_out: 'it waits for a limit of time',
  expectation_failed: plain('/public/x', [['Expect', 'else']]),
  field_forbidden: plain('/public/x', [['Client_Cert', ':AAAA:']]),
  peer_unknown: { ...plain('/public/x'), via: 'deciding' },
  misdirected: plain('/public/x', [], { host: 'other.example.org' }),
  route_not_found: plain('/nowhere'),
  preflight_refused: plain(
    '/token/x',
    [
      ['Origin', 'https://app.example.com'],
      ['Access-Control-Request-Method', 'GET'],
    ],
    { method: 'OPTIONS' },
  ),
  method_not_allowed: plain('/few/x', [], { method: 'DELETE' }),
  certificate_field_malformed: { ...plain('/mtls/x', [['Client-Cert', ':AAAA:']]), via: 'behind' },

  credentials_in_query: plain('/token/x?access_token=a'),
  credentials_missing: plain('/token/x'),
  credentials_malformed: plain('/token/x', [['Authorization', 'Bearer']]),
  credentials_repeated: plain('/token/x', [
    ['Authorization', 'Bearer a.b.c'],
    ['Authorization', 'Bearer a.b.c'],
  ]),
  scheme_not_accepted: plain('/token/x', [['Authorization', 'Basic YTpi']]),
  proof_missing: {
    make: (kit, nth) => request(kit, '/dpop/x', [['Authorization', `DPoP ${client(kit, nth).tokens.dpop}`]]),
  },
  proof_repeated: {
    make(kit, nth) {
      const one = client(kit, nth);
      const proof = makeProof(one, 'GET', `${kit.origin}/dpop/x`);
      const fields: Fields = [['Authorization', `DPoP ${one.tokens.dpop}`]];
      return request(kit, '/dpop/x', [...fields, ['DPoP', proof], ['DPoP', proof]]);
    },
  },

  token_malformed: claims({}, { crit: ['b64'] }),
  token_issuer_unknown: claims({ iss: 'https://elsewhere.example.com' }),
  token_algorithm_refused: claims({}, { alg: 'HS256' }),
  token_key_unknown: claims({}, { kid: 'unknown' }),
  issuer_unavailable: AWAY,
  introspection_queue_full: NO_DIFFERENCE,
  token_signature_invalid: bearerTo('/token/x', ({ issue }) => forged(issue())),
  token_type_refused: claims({}, { typ: 'dpop+jwt' }),
  token_claim_invalid: claims({ sub: 5 }),
  token_expired: bearerTo('/token/x', ({ issue }) => issue({ exp: seconds() - 600 })),
  token_not_yet_valid: bearerTo('/token/x', ({ issue }) => issue({ nbf: seconds() + 600 })),
  token_audience_mismatch: claims({ aud: 'https://other.example.com' }),
  token_inactive: NO_DIFFERENCE,

  confirmation_unsupported: claims({ cnf: {} }),
  binding_required: bearerTo('/dpop/x', (kit, nth) => client(kit, nth).tokens.bearer),
  binding_downgraded: bearerTo('/token/x', (kit, nth) => client(kit, nth).tokens.dpop),

  certificate_missing: bearerTo('/mtls/x', (kit, nth) => client(kit, nth).tokens.mtls),
  certificate_untrusted: bearerTo('/mtls/x', (kit, nth) => client(kit, nth).tokens.mtls, { via: 'stranger' }),
  certificate_mismatch: bearerTo(
    '/mtls/x',
    ({ issue }) => issue({ cnf: { 'x5t#S256': createHash('sha256').update('another').digest('base64url') } }),
    { via: 'relay' },
  ),

  proof_malformed: proofTo('/dpop/x', () => 'a.b.c'),
  proof_type_invalid: proofHeader({ typ: 'jwt' }),
  proof_algorithm_refused: proofHeader({ alg: 'none' }),
  proof_key_invalid: proofHeader({ jwk: { kty: 'oct', k: 'AAAA' } }),
  proof_key_mismatch: {
    make(kit, nth) {
      const proof = makeProof(client(kit, nth + 1), 'GET', `${kit.origin}/dpop/x`);
      return request(kit, '/dpop/x', [
        ['Authorization', `DPoP ${client(kit, nth).tokens.dpop}`],
        ['DPoP', proof],
      ]);
    },
  },
  proof_method_mismatch: proofClaims({ htm: 'POST' }),
  proof_uri_mismatch: proofClaims({ htu: 'https://else.example/dpop/x' }),
  proof_token_mismatch: proofClaims({ ath: 'x'.repeat(43) }),
  nonce_required: proofClaims({}, '/nonce/x'),
  nonce_stale: proofClaims({ nonce: 'else' }, '/nonce/x'),
  proof_stale: proofTo('/dpop/x', ({ origin }, one) =>
    makeProof(one, 'GET', `${origin}/dpop/x`, { iat: seconds() - 600 }),
  ),
  proof_from_future: proofTo('/dpop/x', ({ origin }, one) =>
    makeProof(one, 'GET', `${origin}/dpop/x`, { iat: seconds() + 600 }),
  ),
  proof_signature_invalid: proofTo('/dpop/x', ({ origin }, one) => forged(makeProof(one, 'GET', `${origin}/dpop/x`))),

  signature_missing: signed({ edit: () => [] }),
  signature_repeated: signed({ edit: input((value) => `${value}, b=("@method");created=1`) }),
  signature_malformed: signed({ wishes: { created: null } }),
  signature_key_unusable: {
    async make(kit) {
      const one = kit.unusable;
      const url = `${kit.origin}/signed/x`;
      const fields: Fields = [
        ['Authorization', `DPoP ${one.tokens.dpop}`],
        ['DPoP', signProof(one, { alg: 'ES512' }, { htm: 'GET', htu: url })],
      ];
      const made = await signMessage(kit.clients[0]!.privateKey, { method: 'GET', url, fields });
      return request(kit, '/signed/x', [...fields, ...made]);
    },
  },
  signature_key_mismatch: signed({ wishes: { keyid: 'x'.repeat(43) } }),
  signature_algorithm_refused: signed({ wishes: { alg: 'hmac-sha256' } }),
  signature_component_refused: signed({
    wishes: { covered: ['@method', '@target-uri', 'authorization', 'dpop', '@request-target'] },
  }),
  signature_component_missing: signed({ wishes: { covered: ['@method', '@target-uri', 'authorization'] } }),
  signature_stale: { make: (kit, nth) => signed({ wishes: { created: seconds() - 600 } }).make(kit, nth) },
  signature_from_future: { make: (kit, nth) => signed({ wishes: { created: seconds() + 600 } }).make(kit, nth) },
  content_digest_invalid: signed({ method: 'POST', body: 'x', digest: 'md5=:AAAA:' }),
  signature_invalid: { make: (kit, nth) => signed({ by: client(kit, nth + 1).privateKey }).make(kit, nth) },

  authentication_insufficient: bearerTo('/strong/x', (kit, nth) => client(kit, nth).tokens.bearer),
  scope_insufficient: bearerTo('/scope/x', (kit, nth) => client(kit, nth).tokens.bearer),
  claim_mismatch: bearerTo('/tenant/x', (kit, nth) => client(kit, nth).tokens.bearer),
  identity_unforwardable: bearerTo('/token/x', ({ issue }) => issue({ sub: 'a\r\nb' })),
  rate_limited: { ...bearerTo('/rare/x', (kit) => client(kit, 0).tokens.bearer), again: true },
  rate_store_unavailable: AWAY,

  proof_replayed: { ...proofOnce(), again: true },
  signature_replayed: 'as proof_replayed, behind the verification of the signature',
  replay_store_full: 'as proof_replayed; it takes as many live proofs as the store holds',
  replay_store_unavailable: AWAY,

  token_exchange_refused: NO_DIFFERENCE,
  token_exchange_unavailable: AWAY,
  token_exchange_queue_full: NO_DIFFERENCE,

  body_too_large: plain('/small/x', [['Content-Length', '1025']], { method: 'POST', body: 'x'.repeat(1025) }),
  content_digest_mismatch: 'it is forwarded, and refused in the middle',
  upstream_absent: AWAY,
  upstream_without_targets: AWAY,
  upstream_queue_full: 'it waits for a limit of time',
  upstream_circuit_open: AWAY,
  upstream_unreachable: AWAY,
  upstream_invalid: AWAY,
  upstream_timed_out: AWAY,
};

/** The same proof each time. */
function proofOnce(): Case {
  const made = new WeakMap<Kit, string>();
  const { make } = proofClaims({});
  return {
    async make(kit) {
      const text = made.get(kit) ?? (await make(kit, 0));
      made.set(kit, text);
      return text;
    },
  };
}
