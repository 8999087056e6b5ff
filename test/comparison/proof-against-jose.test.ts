// Verification of DPoP proofs, judged by jose and by RFC 9449 §4.3 written out again.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { LRUCache } from 'lru-cache';
import { type ProofKeyCache, type ProofTerms, verifyProof } from '../../src/proof/dpop-proof.ts';
import { NonceKeys } from '../../src/proof/nonce.ts';
import { Rejection } from '../../src/rejection/rejection.ts';
import { sha256 } from '../../src/jose/thumbprint.ts';
import { ath, makeKey, type TestKey } from '../support/tokens.ts';
import { compareAll, type Trial, TRIALS } from './comparing.ts';
import { assertDocumented, type Decision, explain } from './documented.ts';
import {
  hasBackslashInName,
  hasByteOrderMark,
  hasOtherSpelling,
  hasRepeatedMember,
  isCanonical,
  isInfinite,
  type LenientJws,
  readLeniently,
} from './jose-parts.ts';
import { makeLongExponentKey } from './long-exponent.ts';
import {
  KEY_NAMES,
  type KeyName,
  NOW,
  ORIGIN,
  type ProofRecipe,
  proofRecipes,
  recipe,
  SINGLE_MUTATIONS,
  setClaim,
  setHeader,
  setJwk,
  setRaw,
} from './proof-recipes.ts';
import { cook, membersOf } from './recipe.ts';
import { type JudgedRequest, judgeProof } from './rfc9449.ts';

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];
const RULES = { maxAge: 60, clockTolerance: 15, algorithms: ALGORITHMS };
const TOKEN = 'token';
const nonces = new NonceKeys([], 120);
/** The nonces that a recipe can ask for. */
const NONCES = {
  none: undefined,
  live: nonces.mint(NOW - 10),
  expired: nonces.mint(NOW - 125),
  foreign: new NonceKeys([], 120).mint(NOW),
};
/** One for all proofs: whether a key was seen before must not show. */
const warm: ProofKeyCache = new LRUCache({ max: 1000 });

let keys: Readonly<Record<KeyName, TestKey>>;
let otherKey: TestKey;
before(async () => {
  const made = KEY_NAMES.map(async (name) => [
    name,
    name === 'long exponent' ? await makeLongExponentKey() : await makeKey(name),
  ]);
  keys = Object.fromEntries(await Promise.all(made)) as typeof keys;
  otherKey = await makeKey();
});

/** One proof in its request. */
interface Input {
  readonly proof: string;
  readonly jws: LenientJws;
  readonly asked: ProofRecipe;
}

async function attempt(asked: ProofRecipe): Promise<Trial> {
  const key = keys[asked.key];
  const uri = `${ORIGIN}${asked.path}`;
  const header = { typ: 'dpop+jwt', alg: key.alg, jwk: key.jwk };
  const claims = { jti: 'a', htm: asked.method, htu: uri, iat: NOW, ath: ath(TOKEN), nonce: NONCES[asked.nonce] };
  const proof = await cook(key, { header: membersOf(header), claims: membersOf(claims) }, asked.edits);
  const jws = readLeniently(proof);
  const jkt = await boundTo(asked, key, jws);

  const terms: ProofTerms = {
    method: asked.method,
    targetUri: uri,
    ath: sha256(TOKEN),
    jkt,
    rules: { ...RULES, nonce: asked.rule },
    now: NOW,
    rememberedSince: asked.restarted ? NOW - 30 : 0,
    rememberFor: 75,
    shorterMemories: [],
    nonces,
    keys: new LRUCache({ max: 10 }),
  };
  const ours = outcome(proof, terms);
  assert.equal(outcome(proof, { ...terms, keys: warm }), ours, 'a cached key makes a difference');
  assert.equal(outcome(proof, { ...terms, keys: warm }), ours, 'a cached key makes a difference');
  const request: JudgedRequest = {
    ...RULES,
    method: asked.method,
    uri,
    accessToken: TOKEN,
    jkt,
    now: NOW,
    nonces: new Set([NONCES.live]),
    nonceRequired: asked.rule === 'required',
  };
  return { ours, theirs: await judgeProof(proof, request), decision: explain(DECISIONS, ours, { proof, jws, asked }) };
}

async function boundTo(asked: ProofRecipe, key: TestKey, { jwk }: LenientJws): Promise<string> {
  if (asked.boundTo === 'other') return otherKey.jkt;
  if (asked.boundTo === 'key') return key.jkt;
  return calculateJwkThumbprint(jwk as JWK).catch(() => key.jkt);
}

function outcome(proof: string, terms: ProofTerms): string {
  const result = verifyProof(proof, terms);
  return result instanceof Rejection ? result.reason : 'accepted';
}

const KEY_MEMBERS = ['x', 'y', 'n', 'e'];
const SIZES: Readonly<Record<string, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66, Ed25519: 32 };

function isOddlySpelledKey({ jws: { jwk } }: Input): boolean {
  const texts = KEY_MEMBERS.map((member) => jwk[member]).filter((value) => typeof value === 'string');
  if (!texts.every(isCanonical)) return true;
  const bytes = texts.map((text) => Buffer.from(text, 'base64url'));
  if (jwk.kty === 'RSA') return bytes.some(([first]) => first === 0);
  return bytes.some(({ length }) => length !== SIZES[String(jwk.crv)]);
}

function hasOddRsaNumbers({ jws: { jwk } }: Input): boolean {
  const [bits, exponent] = [jwk.n, jwk.e].map((value) =>
    BigInt(`0x0${Buffer.from(String(value), 'base64url').toString('hex')}`),
  );
  return (
    jwk.kty === 'RSA' && (bits! >= 2n ** 4096n || exponent! >= 2n ** 32n || exponent! < 3n || exponent! % 2n === 0n)
  );
}

const htuOf = ({ jws }: Input) => String(jws.claims.htu);

/** In the order in which they are tried; each is a row of docs/comparison.md. */
const DECISIONS: readonly Decision<Input>[] = [
  { name: 'repeated member', ours: ['proof_malformed'], applies: ({ jws }) => hasRepeatedMember(jws) },
  { name: 'base64url spelled otherwise', ours: ['proof_malformed'], applies: ({ jws }) => hasOtherSpelling(jws) },
  { name: 'byte order mark', ours: ['proof_malformed'], applies: ({ jws }) => hasByteOrderMark(jws) },
  { name: 'backslash in a member name', ours: ['proof_malformed'], applies: ({ jws }) => hasBackslashInName(jws) },
  {
    name: '`crit` or `b64` in the header',
    ours: ['proof_malformed'],
    applies: ({ jws: { header } }) => 'crit' in header || 'b64' in header,
  },
  {
    name: '`jti` empty or over 256 bytes',
    ours: ['proof_malformed'],
    applies: ({ jws: { claims } }) => claims.jti === '' || Buffer.byteLength(String(claims.jti)) > 256,
  },
  {
    name: 'a time that is infinite',
    ours: ['proof_malformed'],
    applies: ({ jws: { claims } }) => [claims.iat, claims.exp, claims.nbf].some(isInfinite),
  },
  { name: 'over 8 KiB', ours: ['proof_malformed'], applies: ({ proof }) => proof.length > 8192 },
  {
    name: '`typ` is `application/dpop+jwt`',
    ours: ['proof_type_invalid'],
    applies: ({ jws: { header } }) => /^application\/dpop\+jwt$/i.test(String(header.typ)),
  },
  { name: 'numbers of an RSA key', ours: ['proof_key_invalid'], applies: hasOddRsaNumbers },
  {
    name: 'members of the JWK spelled otherwise',
    ours: ['proof_key_invalid'],
    applies: isOddlySpelledKey,
  },
  {
    name: 'any private member in the JWK',
    ours: ['proof_key_invalid'],
    applies: ({ jws: { jwk } }) => ['p', 'q', 'dp', 'dq', 'qi', 'oth'].some((member) => member in jwk),
  },
  {
    name: '`htu` with a percent-encoded host',
    ours: ['proof_uri_mismatch'],
    applies: (input) => /^[a-z]+:\/\/[^/?#]*%/i.test(htuOf(input)),
  },
  {
    name: 'a bad nonce where none is required',
    ours: ['nonce_stale'],
    applies: ({ asked, jws: { claims } }) => asked.rule !== 'required' && claims.nonce !== NONCES.live,
  },
  {
    name: 'from before the start of the process',
    ours: ['nonce_required'],
    applies: ({ asked, jws: { claims } }) => asked.restarted && Number(claims.iat) < NOW - 30,
  },
  {
    name: '`EdDSA` and `Ed25519`',
    ours: ['accepted'],
    applies: ({ jws: { header, jwk } }) =>
      header.alg !== jwk.alg && [header.alg, jwk.alg].every((alg) => alg === 'EdDSA' || alg === 'Ed25519'),
  },
  {
    name: 'further `key_ops`, `ext` of any type',
    ours: ['accepted'],
    applies: ({ jws: { jwk } }) => Array.isArray(jwk.key_ops) || ('ext' in jwk && typeof jwk.ext !== 'boolean'),
  },
];

/** All single mutations, and one of each decision, so that every run has met them. */
const EXAMPLES: readonly ProofRecipe[] = [
  ...SINGLE_MUTATIONS,
  ...KEY_NAMES.map((key) => recipe({ key })),
  recipe({ edits: [{ edit: 'repeat', part: 'claims', member: 'htm', json: '"GET"' }] }),
  recipe({ edits: [{ edit: 'respellText', part: 'signature', how: 'spare' }] }),
  recipe({ edits: [{ edit: 'insert', part: 'claims', at: 0, bytes: '\u00ef\u00bb\u00bf' }] }),
  recipe({ edits: [setClaim('a\\b', 1)] }),
  recipe({ edits: [setHeader('b64', true)] }),
  recipe({ edits: [setClaim('jti', '')] }),
  recipe({ edits: [setRaw('exp', '1e999')] }),
  recipe({ edits: [setClaim('x', 'x'.repeat(6200))] }),
  recipe({ edits: [setHeader('typ', 'application/dpop+jwt')] }),
  recipe({ boundTo: 'edited', edits: [{ edit: 'respell', part: 'jwk', member: 'x', how: 'padding' }] }),
  recipe({ edits: [setJwk('p', 'AAAA')] }),
  recipe({ edits: [setClaim('htu', `${ORIGIN}/x/../orders/1`)] }),
  recipe({ edits: [setClaim('htu', `${ORIGIN}/orders/1#ü`)] }),
  recipe({ edits: [setClaim('htu', 'https://%61pi.example.com/orders/1')] }),
  recipe({ nonce: 'foreign' }),
  recipe({ restarted: true, edits: [setClaim('iat', NOW - 31)] }),
  recipe({ key: 'EdDSA', edits: [setJwk('alg', 'Ed25519')] }),
  recipe({ edits: [setJwk('key_ops', ['sign', 'verify'])] }),
];

test('proofs: we accept what jose and RFC 9449 accept, and differ by documented decisions alone', async (context) => {
  const { outcomes, decisions } = await compareAll(context, proofRecipes, EXAMPLES, attempt);
  assert.deepEqual(
    [...decisions].toSorted(),
    DECISIONS.map(({ name }) => name).toSorted(),
    'a decision that explains nothing',
  );
  assert.ok((outcomes.get('accepted') ?? 0) > TRIALS / 5, 'too few good proofs to mean anything');
});

test('docs/comparison.md lists exactly the decisions about proofs', () => assertDocumented('DPoP proofs', DECISIONS));
