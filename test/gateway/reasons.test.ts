// Every reason end to end, with exactly the answer of docs/rejections.md.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Reason, REASON_NAMES } from '../../src/rejection/rejection.ts';
import { HOST, startTestGateway } from '../support/gateway.ts';
import { CLIENT, dpop, HOLDER, THIEF, TO_BOTH } from './credentials.ts';
import { assertCounted, meet } from './refusal.ts';
import { gatewayFor, POLICY_OF_ALL, REFUSALS } from './refusals.ts';

/** Why a reason cannot occur here. */
const NOT_YET = {
  introspection_queue_full: 'it takes a flood (introspection-flood.system.ts)',
  token_exchange_queue_full: 'it takes many calls at once (test/issuer/token-exchange.test.ts)',
  rate_store_unavailable: 'rates inside the process always answer (replica-store.system.ts)',
  replay_store_unavailable: 'the memory inside the process always answers',
} satisfies Partial<Record<Reason, string>>;

test('every reason that can occur has a refusal here, and every other one says why it cannot', () => {
  const occurring = new Set<string>(REFUSALS.map(({ reason }) => reason));
  assert.deepEqual([...occurring, ...Object.keys(NOT_YET)].toSorted(), REASON_NAMES.toSorted());
});

test('a refusal occurs with its status, error, challenge and body, and never reaches the upstream', async (t) => {
  const shared = await startTestGateway(t, POLICY_OF_ALL);
  for (const refusal of REFUSALS) {
    await t.test(`${refusal.reason}: ${refusal.when}`, async (each) => {
      const gateway = await gatewayFor(each, refusal, shared);
      await meet(gateway, refusal);
      if (gateway !== shared) await assertCounted(gateway, [refusal]);
    });
  }
  await assertCounted(
    shared,
    REFUSALS.filter(({ wishes }) => wishes === undefined),
  );
});

/** What can be wrong with one request at once, in the order of the table. */
const FAULTS: readonly (readonly [Reason, (draft: ReturnType<typeof goodRequest>) => void])[] = [
  ['field_forbidden', ({ fields }) => void fields.push(['Client_Cert', 'x'])],
  ['misdirected', (draft) => void (draft.host = 'else.example')],
  ['proof_repeated', ({ fields }) => void fields.push(['DPoP', 'another'])],
  ['token_expired', ({ claims, now }) => void (claims['exp'] = now - 60)],
  ['token_not_yet_valid', ({ claims, now }) => void (claims['nbf'] = now + 60)],
  ['token_audience_mismatch', ({ claims }) => void (claims['aud'] = 'https://else.example')],
  ['certificate_missing', (draft) => void (draft.client = undefined)],
  ['proof_type_invalid', ({ header }) => void (header['typ'] = 'jwt')],
  ['proof_algorithm_refused', ({ header }) => void (header['alg'] = 'none')],
  ['proof_key_mismatch', (draft) => void (draft.key = THIEF)],
  ['proof_method_mismatch', ({ proof }) => void (proof['htm'] = 'POST')],
  ['proof_uri_mismatch', ({ proof }) => void (proof['htu'] = 'https://else.example/')],
  ['proof_token_mismatch', ({ proof }) => void (proof['ath'] = 'x')],
  ['proof_stale', ({ proof, now }) => void (proof['iat'] = now - 90)],
  ['scope_insufficient', ({ claims }) => void (claims['scope'] = 'orders:read')],
  ['claim_mismatch', ({ claims }) => void (claims['tenant'] = 'other')],
  ['identity_unforwardable', ({ claims }) => void (claims['sub'] = 'Zoë')],
];

function goodRequest(now: number) {
  return {
    now,
    host: HOST,
    fields: [] as [string, string][],
    client: CLIENT as typeof CLIENT | undefined,
    claims: { ...TO_BOTH, scope: 'orders:write', tenant: 'acme' } as Record<string, unknown>,
    header: {} as Record<string, unknown>,
    key: HOLDER,
    proof: {} as Record<string, unknown>,
  };
}

test('of all that is wrong with a request, the earliest reason of the table is reported', async (t) => {
  const gateway = await startTestGateway(t, POLICY_OF_ALL);
  const outcomes: string[] = [];
  for (const mended of [...FAULTS.keys(), FAULTS.length]) {
    const draft = goodRequest(gateway.now());
    for (const [, spoil] of FAULTS.slice(mended)) spoil(draft);
    const { host, fields, client, claims, header, key, proof } = draft;
    const proving = { header, key, claims: proof };
    const answer = await dpop(gateway, 'GET', '/scope/1', { host, fields, claims, proving, ...(client && { client }) });
    outcomes.push(answer.reason ?? String(answer.status));
  }
  const order = FAULTS.map(([reason]) => reason);
  assert.deepEqual(outcomes, [...order, '200']);
  assert.deepEqual(
    order,
    REASON_NAMES.filter((name) => order.includes(name)),
  );
});
