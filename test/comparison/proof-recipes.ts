// Recipes of DPoP proofs: good ones, mutated ones and noise.

import fc from 'fast-check';
import { editOf, json, singleEdits, type Worth, words } from './edits.ts';
import type { Edit, Part } from './recipe.ts';

export const KEY_NAMES = ['ES256', 'ES384', 'ES512', 'EdDSA', 'PS256', 'RS256', 'long exponent'] as const;
export type KeyName = (typeof KEY_NAMES)[number];

export interface ProofRecipe {
  readonly key: KeyName;
  readonly method: string;
  readonly path: string;
  readonly rule: 'none' | 'required' | 'on-skew';
  /** The nonce in the proof. */
  readonly nonce: 'none' | 'live' | 'expired' | 'foreign';
  /** The replay store began half a minute ago. */
  readonly restarted: boolean;
  /** What `cnf.jkt` of the token is the thumbprint of: the key, the edited `jwk` of the header, another key. */
  readonly boundTo: 'key' | 'edited' | 'other';
  readonly edits: readonly Edit[];
}

/** Moment of all requests, a whole second, because jose knows no fractions. */
export const NOW = 1_800_000_000;
export const ORIGIN = 'https://api.example.com';

const GOOD: ProofRecipe = {
  key: 'ES256',
  method: 'GET',
  path: '/orders/1',
  rule: 'none',
  nonce: 'none',
  restarted: false,
  boundTo: 'key',
  edits: [],
};
export const recipe = (over: Partial<ProofRecipe>): ProofRecipe => ({ ...GOOD, ...over });

const onOrigin = (ends: string, path = '') => words(ends).map((end) => `${ORIGIN}${path}${end}`);

const setTo = (part: Part, member: string, json: string): Edit => ({ edit: 'set', part, member, json });
export const setHeader = (member: string, value: unknown) => setTo('header', member, JSON.stringify(value));
export const setJwk = (member: string, value: unknown) => setTo('jwk', member, JSON.stringify(value));
export const setClaim = (member: string, value: unknown) => setTo('claims', member, JSON.stringify(value));
export const setRaw = (member: string, json: string) => setTo('claims', member, json);

/** The target URI spelled otherwise, URIs of others, and what only browsers take for a URI. */
const HTU = [
  ...onOrigin('?a=b #f ?# / ;p=1', '/orders/1'),
  ...onOrigin('//orders/1 /%6frders/1 /%6Frders/1 /orders%2f1 /a%2fb /a%2Fb /ORDERS/1 /orders/%31'),
  ...onOrigin('/x/../orders/1 /./orders/1 /x/%2e%2e/orders/1 /orders/1/.'),
  ...onOrigin(':443/orders/1 :/orders/1 :8443/orders/1 ./orders/1 :443 /'),
  ...words('HTTPS://API.EXAMPLE.COM/orders/1 http://api.example.com/orders/1 https://%61pi.example.com/orders/1'),
  ...words(
    'https://user@api.example.com/orders/1 https:/api.example.com/orders/1 https:\\\\api.example.com\\orders\\1',
  ),
  ...['', ' ', '\n', '#ü', '?q=a b'].map((end) => `${ORIGIN}/orders/1${end}`),
  ` ${ORIGIN}/orders/1`,
  '/orders/1',
  ORIGIN,
];

const WORTH: Worth = {
  header: {
    typ: json('DPOP+JWT', 'application/dpop+jwt', 'APPLICATION/DPOP+JWT', 'dpop+jwt ', 'JWT', 'at+jwt', 'a/dpop+jwt'),
    alg: json(
      'none',
      'HS256',
      'ES256',
      'ES384',
      'RS256',
      'PS256',
      'PS512',
      'EdDSA',
      'Ed25519',
      'es256',
      'ES256K',
      'constructor',
    ),
    crit: json(['b64'], ['exp'], []),
    b64: json(true, false),
    kid: json('k1'),
    jku: json('https://evil.example/'),
    jwk: json({ kty: 'oct', k: 'AAAA' }),
  },
  jwk: {
    kty: json('EC', 'RSA', 'OKP', 'oct', 'ec'),
    crv: json('P-256', 'P-384', 'P-521', 'Ed25519', 'X25519', 'secp256k1'),
    x: json('AAAA'),
    y: json('AAAA'),
    n: json('AQAB'),
    e: json('AQAB', 'Aw', 'AQ', 'AA', 'AAEAAQ', 'AQAA'),
    use: json('sig', 'enc'),
    key_ops: json(['verify'], ['sign'], ['verify', 'verify'], ['sign', 'verify'], ['verify', 5]),
    alg: json('ES256', 'EdDSA', 'Ed25519', 'RS256', 'PS256', 'RS512', 'none'),
    ext: json('true'),
    d: json('AAAA'),
    p: json('AAAA'),
    k: json('AAAA'),
    kid: json('k1'),
    x5c: json(['AAAA']),
  },
  claims: {
    jti: json('é'.repeat(128), 'é'.repeat(129), 'a'.repeat(256), 'a'.repeat(257), '\ud800'),
    htm: json('GET', 'POST', 'get', 'GET ', 'HEAD'),
    htu: json(...HTU),
    iat: json(
      NOW - 60,
      NOW - 60.001,
      NOW - 61,
      NOW + 15,
      NOW + 15.001,
      NOW + 16,
      NOW - 29,
      NOW - 31,
      NOW * 1000,
      1e300,
    ),
    ath: json('fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo'),
    exp: json(NOW, NOW - 14, NOW - 15, NOW - 16, NOW + 60),
    nbf: json(NOW, NOW + 15, NOW + 16, NOW - 60),
    nonce: json('x', 'A'.repeat(30)),
    iss: json('https://login.example.com'),
    sub: json('alice'),
  },
};

const edit = editOf(WORTH);

/** Good proofs with one mutation, all of them. */
export const SINGLE_MUTATIONS: readonly ProofRecipe[] = singleEdits(WORTH).map((edit) => {
  const ofRsa = 'member' in edit && /^[ne]$/.test(edit.member);
  return recipe({ key: ofRsa ? 'RS256' : 'ES256', boundTo: 'edited', edits: [edit] });
});

/** Edits after which a proof is as good as before. */
const harmless: fc.Arbitrary<Edit> = fc.oneof(
  fc.string({ minLength: 1, maxLength: 64 }).map((jti) => setClaim('jti', jti)),
  fc.integer({ min: NOW - 60, max: NOW + 15 }).map((iat) => setClaim('iat', iat)),
  fc.tuple(fc.stringMatching(/^x[a-z]{3,9}$/), fc.jsonValue()).map(([name, value]) => setClaim(name, value)),
  fc.tuple(fc.stringMatching(/^x[a-z]{3,9}$/), fc.jsonValue()).map(([name, value]) => setHeader(name, value)),
  fc.integer({ min: NOW - 14, max: NOW + 600 }).map((exp) => setClaim('exp', exp)),
  fc.constantFrom('DPOP+JWT', 'dpop+jwt').map((typ) => setHeader('typ', typ)),
  fc.constant(setJwk('use', 'sig')),
  fc.constant(setJwk('key_ops', ['verify'])),
);

const paths = fc.constantFrom(
  '/',
  '/orders/1',
  '/a%2Fb',
  '/a[1]',
  '/%C3%A9',
  '/orders/1;p=1',
  '/ORDERS/1',
  '/orders/1/',
);
// RSA takes its time: it gets one proof in five.
const keys = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<KeyName>('ES256', 'EdDSA', 'ES256', 'ES384', 'ES512') },
  { weight: 2, arbitrary: fc.constantFrom<KeyName>(...KEY_NAMES) },
);
const method = fc.constantFrom('GET', 'POST', 'M-SEARCH', 'get');

const good = fc.record({
  key: keys,
  method,
  path: paths,
  rule: fc.constantFrom<ProofRecipe['rule'][]>('none', 'none', 'on-skew', 'required'),
  nonce: fc.constant<ProofRecipe['nonce']>('live'),
  restarted: fc.boolean(),
  boundTo: fc.constant<ProofRecipe['boundTo']>('key'),
  edits: fc.array(harmless, { maxLength: 3 }),
});
const withoutNonce = good.map(
  (one): ProofRecipe => ({ ...one, nonce: 'none', rule: one.rule === 'required' ? 'none' : one.rule }),
);
const mutated = fc.record({
  key: keys,
  method: fc.constantFrom('GET', 'GET', 'POST'),
  path: fc.constantFrom('/orders/1', '/', '/a%2Fb'),
  rule: fc.constantFrom<ProofRecipe['rule'][]>('none', 'none', 'none', 'required', 'on-skew'),
  nonce: fc.constantFrom<ProofRecipe['nonce'][]>('none', 'none', 'none', 'live', 'expired', 'foreign'),
  restarted: fc.constantFrom(false, false, true),
  boundTo: fc.constantFrom<ProofRecipe['boundTo'][]>('edited', 'edited', 'key', 'other'),
  edits: fc.array(edit, { minLength: 1, maxLength: 2 }),
});
const noise = fc
  .oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.array(fc.base64String(), { minLength: 1, maxLength: 5 }).map((all) => all.join('.')),
  )
  .map((text) =>
    recipe({
      edits: [
        { edit: 'respellText', part: 'signature', how: 'empty' },
        { edit: 'spoil', part: 'whole', at: 0, text: `${text}.` },
      ],
    }),
  );

/** A third good, most of the rest with one or two mutations, a little noise. */
export const proofRecipes: fc.Arbitrary<ProofRecipe> = fc.oneof(
  { weight: 3, arbitrary: good },
  { weight: 3, arbitrary: withoutNonce },
  { weight: 12, arbitrary: mutated },
  { weight: 1, arbitrary: noise },
);
