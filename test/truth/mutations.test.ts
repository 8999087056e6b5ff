// Each member of a valid token and proof, spoiled in every way.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { exportJWK } from 'jose';
import type { Ports } from '../../src/enforce.ts';
import type { Route } from '../../src/policy/policy.ts';
import { createReplayMemory, ProcessReplayStore } from '../../src/memory/process-replay-store.ts';
import {
  cook,
  type Edit,
  type Members,
  membersOf,
  type Part,
  type Parts,
  type Respelling,
} from '../comparison/recipe.ts';
import { decide, DPOP_RULES, makeIssuer, makePorts, makeRoute } from '../support/enforcing.ts';
import { makeFacts } from '../support/facts.ts';
import { ath, AUDIENCE, ISSUER, makeKey, type TestKey } from '../support/tokens.ts';

const NOW = 1_800_000_000;

/** Values that take the place of the good one, as JSON. */
const VALUES = {
  null: 'null',
  boolean: 'true',
  number: '5',
  text: '"x"',
  'empty text': '""',
  array: '[]',
  object: '{}',
  'huge text': JSON.stringify('x'.repeat(3000)),
  'huge number': '1e308',
  '1e999': '1e999',
  '-1e999': '-1e999',
} as const;
type Mutation =
  | keyof typeof VALUES
  | 'missing'
  | 'repeated'
  | 'name in other case'
  | 'name escaped'
  | 'value in other case';

/** What comes of each mutation. */
type Row = Readonly<Record<Mutation, string>>;

const MUTATIONS: readonly Mutation[] = [
  ...(Object.keys(VALUES) as (keyof typeof VALUES)[]),
  ...(['missing', 'repeated', 'name in other case', 'name escaped', 'value in other case'] as const),
];

/**
 * @param rest what comes of the mutations that `others` does not name; of a repeated member always that the JWS is malformed,
 * and of an escaped name nothing: it is another spelling of the same JSON
 * @param others outcome → names of mutations
 */
function row(rest: string, others: Readonly<Record<string, string>> = {}): Row {
  const named = Object.entries(others).flatMap(([outcome, names]) => names.split(', ').map((name) => [name, outcome]));
  const all = MUTATIONS.map((mutation) => [mutation, rest]);
  return { ...Object.fromEntries(all), ...Object.fromEntries(named), repeated: 'malformed', 'name escaped': 'permit' };
}

const TEXTS = 'text, empty text, huge text, value in other case';

/** `permit` stands where a mutation takes nothing away that somebody needs. */
const TOKEN: Readonly<Record<string, Row>> = {
  'header.alg': row('token_algorithm_refused'),
  'header.kid': row('token_key_unknown'),
  // Media types know no case.
  'header.typ': row('token_type_refused', { permit: 'value in other case' }),
  'claims.iss': row('token_claim_invalid', { token_issuer_unknown: TEXTS }),
  'claims.aud': row('token_claim_invalid', { token_audience_mismatch: `${TEXTS}, array` }),
  // An issuer may make tokens for ever; infinity is no number.
  'claims.exp': row('token_claim_invalid', { token_expired: 'number', permit: 'huge number, value in other case' }),
  'claims.nbf': row('token_claim_invalid', {
    token_not_yet_valid: 'huge number',
    permit: 'missing, number, name in other case, value in other case',
  }),
  // Compared with nothing.
  'claims.iat': row('token_claim_invalid', {
    permit: 'missing, number, huge number, name in other case, value in other case',
  }),
  'claims.sub': row('token_claim_invalid', { claim_mismatch: `missing, name in other case, ${TEXTS}` }),
  'claims.client_id': row('token_claim_invalid', { claim_mismatch: `missing, name in other case, ${TEXTS}` }),
  'claims.scope': row('token_claim_invalid', { scope_insufficient: `missing, array, name in other case, ${TEXTS}` }),
  'claims.acr': row('authentication_insufficient'),
  // An issuer whose clock is ahead.
  'claims.auth_time': row('authentication_insufficient', { permit: 'huge number, value in other case' }),
  'claims.cnf': row('confirmation_unsupported', { binding_required: 'missing, name in other case' }),
  'cnf.jkt': row('confirmation_unsupported', { proof_key_mismatch: 'text, huge text, value in other case' }),
};

const PROOF: Readonly<Record<string, Row>> = {
  'header.typ': row('proof_type_invalid', { permit: 'value in other case' }),
  'header.alg': row('proof_algorithm_refused'),
  'header.jwk': row('proof_key_invalid'),
  'jwk.kty': row('proof_key_invalid'),
  'jwk.crv': row('proof_key_invalid'),
  'jwk.x': row('proof_key_invalid', { proof_key_mismatch: 'value in other case' }),
  'jwk.y': row('proof_key_invalid', { proof_key_mismatch: 'value in other case' }),
  // Any short text is an identifier of its own.
  'claims.jti': row('proof_malformed', { permit: 'text, value in other case' }),
  'claims.htm': row('proof_malformed', { proof_method_mismatch: TEXTS }),
  'claims.htu': row('proof_malformed', { proof_uri_mismatch: TEXTS }),
  'claims.ath': row('proof_malformed', { proof_token_mismatch: TEXTS }),
  'claims.iat': row('proof_malformed', {
    proof_stale: 'number',
    proof_from_future: 'huge number',
    permit: 'value in other case',
  }),
};

/** Where the route demands a nonce. */
const NONCE: Readonly<Record<string, Row>> = {
  'claims.nonce': row('proof_malformed', { nonce_required: 'missing, name in other case', nonce_stale: TEXTS }),
};

let ports: Ports;
let signer: TestKey;
let holder: TestKey;
before(async () => {
  signer = await makeKey('ES256', 'k1');
  holder = await makeKey();
  // Two keys of one kind, so that `kid` decides.
  ports = await makePorts([signer, await makeKey('ES256', 'k2')]);
});

/** Everything in the token counts here. */
function strictRoute(nonce: 'none' | 'required' = 'none'): Route {
  return makeRoute(makeIssuer({ requireTyp: true }), {
    requirement: 'dpop',
    dpop: { ...DPOP_RULES, nonce },
    scope: { match: 'all', scopes: ['orders:read'] },
    claims: [
      { name: 'sub', path: ['sub'], anyOf: ['alice'] },
      { name: 'client_id', path: ['client_id'], anyOf: ['shop'] },
    ],
    acr: ['gold'],
    maxAuthAge: 3600,
  });
}

function goodToken(): Parts {
  const times = { exp: NOW + 600, nbf: NOW - 60, iat: NOW - 60, auth_time: NOW - 60 };
  const texts = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', client_id: 'shop', scope: 'orders:read', acr: 'gold' };
  return {
    header: membersOf({ alg: 'ES256', kid: 'k1', typ: 'at+jwt' }),
    claims: membersOf({ ...texts, ...times, cnf: { jkt: holder.jkt } }),
  };
}

interface Spoiled {
  readonly token?: readonly Edit[];
  readonly proof?: readonly Edit[];
  readonly nonce?: boolean;
}

function goodProof(token: string, nonce: boolean): Parts {
  const claims = { jti: 'id', htm: 'GET', htu: `${AUDIENCE}/orders/1`, iat: NOW, ath: ath(token) };
  return {
    header: membersOf({ typ: 'dpop+jwt', alg: 'ES256', jwk: holder.jwk }),
    claims: membersOf(nonce ? { ...claims, nonce: ports.nonces.mint(NOW) } : claims),
  };
}

/** Decides about a request whose token or proof was spoiled. */
async function outcomeOf({ token: tokenEdits = [], proof: proofEdits = [], nonce = false }: Spoiled): Promise<string> {
  const token = await cook(signer, goodToken(), tokenEdits);
  const proof = await cook(holder, goodProof(token, nonce), proofEdits);
  return decideOnce(token, proof, strictRoute(nonce ? 'required' : 'none'));
}

/** Sees to it that no refusal writes to the replay store. */
async function decideOnce(token: string, proof: string, route: Route): Promise<string> {
  const replay = new ProcessReplayStore(createReplayMemory({ capacity: 10, since: 0 }), () => NOW);
  const request = makeFacts({ now: NOW, authorization: [`DPoP ${token}`], dpop: [proof] });
  const decision = await decide(request, route, { ...ports, replay });
  assert.equal(replay.entries, decision === 'permit' ? 1 : 0, `${decision} and the replay store`);
  return decision;
}

/** One mutation; a number in other case is the number. */
function editOf(part: Part, member: string, mutation: Mutation, good: string): Edit {
  const at = { part, member };
  if (mutation === 'missing') return { edit: 'remove', ...at };
  if (mutation === 'repeated') return { edit: 'repeat', ...at, json: good };
  if (mutation === 'name escaped') {
    const code = member.charCodeAt(0).toString(16).padStart(4, '0');
    return { edit: 'rename', ...at, name: `"\\u${code}${member.slice(1)}"` };
  }
  if (mutation === 'name in other case') return { edit: 'rename', ...at, name: JSON.stringify(otherCase(member)) };
  return { edit: 'set', ...at, json: mutation === 'value in other case' ? valueInOtherCase(good) : VALUES[mutation] };
}

const setTo = (part: Part, member: string, json: string): Edit => ({ edit: 'set', part, member, json });

const otherCase = (text: string) =>
  text.replace(/[a-z]/gi, (letter) => (letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase()));

/** All but its last character, where base64url has its spare bits. */
const valueInOtherCase = (json: string) => otherCase(json.slice(0, -2)) + json.slice(-2);

/** JSON of the good value of `part.member`. */
function goodValue({ header, claims }: Parts, part: Part, member: string): string {
  const all = { header, claims, jwk: inside(header, 'jwk'), cnf: inside(claims, 'cnf') };
  return all[part].find(([name]) => name === `"${member}"`)?.[1] ?? '';
}

function inside(members: Members, name: string): Members {
  const json = members.find(([one]) => one === `"${name}"`)?.[1];
  return json === undefined ? [] : membersOf(JSON.parse(json));
}

function testRows(which: 'token' | 'proof', rows: Readonly<Record<string, Row>>, nonce = false) {
  for (const [field, row] of Object.entries(rows)) {
    const [part, member] = field.split('.') as [Part, string];
    test(`${which}: each of ${MUTATIONS.length} mutations of ${field} has its one reason`, async () => {
      assert.equal(await outcomeOf({ nonce }), 'permit');
      const good = goodValue(which === 'token' ? goodToken() : goodProof('', nonce), part, member);
      const found: Record<string, string> = {};
      for (const mutation of MUTATIONS) {
        found[mutation] = await outcomeOf({ nonce, [which]: [editOf(part, member, mutation, good)] });
      }
      assert.deepEqual(found, { ...row, repeated: `${which}_malformed` });
    });
  }
}

describe('single mutations', () => {
  testRows('token', TOKEN);
  testRows('proof', PROOF);
  testRows('proof', NONCE, true);

  const respellings: readonly Respelling[] = ['padding', 'space', 'spare', 'zero', 'cut', 'longer', 'bit', 'empty'];
  const passesNeither = async (edits: readonly Edit[], message: string) => {
    const ofToken = await outcomeOf({ token: edits });
    assert.match(ofToken, /^(?:token_(?:malformed|signature_invalid)|credentials_malformed)$/, message);
    assert.match(await outcomeOf({ proof: edits }), /^proof_(?:malformed|signature_invalid)$/, message);
  };
  for (const part of ['headerText', 'claimsText', 'signature'] as const) {
    test(`no other encoding of the ${part} of token or proof passes`, async () => {
      for (const how of respellings) await passesNeither([{ edit: 'respellText', part, how }], how);
    });
  }
  test('base64 in the other alphabet passes neither in header nor claims', async () => {
    // Question marks make for characters that the alphabets have not in common.
    const marks = (part: Part) => setTo(part, 'x', '"????????"');
    await passesNeither([marks('header'), { edit: 'respellText', part: 'headerText', how: 'standard' }], 'header');
    await passesNeither([marks('claims'), { edit: 'respellText', part: 'claimsText', how: 'standard' }], 'claims');
  });

  test('a byte order mark, and bytes that are no UTF-8, make token and proof malformed', async () => {
    for (const part of ['header', 'claims'] as const) {
      for (const [at, bytes] of [
        [0, '\u00ef\u00bb\u00bf'],
        [-2, '\u00ff'],
        [-2, '\u00c0\u00ae'],
      ] as const) {
        const edits: readonly Edit[] = [setTo(part, 'x', '"x"'), { edit: 'insert', part, at, bytes }];
        assert.equal(await outcomeOf({ token: edits }), 'token_malformed');
        assert.equal(await outcomeOf({ proof: edits }), 'proof_malformed');
      }
    }
  });

  test('a token or proof over its size is refused whatever it says', async () => {
    const filled = (bytes: number): Edit => ({
      edit: 'set',
      part: 'claims',
      member: 'x',
      json: JSON.stringify('x'.repeat(bytes)),
    });
    assert.equal(await outcomeOf({ token: [filled(12_000)] }), 'credentials_malformed');
    assert.equal(await outcomeOf({ proof: [filled(6000)] }), 'proof_malformed');
  });

  test('a proof that carries its private key is refused', async () => {
    const whole = membersOf({ ...(await exportJWK(holder.privateKey)) });
    const edits = whole.map(([name, json]) => setTo('jwk', String(JSON.parse(name)), json));
    assert.equal(await outcomeOf({ proof: edits }), 'proof_key_invalid');
  });
});
