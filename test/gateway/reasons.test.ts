// Every reason, end to end: real TLS in front, a real upstream behind, and exactly the answer that rejections.md promises.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASON_NAMES } from '../../src/rejection/rejection.ts';
import { startTestGateway } from '../support/gateway.ts';
import { meet } from './refusal.ts';
import { gatewayFor, POLICY_OF_ALL, REFUSALS } from './refusals.ts';

/** Why a reason cannot occur yet. */
const NOT_YET = {
  token_inactive: 'introspection is not built',
  rate_limited: 'rate limits are not built',
  upstream_circuit_open: 'the circuit breaker is not built',
  replay_store_unavailable: 'the memory inside the process always answers',
};

test('every reason that can occur has a refusal here, and every other one says why it cannot', () => {
  const occurring = new Set<string>(REFUSALS.map(({ reason }) => reason));
  assert.deepEqual([...occurring, ...Object.keys(NOT_YET)].toSorted(), REASON_NAMES.toSorted());
});

test('a refusal occurs with its status, error, challenge and body, and never reaches the upstream', async (t) => {
  const shared = await startTestGateway(t, POLICY_OF_ALL);
  for (const refusal of REFUSALS) {
    await t.test(`${refusal.reason}: ${refusal.when}`, async (each) => {
      await meet(await gatewayFor(each, refusal, shared), refusal);
    });
  }
});
