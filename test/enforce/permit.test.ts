// The facts of a Permit, and everything that a decision counts and remembers.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Permit } from '../../src/binding/permit.ts';
import { readCertificate } from '../../src/certificate/leaf.ts';
import { enforce, type Ports, shadow } from '../../src/enforce.ts';
import type { Demand, Route } from '../../src/policy/policy.ts';
import type { Remembered, ReplayStore } from '../../src/proof/replay-store.ts';
import { Rejection } from '../../src/rejection/rejection.ts';
import type { CertificateEvidence, CertificateFacts, RequestFacts } from '../../src/request-facts.ts';
import { INTROSPECTION_RULES, makeIssuer, makePorts, makeRoute } from '../support/enforcing.ts';
import { makeFacts } from '../support/facts.ts';
import { makeCertificate } from '../support/pki.ts';
import { ONE_A_MINUTE } from '../support/rate-limits.ts';
import { AUDIENCE, ISSUER, makeKey, makeProof, makeToken, type TestKey } from '../support/tokens.ts';

const NOW = 1_800_000_000.5;
const EXPIRES = Math.floor(NOW) + 300;

let issuerKey: TestKey;
let holder: TestKey;
let leaf: CertificateFacts;

before(async () => {
  [issuerKey, holder] = [await makeKey('ES256', 'k1'), await makeKey()];
  const read = readCertificate(
    (await makeCertificate({ notBefore: NOW - 3600, notAfter: NOW + 3600, names: ['alice.example.com'] })).der,
  );
  assert.ok(read !== undefined);
  leaf = read;
});

const evidence = (verify: 'chain' | 'possession'): CertificateEvidence => ({ facts: leaf, verify, trusted: true });

interface Wishes {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly nonce?: string;
  readonly jti?: string;
  readonly request?: Partial<RequestFacts>;
}

/** A good request of the holder. */
async function requestOf({ claims, nonce, jti = 'one', request }: Wishes = {}): Promise<RequestFacts> {
  const bound = { cnf: { jkt: holder.jkt }, exp: EXPIRES, ...claims };
  const token = await makeToken(issuerKey, NOW, { claims: bound });
  const proof = await makeProof(holder, NOW, { token, claims: { jti, ...(nonce === undefined ? {} : { nonce }) } });
  return makeFacts({ authorization: [`DPoP ${token}`], dpop: [proof], now: NOW, ...request });
}

const routeOf = (change: Partial<Route> = {}, demand: Partial<Demand> = {}): Route => ({
  ...makeRoute(makeIssuer(), { requirement: 'token', ...demand }),
  ...change,
});

async function permitOf(request: RequestFacts, route: Route, ports?: Partial<Ports>) {
  const decision = await enforce(request, route, await makePorts([issuerKey], ports));
  assert.ok(decision instanceof Permit, decision instanceof Rejection ? decision.reason : '');
  return decision.facts;
}

async function rejectionOf(request: RequestFacts, route: Route, ports: Ports) {
  const decision = await enforce(request, route, ports);
  assert.ok(decision instanceof Rejection);
  return { reason: decision.reason, facts: decision.facts };
}

/** Remembers nothing, answers as told, and keeps what it was asked. */
function replayStore(answer: Remembered) {
  const asked: string[] = [];
  const store: ReplayStore = {
    coverage: { since: 0 },
    entries: 0,
    remember: (_jkt, jti) => {
      asked.push(jti);
      return answer;
    },
  };
  return { store, asked };
}

describe('a Permit', () => {
  const IDENTITY = (['binding', 'thumbprint', 'issuer', 'expires', 'certificate_subject'] as const).map((fact) => ({
    field: `X-${fact}`,
    source: { fact },
  }));
  const telling = () => routeOf({ forward: { ...makeRoute(makeIssuer()).forward, identity: IDENTITY } });
  const identityOf = ({ identity }: Permit['facts']) => Object.fromEntries(identity);

  test('says which key confirmed the token, and until when it is good', async () => {
    const facts = await permitOf(await requestOf(), telling());
    assert.deepEqual(facts.confirmed, { jkt: holder.jkt, 'x5t#S256': undefined });
    assert.equal(facts.expiresAt, EXPIRES);
    assert.deepEqual(identityOf(facts), {
      'X-binding': 'dpop',
      'X-thumbprint': holder.jkt,
      'X-issuer': ISSUER,
      'X-expires': String(EXPIRES),
    });
  });

  test('says which certificate confirmed the token, and its subject where a CA vouches for it', async () => {
    const claims = { cnf: { 'x5t#S256': leaf.thumbprint } };
    const ask = async (verify: 'chain' | 'possession') => {
      const { authorization } = await requestOf({ claims });
      const [line = ''] = authorization;
      const bearer = [line.replace('DPoP', 'Bearer')];
      return permitOf(makeFacts({ authorization: bearer, now: NOW, certificate: evidence(verify) }), telling());
    };
    const facts = await ask('chain');
    assert.deepEqual(facts.confirmed, { jkt: undefined, 'x5t#S256': leaf.thumbprint });
    assert.deepEqual(
      ['X-binding', 'X-thumbprint', 'X-certificate_subject'].map((field) => identityOf(facts)[field]),
      ['mtls', leaf.thumbprint, leaf.subject],
    );
    assert.equal(identityOf(await ask('possession'))['X-certificate_subject'], undefined);
  });

  test('says nothing of an expiry that the issuer did not tell of an opaque token', async () => {
    const issuer = makeIssuer({ introspection: INTROSPECTION_RULES });
    const answered = { active: true, iss: ISSUER, aud: AUDIENCE, sub: 'alice', token_type: 'Bearer' };
    const route = { ...telling(), demand: { ...telling().demand, issuers: [issuer] } };
    const facts = await permitOf(makeFacts({ authorization: ['Bearer opaque'], now: NOW }), route, {
      introspect: () => answered,
    });
    assert.equal(facts.expiresAt, undefined);
    assert.deepEqual(identityOf(facts), { 'X-binding': 'none', 'X-issuer': ISSUER });
  });

  test('of a public route tells nothing about anybody, and keeps no malformed certificate', async () => {
    const facts = await permitOf(makeFacts({ certificate: 'malformed' }), routeOf({}, { requirement: 'public' }));
    assert.deepEqual([facts.identity, facts.claims, facts.certificate], [[], undefined, undefined]);
  });
});

test('a certificate field that cannot be read is refused where anything is demanded, before anything else is looked at', async () => {
  const request = await requestOf({ request: { certificate: 'malformed' } });
  const { reason } = await rejectionOf(request, routeOf(), await makePorts([issuerKey]));
  assert.equal(reason, 'certificate_field_malformed');
  const bare = makeFacts({ certificate: 'malformed', now: NOW });
  assert.equal(
    (await rejectionOf(bare, routeOf(), await makePorts([issuerKey]))).reason,
    'certificate_field_malformed',
  );
});

test('a shadow says what it would have refused, and remembers nothing', async () => {
  const { store, asked } = replayStore('fresh');
  const ports = await makePorts([issuerKey], { replay: store });
  const { demand } = routeOf();
  const scope = { match: 'all', scopes: ['payments'] } as const;
  assert.equal(await shadow(await requestOf(), demand, ports), undefined);
  assert.equal((await shadow(await requestOf(), { ...demand, scope }, ports))?.reason, 'scope_insufficient');
  assert.deepEqual(asked, []);
});

describe('the rate of a route', () => {
  const limited = (change: Partial<Route> = {}, demand: Partial<Demand> = {}) =>
    routeOf({ rateLimit: ONE_A_MINUTE, ...change }, demand);

  test('is told to the first request, and to the one too many with its name and when to come again', async () => {
    const ports = await makePorts([issuerKey]);
    assert.ok((await permitOf(await requestOf(), limited())).quota !== undefined);
    await enforce(await requestOf(), limited(), ports);
    const { reason, facts } = await rejectionOf(await requestOf({ jti: 'two' }), limited(), ports);
    assert.equal(reason, 'rate_limited');
    assert.deepEqual([facts.what, facts.retryAfter, facts.quota?.name], ['few', 60, 'few']);
  });

  test('counts public requests by address: of one address the second is too many, of another it is not', async () => {
    const ports = await makePorts([issuerKey]);
    const route = limited({ rateLimit: { ...ONE_A_MINUTE, key: 'address' } }, { requirement: 'public' });
    const ask = async (clientAddress: string) => {
      const decision = await enforce(makeFacts({ clientAddress, now: NOW }), route, ports);
      return decision instanceof Rejection ? decision.reason : 'permit';
    };
    assert.deepEqual(
      [await ask('192.0.2.7'), await ask('192.0.2.7'), await ask('192.0.2.8')],
      ['permit', 'rate_limited', 'permit'],
    );
  });

  test('names itself where its store does not answer', async () => {
    const rates = { take: async () => 'unavailable' as const, giveBack: () => {} };
    const { reason, facts } = await rejectionOf(await requestOf(), limited(), await makePorts([issuerKey], { rates }));
    assert.deepEqual([reason, facts], ['rate_store_unavailable', { what: 'few' }]);
  });

  test('is given back for a proof that was used before, of the same sender, and for no other request', async () => {
    const { rates } = await makePorts([]);
    const given: unknown[] = [];
    const counting = { take: rates.take.bind(rates), giveBack: (...what: unknown[]) => void given.push(what) };
    const ports = await makePorts([issuerKey], { rates: counting, replay: replayStore('fresh').store });
    await enforce(await requestOf(), limited(), ports);
    assert.deepEqual(given, []);
    const replayed = { ...ports, replay: replayStore('replayed').store };
    await enforce(await requestOf({ claims: { sub: 'bob' } }), limited(), replayed);
    assert.deepEqual(given, [[ONE_A_MINUTE, `subject ${ISSUER.length} ${ISSUER} bob`, NOW]]);
    await enforce(await requestOf(), routeOf(), replayed);
    assert.equal(given.length, 1, 'a route without a rate gives nothing back');
  });
});

describe('a proof is remembered', () => {
  /** Which of two stores was asked about a proof with a nonce of this kind. */
  async function askedOf(nonce: 'none' | 'own' | 'shared', own: boolean, answer: Remembered = 'fresh') {
    const [common, ofProcess] = [replayStore(answer), replayStore(answer)];
    const nonces = {
      mint: () => 'fresh-nonce',
      read: () => ({ mintedAt: NOW - 1, expiresAt: NOW + 100, own: nonce === 'own' }),
    };
    const ports = await makePorts([issuerKey], {
      nonces,
      replay: common.store,
      ...(own ? { ownReplay: ofProcess.store } : {}),
    });
    const decision = await enforce(await requestOf(nonce === 'none' ? {} : { nonce: 'n' }), routeOf(), ports);
    return {
      asked: [common.asked.length, ofProcess.asked.length],
      outcome: decision instanceof Rejection ? decision.reason : 'permit',
    };
  }

  test('by the process alone if nobody else takes its nonce, else by the store of all replicas', async () => {
    const asked = async (...of: Parameters<typeof askedOf>) => (await askedOf(...of)).asked;
    assert.deepEqual(await asked('own', true), [0, 1]);
    assert.deepEqual(await asked('shared', true), [1, 0]);
    assert.deepEqual(await asked('none', true), [1, 0]);
    assert.deepEqual(await asked('own', false), [1, 0]);
  });

  test('or a new nonce is asked for: the first, where the proof had none', async () => {
    assert.equal((await askedOf('none', true, 'challenge')).outcome, 'nonce_required');
    assert.equal((await askedOf('shared', true, 'challenge')).outcome, 'nonce_stale');
    assert.equal((await askedOf('shared', true)).outcome, 'permit');
  });
});
