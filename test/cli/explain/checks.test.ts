// The list of checks behind `explain`: complete, in the order of reasons, and true.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CheckedStep, listChecks } from '../../../src/cli/explain/checks.ts';
import { shorten } from '../../../src/cli/explain/words.ts';
import { REASON_NAMES, REASONS, type Reason } from '../../../src/rejection/rejection.ts';
import type { JsonObject } from '../../../src/jose/jws.ts';
import type { RequestFacts } from '../../../src/request-facts.ts';
import { makeFacts } from '../../support/facts.ts';
import { policyOf } from '../../support/policies.ts';
import { makeKey, makeProof, makeToken } from '../../support/tokens.ts';

const policy = policyOf({
  routes: '- { name: orders, match: { path: /orders/* }, upstream: orders, require: dpop, scope: [orders:read] }',
});
const [route] = policy.routes;
assert.ok(route);

async function facts() {
  const key = await makeKey();
  const now = 1_800_000_000;
  const token = await makeToken(key, now, { claims: { cnf: { jkt: key.jkt } } });
  return makeFacts({ now, authorization: [`DPoP ${token}`], dpop: [await makeProof(key, now, { token })] });
}

describe('list of checks', () => {
  test('a permitted request passed every check that it owed', async () => {
    const outcomes = listChecks(await facts(), route, undefined).map(({ check, outcome }) => [check, outcome]);
    assert.ok(outcomes.every(([, outcome]) => outcome === 'passed' || outcome === 'not needed'));
    assert.deepEqual(
      outcomes.filter(([, outcome]) => outcome === 'not needed').map(([check]) => check),
      [
        'active, as the issuer says',
        'client certificate',
        'one message signature',
        'key and algorithm of the message signature',
        'covered components',
        'created of the message signature',
        'Content-Digest',
        'message signature',
        'acr and auth_time',
        'claims',
        'rate',
      ],
    );
  });
  test('what stands before the reason passed, what stands behind was not reached', async () => {
    const steps = listChecks(await facts(), route, 'proof_uri_mismatch');
    const failed: number = steps.findIndex(({ outcome }) => outcome === 'failed');
    assert.equal(steps[failed]?.check, 'htu');
    assert.equal(steps[failed]?.expected, 'https://api.example.com/orders/1');
    assert.ok(steps.slice(0, failed).every(({ outcome }) => outcome === 'passed' || outcome === 'not needed'));
    assert.ok(steps.slice(failed + 1).every(({ outcome }) => outcome === 'not reached'));
  });
  test('every reason that a sender can cause belongs to exactly one check', async () => {
    const given = await facts();
    const stages = new Set(['presentation', 'token', 'binding', 'certificate', 'proof', 'signature', 'policy']);
    const elsewhere: readonly Reason[] = [];
    for (const reason of REASON_NAMES.filter((name) => stages.has(REASONS[name].stage) && !elsewhere.includes(name))) {
      const steps: readonly CheckedStep[] = listChecks(given, route, reason);
      assert.equal(steps.filter(({ outcome }) => outcome === 'failed').length, 1, reason);
    }
  });
  test('of an opaque token what its issuer said is shown, and no check of a JWT is owed', () => {
    const [asking] = policyOf(
      {
        issuers:
          'login: { issuer: https://login.example.com, audience: [https://api.example.com], introspection: { client_id: g, client_secret_file: s } }',
      },
      { files: { 'issuers.login.introspection.client_secret_file': 's' } },
    ).routes;
    assert.ok(asking);
    const opaque = makeFacts({ authorization: ['Bearer opaque'] });
    const steps = listChecks(opaque, asking, 'token_audience_mismatch', { active: true, aud: 'urn:elsewhere' });
    const of = (name: string) => steps.find(({ check }) => check === name);
    assert.deepEqual([of('aud')?.outcome, of('aud')?.received], ['failed', 'urn:elsewhere']);
    assert.equal(of('active, as the issuer says')?.outcome, 'not reached');
    for (const name of ['token is a signed JWT', 'iss', 'signature of the token', 'typ of the token'])
      assert.equal(of(name)?.outcome, 'not needed', name);
  });
  test('of a refused kind of token the mark that was expected is shown, and what the claims say', async () => {
    const routeWith = (more: string) => {
      const issuers = `login: { issuer: https://login.example.com, audience: [shop]${more} }`;
      const files = { 'issuers.login.introspection.client_secret_file': 's' };
      return policyOf({ issuers }, { files }).routes[0] ?? assert.fail();
    };
    const kind = (facts: RequestFacts, more: string, answer?: JsonObject) => {
      const steps = listChecks(facts, routeWith(more), 'token_type_refused', answer);
      const step = steps.find(({ check }) => check === 'typ of the token');
      assert.equal(step?.outcome, 'failed');
      return [step.expected, step.received];
    };
    const claims = { aud: undefined, client_id: 'shop', token_use: 'id', typ: 'ID' };
    const token = await makeToken(await makeKey(), 1_800_000_000, { header: { typ: 'JWT' }, claims });
    const signed = makeFacts({ authorization: [`Bearer ${token}`] });
    assert.deepEqual(kind(signed, ', audience_claim: client_id, access_token: { token_use: access, scp: present }'), [
      'typ at+jwt, JWT or absent; token_use: access, scp: any value',
      'typ JWT; token_use id, typ ID',
    ]);
    assert.deepEqual(kind(signed, ', require_typ: true')[0], 'typ at+jwt; nothing that ID tokens have');
    const opaque = makeFacts({ authorization: ['Bearer opaque'] });
    const asked = ', introspection: { client_id: g, client_secret_file: s }';
    assert.deepEqual(kind(opaque, asked, { active: true }), [
      'token_type Bearer or DPoP, or an aud of ours',
      'no claim says more',
    ]);
    const steps = listChecks(signed, routeWith(', audience_claim: client_id'), 'token_audience_mismatch');
    assert.equal(steps.find(({ check }) => check === 'aud')?.received, 'shop');
  });
  test('neither token nor proof is repeated in what was received', async () => {
    const given = await facts();
    const text = JSON.stringify(listChecks(given, route, 'proof_stale'));
    const sent = [...given.authorization, ...given.dpop].join('.').split(/[. ]/);
    for (const secret of sent.filter((part) => part.length > 20)) {
      assert.ok(!text.includes(secret));
    }
  });
  test('numbers that JSON.stringify cannot say are told as they were sent, or that they have no exact value', () => {
    assert.equal(shorten(9007199254740993n), '"9007199254740993"');
    assert.equal(shorten([9007199254740993n, Number.NaN]), '["9007199254740993","a number without exact value"]');
  });
  test('a request without credentials is explained too', () => {
    const [first] = listChecks(makeFacts(), route, 'credentials_missing');
    assert.deepEqual([first?.outcome, first?.received], ['failed', '0 in all, scheme none']);
  });
});
