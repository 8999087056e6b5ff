// Decisions about JWT access tokens, judged by oauth4webapi's resource server.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import { readCertificate } from '../../src/certificate/leaf.ts';
import type { Ports } from '../../src/enforce.ts';
import { createReplayMemory, ProcessReplayStore } from '../../src/memory/process-replay-store.ts';
import type { Issuer } from '../../src/token/issuer.ts';
import type { CertificateEvidence } from '../../src/request-facts.ts';
import { decide, DPOP_RULES, makeIssuer, makePorts, makeRoute } from '../support/enforcing.ts';
import { makeFacts } from '../support/facts.ts';
import { makeCertificate } from '../support/pki.ts';
import { ath, ISSUER, makeKey, type TestKey } from '../support/tokens.ts';
import { compareAll, type Trial, TRIALS } from './comparing.ts';
import {
  bound,
  type DecisionRecipe,
  decisionRecipe,
  decisionRecipes,
  SIGNERS,
  SINGLE_MUTATIONS,
} from './decision-recipes.ts';
import { assertDocumented, type Decision, explain } from './documented.ts';
import {
  hasBackslashInName,
  hasByteOrderMark,
  hasOtherSpelling,
  hasRepeatedMember,
  isInfinite,
  type LenientJws,
  readLeniently,
} from './jose-parts.ts';
import { NOW, ORIGIN, setClaim, setHeader, setJwk, setRaw } from './proof-recipes.ts';
import { cook, membersOf } from './recipe.ts';

const ALGORITHMS = ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];
/** oauth4webapi's own window for `iat` of proofs, both ways. */
const WINDOW = 300;
const URI = `${ORIGIN}/orders/1`;
const issuer: Issuer = makeIssuer({ algorithms: ALGORITHMS, clockTolerance: WINDOW });
const RULES = { ...DPOP_RULES, algorithms: ALGORITHMS, maxAge: WINDOW, clockTolerance: WINDOW };
const server: oauth.AuthorizationServer = { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` };

let signers: Readonly<Record<string, TestKey>>;
let holder: TestKey;
let stranger: TestKey;
let certificate: CertificateEvidence;
let ports: Ports;
before(async () => {
  const made = SIGNERS.map(async (alg) => [alg, await makeKey(alg, alg)] as const);
  signers = Object.fromEntries(await Promise.all(made));
  ports = await makePorts(Object.values(signers), { rememberFor: RULES.maxAge + RULES.clockTolerance });
  [holder, stranger] = [await makeKey(), await makeKey()];
  const facts = readCertificate((await makeCertificate()).der);
  assert.ok(facts !== undefined);
  certificate = { facts, verify: 'possession', trusted: false };
});

interface Sent {
  readonly authorization: string;
  readonly dpop: readonly string[];
}

/** One request, for naming what is odd about it. */
interface Input {
  readonly asked: DecisionRecipe;
  readonly sent: Sent;
  readonly token: LenientJws;
  readonly proof: LenientJws;
}

async function attempt(asked: DecisionRecipe): Promise<Trial> {
  const { sent, token, proof } = await makeRequest(asked);
  const [ours, theirs] = await Promise.all([decideOurs(asked, sent), decideTheirs(asked, sent)]);
  const input = { asked, sent, token: readLeniently(token), proof: readLeniently(proof) };
  return { ours, theirs, decision: explain(DECISIONS, ours, input) };
}

async function makeRequest(asked: DecisionRecipe) {
  const signer = signers[asked.signer]!;
  const claims = { iss: ISSUER, aud: ORIGIN, sub: 'alice', client_id: 'shop', jti: 't1', iat: NOW, exp: NOW + 600 };
  const members = membersOf({ ...claims, scope: 'orders:read', cnf: confirmation(asked.cnf) });
  const parts = { header: membersOf({ typ: 'at+jwt', alg: signer.alg, kid: asked.signer }), claims: members };
  const token = await cook(signer, parts, asked.tokenEdits);
  const proof = await makeProof(asked, token);
  const dpop = asked.proof === 'none' ? [] : asked.proof === 'twice' ? [proof, proof] : [proof];
  return { sent: { authorization: `${asked.scheme}${asked.space}${token}`, dpop }, token, proof };
}

function confirmation(kind: DecisionRecipe['cnf']): unknown {
  const { jkt } = holder;
  const x5t = { 'x5t#S256': certificate.facts.thumbprint };
  const kinds: Record<DecisionRecipe['cnf'], unknown> = {
    none: undefined,
    jkt: { jkt },
    x5t,
    both: { jkt, ...x5t },
    'jkt and unknown': { jkt, kid: 'k' },
    unknown: { tbh: 'x' },
    empty: {},
    null: null,
    array: [{ jkt }],
    text: jkt,
    'jkt null': { jkt: null },
    'jkt empty': { jkt: '' },
  };
  return kinds[kind];
}

function makeProof(asked: DecisionRecipe, token: string): Promise<string> {
  const key = asked.proof === 'other key' ? stranger : holder;
  const claims = {
    jti: 'p1',
    htm: asked.proof === 'other method' ? 'POST' : 'GET',
    htu: asked.proof === 'other path' ? `${URI}0` : URI,
    iat: NOW,
    ath: ath(asked.proof === 'other token' ? `${token}x` : token),
  };
  const header = { typ: 'dpop+jwt', alg: key.alg, jwk: key.jwk };
  return cook(key, { header: membersOf(header), claims: membersOf(claims) }, asked.proofEdits);
}

async function decideOurs(asked: DecisionRecipe, { authorization, dpop }: Sent): Promise<string> {
  const route = makeRoute(issuer, { requirement: asked.requireDpop ? 'dpop' : 'token', dpop: RULES });
  const facts = makeFacts({
    now: NOW,
    // As an HTTP parser hands it on.
    authorization: [authorization.trim()],
    dpop: dpop.map((line) => line.trim()),
    certificate: asked.certificate ? certificate : undefined,
  });
  const replay = new ProcessReplayStore(createReplayMemory({ capacity: 1, since: 0 }));
  const decision = await decide(facts, route, { ...ports, replay });
  return decision === 'permit' ? 'accepted' : decision;
}

async function decideTheirs(asked: DecisionRecipe, { authorization, dpop }: Sent): Promise<string> {
  try {
    const request = new Request(URI, {
      headers: [['authorization', authorization], ...dpop.map((line): [string, string] => ['dpop', line])],
    });
    await oauth.validateJwtAccessToken(server, request, ORIGIN, {
      requireDPoP: asked.requireDpop,
      signingAlgorithms: ALGORITHMS,
      [oauth.clockSkew]: NOW - Math.floor(Date.now() / 1000),
      [oauth.clockTolerance]: WINDOW,
      [oauth.customFetch]: async () => Response.json({ keys: Object.values(signers).map(({ jwk }) => jwk) }),
    });
    return 'accepted';
  } catch (error) {
    return error instanceof Error ? error.message : 'refused';
  }
}

const MALFORMED = ['token_malformed', 'proof_malformed'];
const either =
  (is: (jws: LenientJws) => boolean) =>
  ({ token, proof }: Input) =>
    is(token) || is(proof);
const isUnpaddedUtf8 = ({ parts }: LenientJws) => parts.slice(0, 2).every((part) => isUtf8Text(part));

function isUtf8Text(part: string): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(part, 'base64url'));
    return true;
  } catch {
    return false;
  }
}

const isTyped = (value: unknown, type: 'string' | 'number') => value === undefined || typeof value === type;
const isStrings = (value: unknown) =>
  isTyped(value, 'string') || (Array.isArray(value) && value.every((one) => typeof one === 'string'));
/** Members of `cnf`; undefined: there is none. */
const methodsOf = ({ claims: { cnf } }: LenientJws) =>
  typeof cnf === 'object' && cnf !== null ? Object.keys(cnf) : undefined;

const htuOf = ({ proof }: Input) => String(proof.claims.htu);

/** In the order in which they are tried; each is a row of docs/comparison.md. */
const DECISIONS: readonly Decision<Input>[] = [
  { name: 'repeated member', ours: MALFORMED, applies: either(hasRepeatedMember) },
  {
    name: 'base64url spelled otherwise',
    ours: [...MALFORMED, 'credentials_malformed'],
    applies: either(hasOtherSpelling),
  },
  { name: 'byte order mark', ours: MALFORMED, applies: either(hasByteOrderMark) },
  { name: 'text that is not UTF-8', ours: MALFORMED, applies: either((jws) => !isUnpaddedUtf8(jws)) },
  { name: 'backslash in a member name', ours: MALFORMED, applies: either(hasBackslashInName) },
  { name: '`b64` in the header', ours: MALFORMED, applies: either(({ header }) => 'b64' in header) },
  {
    name: 'token over 16 KiB, proof over 8 KiB',
    ours: ['credentials_malformed', 'proof_malformed'],
    applies: ({ token, proof }) => token.text.length > 16_384 || proof.text.length > 8192,
  },
  {
    name: 'a number that is infinite',
    ours: ['token_claim_invalid', 'proof_malformed'],
    applies: either(({ claims }) => [claims.exp, claims.nbf, claims.iat].some(isInfinite)),
  },
  {
    name: 'a claim of another type',
    ours: ['token_claim_invalid'],
    applies: ({ token: { claims } }) => !isStrings(claims.scope) || !isStrings(claims.scp) || !isStrings(claims.aud),
  },
  {
    name: '`cnf` is an empty object',
    ours: ['confirmation_unsupported'],
    applies: ({ token }) => methodsOf(token)?.length === 0,
  },
  {
    name: '`jti` of a proof empty or over 256 bytes',
    ours: ['proof_malformed'],
    applies: ({ proof: { claims } }) => claims.jti === '' || Buffer.byteLength(String(claims.jti)) > 256,
  },
  {
    name: '`nonce` of a proof',
    ours: ['proof_malformed', 'nonce_stale'],
    applies: ({ proof: { claims } }) => 'nonce' in claims,
  },
  {
    name: '`typ` of a proof is `application/dpop+jwt`',
    ours: ['proof_type_invalid'],
    applies: ({ proof: { header } }) => /^application\/dpop\+jwt$/i.test(String(header.typ)),
  },
  {
    name: '`use`, `key_ops`, `alg` or private members of the JWK',
    ours: ['proof_key_invalid'],
    applies: ({ proof: { jwk } }) =>
      ['use', 'key_ops', 'alg', 'd', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].some((member) => member in jwk),
  },
  {
    name: '`htu` as browsers read it',
    ours: ['proof_uri_mismatch'],
    applies: (input) => URL.canParse(htuOf(input)) && new URL(htuOf(input)).href.startsWith(URI),
  },
  {
    name: '`htu` normalised as RFC 3986 §6.2.2 has it',
    ours: ['accepted'],
    applies: (input) => /%(?:6f|31)/i.test(htuOf(input)),
  },
  {
    name: '`EdDSA` and `Ed25519`',
    ours: ['accepted'],
    applies: ({ token: { header } }) => header.kid === 'EdDSA' && header.alg === 'Ed25519',
  },
  {
    name: '`sub`, `iat`, `jti` or `client_id` missing',
    ours: ['accepted'],
    applies: ({ token: { claims } }) =>
      ['sub', 'iat', 'jti', 'client_id'].some((claim) => !(claim in claims)) || typeof claims.jti !== 'string',
  },
  {
    name: '`typ` of a token absent or `JWT`',
    ours: ['accepted'],
    applies: ({ token: { header } }) =>
      /^(?:application\/)?jwt$/i.test(typeof header.typ === 'string' ? header.typ : 'JWT'),
  },
  {
    name: 'an unbound token with a stray proof',
    ours: ['accepted'],
    applies: ({ asked, sent, token }) =>
      methodsOf(token) === undefined && sent.dpop.length > 0 && /^bearer$/i.test(asked.scheme),
  },
  {
    name: '`cnf` with `x5t#S256`, or with unknown members next to `jkt`',
    ours: ['accepted'],
    applies: ({ token }) => {
      const methods = methodsOf(token) ?? [];
      return methods.includes('x5t#S256') || (methods.includes('jkt') && methods.length > 1);
    },
  },
];

/** All single mutations, and one of each decision, so that every run has met them. */
const EXAMPLES: readonly DecisionRecipe[] = [
  ...SINGLE_MUTATIONS,
  ...SIGNERS.flatMap((signer) => [decisionRecipe({ signer }), bound({ signer }), bound({ signer, requireDpop: true })]),
  decisionRecipe({ tokenEdits: [{ edit: 'repeat', part: 'claims', member: 'sub', json: '"bob"' }] }),
  decisionRecipe({ tokenEdits: [{ edit: 'respellText', part: 'signature', how: 'spare' }] }),
  decisionRecipe({ tokenEdits: [{ edit: 'insert', part: 'claims', at: 0, bytes: '\u00ef\u00bb\u00bf' }] }),
  decisionRecipe({ tokenEdits: [setClaim('sub', 'x'), { edit: 'insert', part: 'claims', at: -2, bytes: '\u00ff' }] }),
  bound({ proofEdits: [setClaim('xx', 'x'), { edit: 'spoil', part: 'whole', at: 0, text: 'e' }, setClaim('a\\b', 1)] }),
  bound({ proofEdits: [setHeader('b64', true)] }),
  bound({ proofEdits: [setClaim('x', 'x'.repeat(6200))] }),
  decisionRecipe({ tokenEdits: [setRaw('exp', '1e999')] }),
  decisionRecipe({ tokenEdits: [setClaim('scope', 5)] }),
  decisionRecipe({ cnf: 'empty' }),
  bound({ proofEdits: [setClaim('jti', '')] }),
  bound({ proofEdits: [setClaim('nonce', 'x')] }),
  bound({ proofEdits: [setHeader('typ', 'application/dpop+jwt')] }),
  bound({ proofEdits: [setJwk('use', 'enc')] }),
  bound({ proofEdits: [setClaim('htu', `${ORIGIN}\\orders\\1`)] }),
  bound({ proofEdits: [setClaim('htu', `${ORIGIN}/%6frders/1`)] }),
  decisionRecipe({ tokenEdits: [{ edit: 'remove', part: 'claims', member: 'jti' }] }),
  decisionRecipe({ signer: 'EdDSA', tokenEdits: [setHeader('alg', 'Ed25519')] }),
  decisionRecipe({ tokenEdits: [setHeader('typ', 'JWT')] }),
  decisionRecipe({ proof: 'other key' }),
  decisionRecipe({ cnf: 'x5t', certificate: true }),
];

test('decisions: we permit what oauth4webapi accepts, and differ by documented decisions alone', async (context) => {
  const { outcomes, decisions } = await compareAll(context, decisionRecipes, EXAMPLES, attempt);
  assert.deepEqual(
    [...decisions].toSorted(),
    DECISIONS.map(({ name }) => name).toSorted(),
    'a decision that explains nothing',
  );
  assert.ok((outcomes.get('accepted') ?? 0) > TRIALS / 8, 'too few good requests to mean anything');
});

test('docs/comparison.md lists exactly the decisions about tokens', () =>
  assertDocumented('JWT access tokens', DECISIONS));
