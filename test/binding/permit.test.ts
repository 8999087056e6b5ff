// A permit: the facts it was granted with, and `grant` as the only way to one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Permit, type PermitFacts } from '../../src/binding/permit.ts';

const facts: PermitFacts = {
  route: 'orders',
  scheme: 'DPoP',
  binding: 'dpop',
  accessToken: 'token',
  issuer: undefined,
  identity: [['X-Auth-Subject', 'alice']],
  certificate: undefined,
  freshNonce: undefined,
  nonceUsed: false,
  expiresAt: 1_800_000_600,
  quota: undefined,
  client: 'address 192.0.2.7',
  claims: undefined,
  confirmed: undefined,
  unknownConfirmations: 0,
};

test('a permit carries exactly the facts that were decided upon', () => {
  assert.equal(Permit.grant(facts).facts, facts);
});

test('an object that only looks like a permit has no facts to forward by', () => {
  const forged: Permit = Object.create(Permit.prototype);
  assert.throws(() => forged.facts, TypeError);
});
