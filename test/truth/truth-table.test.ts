// Requirement × scheme × confirmation × evidence, exhaustively, against an oracle.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Permit } from '../../src/binding/permit.ts';
import { readCertificate } from '../../src/certificate/leaf.ts';
import { enforce, type Ports } from '../../src/enforce.ts';
import { createReplayMemory, ProcessReplayStore } from '../../src/memory/process-replay-store.ts';
import type { CertificateEvidence } from '../../src/request-facts.ts';
import { decide, makeIssuer, makePorts, makeRoute } from '../support/enforcing.ts';
import { makeFacts } from '../support/facts.ts';
import { makeCertificate } from '../support/pki.ts';
import { makeKey, makeProof, makeToken, type ProofOptions, proofParts, signParts } from '../support/tokens.ts';

const NOW = 1_800_000_000.5;
const VALID = { notBefore: NOW - 3600, notAfter: NOW + 3600 };

const REQUIREMENTS = ['public', 'token', 'sender-constrained', 'dpop', 'mtls'] as const;
const SCHEMES = ['none', 'Bearer', 'DPoP'] as const;

/** How a token is bound; `kinds` undefined: its `cnf` has nothing that can be checked. */
const CONFIRMATIONS = {
  unbound: { kinds: [] },
  jkt: { kinds: ['key'] },
  x5t: { kinds: ['certificate'] },
  both: { kinds: ['key', 'certificate'] },
  'jkt and unknown': { kinds: ['key'] },
  'x5t and unknown': { kinds: ['certificate'] },
  unknown: { kinds: undefined },
  empty: { kinds: undefined },
  null: { kinds: undefined },
  'jkt of another type beside x5t': { kinds: undefined },
} as const satisfies Record<string, { kinds: readonly string[] | undefined }>;

/** Proofs, and what is wrong with each where the key of the token is to be shown. */
const PROOFS = {
  none: 'proof_missing',
  good: undefined,
  twice: 'proof_repeated',
  malformed: 'proof_malformed',
  'other type': 'proof_type_invalid',
  'other key': 'proof_key_mismatch',
  'other method': 'proof_method_mismatch',
  'other URI': 'proof_uri_mismatch',
  'other token': 'proof_token_mismatch',
  'bad nonce': 'nonce_stale',
  stale: 'proof_stale',
  future: 'proof_from_future',
  'other signature': 'proof_signature_invalid',
  used: 'proof_replayed',
} as const;

/** Certificates, and what is wrong with each where the one of the token is to be shown. */
const CERTIFICATES = {
  none: 'certificate_missing',
  good: undefined,
  other: 'certificate_mismatch',
  untrusted: 'certificate_untrusted',
  'other, untrusted': 'certificate_untrusted',
  expired: 'certificate_untrusted',
  'not yet valid': 'certificate_untrusted',
  'possession of it': undefined,
  'possession of another': 'certificate_mismatch',
} as const;

interface Case {
  readonly requirement: (typeof REQUIREMENTS)[number];
  readonly scheme: (typeof SCHEMES)[number];
  readonly confirmation: keyof typeof CONFIRMATIONS;
  readonly proof: keyof typeof PROOFS;
  readonly certificate: keyof typeof CERTIFICATES;
}

/** checks.md §1 and §3 and the order of rejections.md, in words rather than in the shape of the code. */
function oracle({ requirement, scheme, confirmation, proof, certificate }: Case): string {
  if (requirement === 'public') return 'permit';
  if (scheme === 'none') return 'credentials_missing';
  if (scheme === 'DPoP' && (proof === 'none' || proof === 'twice')) return PROOFS[proof];
  const kinds: readonly string[] | undefined = CONFIRMATIONS[confirmation].kinds;
  if (kinds === undefined) return 'confirmation_unsupported';
  const wanted = { token: [], 'sender-constrained': ['key', 'certificate'], dpop: ['key'], mtls: ['certificate'] }[
    requirement
  ];
  const wantsMore = wanted.length > 0 && !wanted.some((kind) => kinds.includes(kind));
  const needsProofOfNoKey = scheme === 'DPoP' && !kinds.includes('key');
  if (wantsMore || needsProofOfNoKey) return 'binding_required';
  if (kinds.includes('key') && scheme === 'Bearer') return 'binding_downgraded';
  // Whatever the token is bound to is to be shown, all of it, on whatever route.
  const unshown = kinds.includes('certificate') ? CERTIFICATES[certificate] : undefined;
  return unshown ?? (kinds.includes('key') ? PROOFS[proof] : undefined) ?? 'permit';
}

const CASES: readonly Case[] = REQUIREMENTS.flatMap((requirement) =>
  SCHEMES.flatMap((scheme) =>
    keys(CONFIRMATIONS).flatMap((confirmation) =>
      keys(PROOFS).flatMap((proof) =>
        keys(CERTIFICATES).map((certificate) => ({ requirement, scheme, confirmation, proof, certificate })),
      ),
    ),
  ),
);

function keys<K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] {
  return Object.keys(table) as K[];
}

const issuer = makeIssuer();
let base: Ports;
let jkt: string;
const tokens = new Map<string, string>();
/** By confirmation (its token is hashed into it) and kind. */
const proofs = new Map<string, readonly string[]>();
const certificates = new Map<string, CertificateEvidence | undefined>();

before(async () => {
  const [signer, holder, stranger] = [await makeKey('ES256', 'k1'), await makeKey(), await makeKey()];
  ({ jkt } = holder);
  base = await makePorts([signer]);
  const [ours, other] = [await readable(), await readable()];
  const x5t = { 'x5t#S256': ours.facts.thumbprint };
  const cnf: Record<keyof typeof CONFIRMATIONS, unknown> = {
    unbound: undefined,
    jkt: { jkt },
    x5t,
    both: { jkt, ...x5t },
    'jkt and unknown': { jkt, kid: 'x' },
    'x5t and unknown': { ...x5t, jwe: 'x' },
    unknown: { tbh: 'x' },
    empty: {},
    null: null,
    'jkt of another type beside x5t': { jkt: 5, ...x5t },
  };
  for (const name of keys(CONFIRMATIONS)) {
    const token = await makeToken(signer, NOW, { claims: { cnf: cnf[name] } });
    tokens.set(name, token);
    const prove = (options: ProofOptions, key = holder) => makeProof(key, NOW, { token, ...options });
    const good = await prove({ claims: { jti: 'good' } });
    const { header, claims } = proofParts(holder, NOW, { token });
    const made: Record<keyof typeof PROOFS, readonly string[]> = {
      none: [],
      good: [good],
      twice: [good, good],
      malformed: [`${good}.`],
      'other type': [await prove({ header: { typ: 'JWT' } })],
      'other key': [await prove({}, stranger)],
      'other method': [await prove({ method: 'POST' })],
      'other URI': [await prove({ url: 'https://api.example.com/orders/2' })],
      'other token': [await prove({ token: `${token}x` })],
      'bad nonce': [await prove({ claims: { nonce: 'x' } })],
      stale: [await prove({ claims: { iat: NOW - 61 } })],
      future: [await prove({ claims: { iat: NOW + 16 } })],
      'other signature': [await signParts(stranger, header, claims)],
      used: [await prove({ claims: { jti: 'used' } })],
    };
    for (const proof of keys(PROOFS)) proofs.set(`${name} ${proof}`, made[proof]);
  }
  const expired = { notBefore: NOW - 7200, notAfter: NOW - 1 };
  const shown: Record<keyof typeof CERTIFICATES, CertificateEvidence | undefined> = {
    none: undefined,
    good: ours,
    other,
    untrusted: { ...ours, trusted: false },
    'other, untrusted': { ...other, trusted: false },
    expired: { ...ours, facts: { ...ours.facts, ...expired } },
    'not yet valid': { ...ours, facts: { ...ours.facts, notBefore: NOW + 1 } },
    'possession of it': { ...ours, verify: 'possession', trusted: false },
    'possession of another': { ...other, verify: 'possession', trusted: false },
  };
  for (const name of keys(CERTIFICATES)) certificates.set(name, shown[name]);
});

async function readable(): Promise<CertificateEvidence> {
  const facts = readCertificate((await makeCertificate(VALID)).der);
  assert.ok(facts !== undefined);
  return { facts, verify: 'chain', trusted: true };
}

function requestOf({ scheme, confirmation, proof, certificate }: Case) {
  return makeFacts({
    authorization: scheme === 'none' ? [] : [`${scheme} ${tokens.get(confirmation)}`],
    dpop: proofs.get(`${confirmation} ${proof}`) ?? [],
    certificate: certificates.get(certificate),
    now: NOW,
  });
}

/** A memory that knows the one proof that was used. */
function makeReplay(): ProcessReplayStore {
  const replay = new ProcessReplayStore(createReplayMemory({ capacity: 10, since: 0 }), () => NOW);
  replay.remember(jkt, 'used', NOW + 75, NOW);
  return replay;
}

const name = (one: Case) => Object.values(one).join(' / ');

describe('truth table', () => {
  for (const requirement of REQUIREMENTS) {
    const cases = CASES.filter((one) => one.requirement === requirement);
    const route = makeRoute(issuer, { requirement });

    test(`${requirement}: ${cases.length} combinations are decided as the oracle says, and only a Permit uses up a proof`, async () => {
      const wrong: string[] = [];
      for (const one of cases) {
        const replay = makeReplay();
        const decision = await decide(requestOf(one), route, { ...base, replay });
        const expected = oracle(one);
        if (decision !== expected) wrong.push(`${name(one)}: ${decision} instead of ${expected}`);
        const owed = decision === 'permit' && one.scheme === 'DPoP' && requirement !== 'public';
        if (replay.entries !== (owed ? 2 : 1)) wrong.push(`${name(one)}: ${replay.entries} entries`);
      }
      assert.deepEqual(wrong, []);
    });
  }

  test('a Permit names the binding that was shown, and carries a certificate only if it passed the listener’s verify', async () => {
    const untrusted = new Set<string>(['none', 'untrusted', 'other, untrusted', 'expired', 'not yet valid']);
    for (const one of CASES.filter((one) => oracle(one) === 'permit')) {
      const decision = await enforce(requestOf(one), makeRoute(issuer, { requirement: one.requirement }), {
        ...base,
        replay: makeReplay(),
      });
      assert.ok(decision instanceof Permit, name(one));
      const { facts } = decision;
      assert.equal(facts.certificate !== undefined, !untrusted.has(one.certificate), name(one));
      const open = one.requirement === 'public';
      const kinds: readonly string[] = open ? [] : (CONFIRMATIONS[one.confirmation].kinds ?? []);
      const shown = kinds.map((kind) => (kind === 'key' ? 'dpop' : 'mtls')).join('+');
      assert.equal(facts.binding, shown === '' ? 'none' : shown, name(one));
      assert.equal(facts.scheme, open ? 'none' : one.scheme, name(one));
      assert.equal(facts.accessToken, open ? undefined : tokens.get(one.confirmation), name(one));
    }
  });

  test('the oracle is no echo: every outcome that these combinations can have comes up', () => {
    const outcomes = new Set(CASES.map(oracle));
    const possible = [...Object.values(PROOFS), ...Object.values(CERTIFICATES)].filter(
      (reason) => reason !== undefined,
    );
    const others = [
      'permit',
      'credentials_missing',
      'confirmation_unsupported',
      'binding_required',
      'binding_downgraded',
    ];
    assert.deepEqual([...outcomes].toSorted(), [...new Set([...possible, ...others])].toSorted());
  });
});
