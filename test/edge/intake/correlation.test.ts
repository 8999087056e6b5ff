// Ids of a request: whose are taken, and what is made instead.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { correlate, type CorrelationRules, idFields } from '../../../src/edge/intake/correlation.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const FIELDS: CorrelationRules = { request: 'X-Request-Id', interaction: undefined };
const NOW = 1_800_000_000;
const PEER = { trustedUntil: NOW };
const STRANGER = { trustedUntil: 0 };

const requestId = (rawHeaders: readonly string[], connection = PEER, fields = FIELDS) =>
  correlate({ rawHeaders }, connection, fields, () => NOW).requestId;

describe('request id', () => {
  test('a trusted peer names the request: UUID, hex of nginx, counters of HAProxy, trace of a balancer', () => {
    for (const id of [
      '73cac523-d3ae-4289-b106-330a6218710d',
      '0123456789abcdef0123456789abcdef',
      '7F000001:8B3A_7F000001:1F90_5F5E100_0001:0B2C',
      'Root=1-67891233-abcdef012345678912345678',
      'a'.repeat(128),
    ]) {
      assert.equal(requestId(['x-request-ID', id]), id);
    }
  });

  test('what could not be an id is made here, from a trusted peer too: short, long, other characters, twice, empty', () => {
    for (const value of [
      '',
      '1234567',
      'a'.repeat(129),
      '12345678 x',
      'abcdefgh\u00e9',
      '"12345678"',
      '<b>12345678',
      'abc,defgh',
    ]) {
      assert.match(requestId(['X-Request-Id', value]), UUID, value);
    }
    const id = 'abcdefgh';
    assert.match(requestId(['X-Request-Id', id, 'x-request-id', id]), UUID);
    assert.match(requestId(['X_Request_Id', id]), UUID);
  });

  test('a stranger, or a peer whose certificate has ended, names nothing', () => {
    assert.match(requestId(['X-Request-Id', 'abcdefgh'], STRANGER), UUID);
    assert.match(requestId(['X-Request-Id', 'abcdefgh'], { trustedUntil: NOW - 1 }), UUID);
  });

  test('without a field there is an id for the log, and none for anybody else', () => {
    const fields = { request: undefined, interaction: undefined };
    const correlation = correlate({ rawHeaders: ['X-Request-Id', 'abcdefgh'] }, PEER, fields, () => NOW);
    assert.match(correlation.requestId, UUID);
    assert.deepEqual(idFields(correlation), []);
  });

  test('two requests have two ids', () => {
    assert.notEqual(requestId([]), requestId([]));
  });
});

describe('interaction id', () => {
  const fields = { request: 'X-Request-Id', interaction: 'X-FAPI-Interaction-Id' };
  const of = (rawHeaders: readonly string[]) => correlate({ rawHeaders }, PEER, fields, () => NOW);

  test("the client's UUID, else the request id", () => {
    const id = '73CAC523-d3ae-4289-b106-330a6218710d';
    assert.deepEqual(of(['x-fapi-interaction-id', id]).interaction, ['X-FAPI-Interaction-Id', id]);
    const made = of(['x-fapi-interaction-id', `${id}0`]);
    assert.deepEqual(made.interaction, ['X-FAPI-Interaction-Id', made.requestId]);
  });

  test('where the request id of the peer is no UUID, a UUID is made: FAPI 1.0 Part 1 §6.2.1 wants one', () => {
    const { requestId: id, interaction } = of(['X-Request-Id', '0123456789abcdef0123456789abcdef']);
    assert.equal(id, '0123456789abcdef0123456789abcdef');
    assert.match(interaction?.[1] ?? '', UUID);
  });

  test('bytes that never became a request have both ids, too', () => {
    const { requestId: id, interaction } = correlate(undefined, STRANGER, fields, () => NOW);
    assert.deepEqual([interaction?.[1], id.length], [id, 36]);
  });
});
