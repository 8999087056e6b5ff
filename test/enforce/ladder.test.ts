// The ladder: every check of enforce.ts against every later one, the earlier reason wins.

import assert from 'node:assert/strict';
import { KeyObject } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { Permit } from '../../src/binding/permit.ts';
import { readCertificate } from '../../src/certificate/leaf.ts';
import { enforce, type Ports } from '../../src/enforce.ts';
import { createReplayMemory, ProcessReplayStore } from '../../src/memory/process-replay-store.ts';
import type { Demand, Route } from '../../src/policy/policy.ts';
import { rateKey } from '../../src/rate/limit.ts';
import type { Stage } from '../../src/rejection/reason-row.ts';
import { type Reason, REASON_NAMES, REASONS } from '../../src/rejection/rejection.ts';
import type { CertificateFacts, RequestFacts } from '../../src/request-facts.ts';
import { makeIssuer, makePorts, makeRoute } from '../support/enforcing.ts';
import { makeFacts } from '../support/facts.ts';
import { makeCertificate } from '../support/pki.ts';
import { ONE_A_MINUTE } from '../support/rate-limits.ts';
import { signMessage, type SigningWishes } from '../support/signing.ts';
import { ISSUER, makeKey, makeToken, proofParts, signParts, type TestKey } from '../support/tokens.ts';

const NOW = 1_800_000_000.5;
const LADDER_STAGES: readonly Stage[] = [
  'presentation',
  'token',
  'binding',
  'certificate',
  'proof',
  'signature',
  'policy',
  'replay',
];

type Writable<T> = { -readonly [K in keyof T]?: T[K] };

/** A request in the making. What a rung sets in it is a fault; without any it is permitted. */
interface Draft {
  authorization: (token: string) => readonly string[];
  dpop: (proof: string) => readonly string[];
  query: string | undefined;
  token: { header: Record<string, unknown>; claims: Record<string, unknown>; signedBy: 'issuer' | 'stranger' };
  proof: { header: Record<string, unknown>; claims: Record<string, unknown>; signedBy: 'holder' | 'stranger' };
  signature: {
    wishes: SigningWishes;
    signedBy: 'holder' | 'stranger';
    edits: [name: string, (value: string) => string][];
  };
  certificate: { shown: 'good' | 'other' | 'none'; trusted: boolean };
  demand: Writable<Demand>;
  route: Writable<Route>;
  ports: Writable<Ports>;
  /** Requests that were sent before this one. */
  sentBefore: number;
}

/** One fault. `part`: of the request; two faults of one part cannot be in one request. */
interface Rung {
  readonly part: readonly string[];
  readonly spoil: (draft: Draft) => void;
}

const rung = (part: string, spoil: Rung['spoil']): Rung => ({ part: part.split(' '), spoil });
const claim = (name: string, value: unknown) => rung(`token.${name}`, ({ token }) => void (token.claims[name] = value));
const proofClaim = (name: string, value: unknown) =>
  rung(`proof.${name}`, ({ proof }) => void (proof.claims[name] = value));
/** A route that asks for signatures, and a request whose signature has a fault. */
const signature = (part: string, spoil: (draft: Draft['signature']) => void) =>
  rung(`signature.${part}`, (draft) => {
    draft.demand.signature = { components: [], tag: undefined, maxAge: 60, clockTolerance: 15 };
    spoil(draft.signature);
  });
const signatureEdit = (part: string, name: string, change: (value: string) => string) =>
  signature(part, ({ edits }) => void edits.push([name, change]));
const remembers = (answer: 'full' | 'unavailable') =>
  rung('replay', ({ ports }) => void (ports.replay = { coverage: { since: 0 }, entries: 0, remember: () => answer }));

const LADDER: Partial<Record<Reason, Rung>> = {
  credentials_in_query: rung('authorization', (draft) => {
    draft.authorization = () => [];
    draft.query = 'access_token=a';
  }),
  credentials_missing: rung('authorization', (draft) => (draft.authorization = () => [])),
  credentials_malformed: rung('authorization', (draft) => (draft.authorization = () => ['DPoP'])),
  credentials_repeated: rung(
    'authorization',
    (draft) => (draft.authorization = (token) => [`DPoP ${token}`, `DPoP ${token}`]),
  ),
  scheme_not_accepted: rung('authorization', (draft) => (draft.authorization = () => ['Basic YTpi'])),
  proof_missing: rung('dpop', (draft) => (draft.dpop = () => [])),
  proof_repeated: rung('dpop', (draft) => (draft.dpop = (proof) => [proof, proof])),

  token_malformed: rung('token.crit', ({ token }) => void (token.header['crit'] = ['b64'])),
  token_issuer_unknown: claim('iss', 'https://elsewhere.example.com'),
  token_algorithm_refused: rung('token.alg', ({ token }) => void (token.header['alg'] = 'HS256')),
  token_key_unknown: rung('token.kid keys', ({ token }) => void (token.header['kid'] = 'k2')),
  issuer_unavailable: rung('token.kid keys', ({ ports }) => {
    ports.keysOf = () => ({ current: () => undefined, refreshFor: async () => {} });
  }),
  token_signature_invalid: rung('token.signature', ({ token }) => (token.signedBy = 'stranger')),
  token_type_refused: rung('token.typ', ({ token }) => void (token.header['typ'] = 'dpop+jwt')),
  token_claim_invalid: claim('sub', 5),
  token_expired: claim('exp', NOW - 16),
  token_not_yet_valid: claim('nbf', NOW + 16),
  token_audience_mismatch: claim('aud', 'https://other.example.com'),

  confirmation_unsupported: claim('cnf', {}),
  binding_required: rung('token.cnf', ({ token, demand }) => {
    token.claims['cnf'] = undefined;
    demand.requirement = 'sender-constrained';
  }),
  // Without the scheme DPoP no proof is owed, so this one stands with no fault of the field.
  binding_downgraded: rung('authorization dpop', (draft) => (draft.authorization = (token) => [`Bearer ${token}`])),

  certificate_missing: rung('shown trust', ({ certificate }) => (certificate.shown = 'none')),
  certificate_untrusted: rung('trust', ({ certificate }) => (certificate.trusted = false)),
  certificate_mismatch: rung('shown', ({ certificate }) => (certificate.shown = 'other')),

  proof_malformed: proofClaim('jti', 5),
  proof_type_invalid: rung('proof.typ', ({ proof }) => void (proof.header['typ'] = 'JWT')),
  proof_algorithm_refused: rung('proof.alg', ({ proof }) => void (proof.header['alg'] = 'HS256')),
  proof_key_invalid: rung('proof.jwk', ({ proof }) => void (proof.header['jwk'] = { kty: 'oct', k: 'AAAA' })),
  proof_key_mismatch: rung('proof.jwk', ({ proof }) => void (proof.header['jwk'] = 'stranger')),
  proof_method_mismatch: proofClaim('htm', 'POST'),
  proof_uri_mismatch: proofClaim('htu', 'https://api.example.com/orders/2'),
  proof_token_mismatch: proofClaim('ath', 'A'.repeat(43)),
  nonce_required: rung('proof.nonce', ({ demand }) => void (demand.dpop = { ...DPOP, nonce: 'required' })),
  nonce_stale: proofClaim('nonce', 'AAAA'),
  proof_stale: proofClaim('iat', NOW - 61),
  proof_from_future: proofClaim('iat', NOW + 16),
  proof_signature_invalid: rung('proof.signature', ({ proof }) => (proof.signedBy = 'stranger')),

  signature_missing: signatureEdit('there', 'Signature', () => ''),
  signature_repeated: signatureEdit('count', 'Signature-Input', (value) => `${value}, b=();created=1`),
  signature_malformed: signatureEdit('created', 'Signature-Input', (value) => value.replace('created=', 'made=')),
  signature_key_mismatch: signature('keyid', ({ wishes }) => void Object.assign(wishes, { keyid: 'alice' })),
  signature_algorithm_refused: signature('alg', ({ wishes }) => void Object.assign(wishes, { alg: 'ed25519' })),
  signature_component_refused: signatureEdit('more', 'Signature-Input', (v) => v.replace('"dpop"', '"dpop" "@status"')),
  signature_component_missing: signatureEdit('less', 'Signature-Input', (value) => value.replace('"@method" ', '')),
  signature_stale: signature('created', ({ wishes }) => void Object.assign(wishes, { created: NOW - 62 })),
  signature_from_future: signature('created', ({ wishes }) => void Object.assign(wishes, { created: NOW + 17 })),
  content_digest_invalid: signatureEdit('digest', 'Content-Digest', () => 'md5=:AAAA:'),
  signature_invalid: signature('key', (draft) => void (draft.signedBy = 'stranger')),

  authentication_insufficient: rung('acr', ({ demand }) => void (demand.acr = ['gold'])),
  scope_insufficient: rung('scope', ({ demand }) => void (demand.scope = { match: 'all', scopes: ['orders:write'] })),
  claim_mismatch: rung(
    'claims',
    ({ demand }) => void (demand.claims = [{ name: '/tenant', path: ['tenant'], anyOf: ['blue'] }]),
  ),
  identity_unforwardable: rung('identity', ({ token, route }) => {
    token.claims['name'] = 'a\nb';
    route.forward = { ...FORWARD, identity: [{ field: 'X-Auth-Name', source: { claims: ['name'] } }] };
  }),
  rate_limited: rung('rate', (draft) => {
    draft.route.rateLimit = ONE_A_MINUTE;
    draft.sentBefore = 1;
  }),
  rate_store_unavailable: rung('rate', ({ route, ports }) => {
    route.rateLimit = ONE_A_MINUTE;
    ports.rates = { take: async () => 'unavailable' as const, giveBack: () => {} };
  }),

  proof_replayed: rung('replay', ({ ports }) => {
    const replay = new ProcessReplayStore(createReplayMemory({ capacity: 10, since: 0 }), () => NOW);
    replay.remember(holder.jkt, 'good', NOW + 75, NOW);
    ports.replay = replay;
  }),
  replay_store_full: remembers('full'),
  replay_store_unavailable: remembers('unavailable'),
};

/** Reasons of these stages that are not on the ladder, and why. */
const ELSEWHERE: Partial<Record<Reason, string>> = {
  introspection_queue_full:
    'of opaque tokens, too (test/token/opaque-token.test.ts, test/gateway/introspection-flood.system.ts)',
  signature_key_unusable: 'of a proof by a key P-521 (test/signature/message-signature.test.ts)',
  signature_replayed: 'of tokens that are bound to a certificate alone (test/gateway/message-signatures.test.ts)',
  token_inactive: 'of opaque tokens, which have none of the other faults of a token (test/token/opaque-token.test.ts)',
};

const { dpop: DPOP } = makeRoute(makeIssuer()).demand;
const { forward: FORWARD } = makeRoute(makeIssuer());
let issuerKey: TestKey;
let holder: TestKey;
let stranger: TestKey;
let certificates: Readonly<Record<'good' | 'other', CertificateFacts>>;

before(async () => {
  [issuerKey, holder, stranger] = [await makeKey('ES256', 'k1'), await makeKey(), await makeKey()];
  const valid = { notBefore: NOW - 3600, notAfter: NOW + 3600 };
  const [good, other] = [
    readCertificate((await makeCertificate(valid)).der),
    readCertificate((await makeCertificate(valid)).der),
  ];
  assert.ok(good !== undefined && other !== undefined);
  certificates = { good, other };
});

function makeDraft(): Draft {
  return {
    authorization: (token) => [`DPoP ${token}`],
    dpop: (proof) => [proof],
    token: {
      header: {},
      claims: { cnf: { jkt: holder.jkt, 'x5t#S256': certificates.good.thumbprint } },
      signedBy: 'issuer',
    },
    proof: { header: {}, claims: { jti: 'good' }, signedBy: 'holder' },
    signature: { wishes: {}, signedBy: 'holder', edits: [] },
    certificate: { shown: 'good', trusted: true },
    demand: { requirement: 'sender-constrained' },
    route: {},
    ports: {},
    query: undefined,
    sentBefore: 0,
  };
}

async function tokenOf({ token }: Draft): Promise<string> {
  const text = await makeToken(issuerKey, NOW, {
    ...token,
    header: { ...token.header, alg: 'ES256', crit: undefined },
  });
  const [header, payload] = text.split('.').map((part) => Buffer.from(part, 'base64url').toString());
  const key = token.signedBy === 'issuer' ? issuerKey : stranger;
  return await signParts(key, { ...JSON.parse(header ?? ''), ...token.header }, payload);
}

async function requestOf(draft: Draft): Promise<RequestFacts> {
  const token = await tokenOf(draft);
  const { proof, certificate } = draft;
  const jwk = proof.header['jwk'] === 'stranger' ? { jwk: stranger.jwk } : {};
  const parts = proofParts(holder, NOW, { token, header: { ...proof.header, ...jwk }, claims: proof.claims });
  const signed = await signParts(proof.signedBy === 'holder' ? holder : stranger, parts.header, parts.claims);
  const { shown, trusted } = certificate;
  const [authorization, dpop] = [draft.authorization(token), draft.dpop(signed)];
  const rawHeaders = await signedLines(draft.signature, authorization, dpop);
  return makeFacts({
    authorization,
    dpop,
    message: { rawHeaders },
    query: draft.query,
    certificate: shown === 'none' ? undefined : { facts: certificates[shown], verify: 'chain', trusted },
    now: NOW,
  });
}

/** The field lines of a request that is signed, but for its faults. */
async function signedLines(
  { wishes, signedBy, edits }: Draft['signature'],
  authorization: readonly string[],
  dpop: readonly string[],
): Promise<string[]> {
  const fields = [
    ...authorization.map((value) => ['Authorization', value] as const),
    ...dpop.map((value) => ['DPoP', value] as const),
    ['Content-Digest', `sha-256=:${'A'.repeat(43)}=:`] as const,
  ];
  const key = KeyObject.from((signedBy === 'holder' ? holder : stranger).privateKey);
  const message = { method: 'GET', url: 'https://api.example.com/orders/1', fields };
  const lines = [...fields, ...(await signMessage(key, message, { created: NOW, ...wishes }))];
  return lines.flatMap(([name, value]) => {
    const text = edits.filter(([edited]) => edited === name).reduce((before, [, change]) => change(before), value);
    return text === '' ? [] : [name, text];
  });
}

/** `permit`, or the reason for which a request with these faults is refused. */
async function decideWith(...rungs: readonly Rung[]): Promise<'permit' | Reason> {
  const draft = makeDraft();
  for (const { spoil } of rungs) spoil(draft);
  const route = { ...makeRoute(makeIssuer(), draft.demand), ...draft.route };
  const ports = await makePorts([issuerKey], draft.ports);
  for (let sent = 0; sent < draft.sentBefore; sent += 1) {
    await ports.rates.take(
      ONE_A_MINUTE,
      rateKey(ONE_A_MINUTE.key, {
        issuer: ISSUER,
        claims: { sub: 'alice' },
        thumbprint: undefined,
        address: undefined,
      }),
      NOW,
    );
  }
  const decision = await enforce(await requestOf(draft), route, ports);
  return decision instanceof Permit ? 'permit' : decision.reason;
}

const rungs = REASON_NAMES.flatMap((reason) => {
  const found = LADDER[reason];
  return found === undefined ? [] : [{ reason, rung: found }];
});

describe('the ladder', () => {
  test('every reason from presentation to replay has its rung, or says why not', () => {
    const all = REASON_NAMES.filter((reason) => LADDER_STAGES.includes(REASONS[reason].stage));
    const known = [...Object.keys(LADDER), ...Object.keys(ELSEWHERE)];
    assert.deepEqual(known.toSorted(), all.toSorted());
  });

  test('without a fault the request is permitted', async () => {
    assert.equal(await decideWith(), 'permit');
  });

  for (const [at, { reason, rung: first }] of rungs.entries()) {
    test(`${reason} comes before everything below it`, async () => {
      assert.equal(await decideWith(first), reason);
      for (const { reason: below, rung: second } of rungs.slice(at + 1)) {
        if (second.part.some((part) => first.part.includes(part))) continue;
        assert.equal(await decideWith(first, second), reason, `${reason} with ${below}`);
      }
    });
  }
});
