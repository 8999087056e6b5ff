// The truth table of binding: requirement × scheme × confirmation, every cell of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oblige, type Requirement } from '../../src/binding/binding.ts';
import type { Scheme } from '../../src/rejection/challenge.ts';
import { Rejection } from '../../src/rejection/rejection.ts';

const confirmations = {
  unbound: { jkt: undefined, x5tS256: undefined, unknownMembers: 0 },
  jkt: { jkt: 'J', x5tS256: undefined, unknownMembers: 0 },
  x5t: { jkt: undefined, x5tS256: 'X', unknownMembers: 0 },
  both: { jkt: 'J', x5tS256: 'X', unknownMembers: 0 },
} as const;
type Row = [Exclude<Requirement, 'public'>, Scheme, string, string, string, string];

const required = 'binding_required';
const downgraded = 'binding_downgraded';
// requirement, scheme: unbound, jkt, x5t, both → the proof and certificate owed, or the reason
const table: Row[] = [
  ['token', 'Bearer', 'none', downgraded, 'X', downgraded],
  ['token', 'DPoP', required, 'J', required, 'J+X'],
  ['sender-constrained', 'Bearer', required, downgraded, 'X', downgraded],
  ['sender-constrained', 'DPoP', required, 'J', required, 'J+X'],
  ['dpop', 'Bearer', required, downgraded, required, downgraded],
  ['dpop', 'DPoP', required, 'J', required, 'J+X'],
  ['mtls', 'Bearer', required, required, 'X', downgraded],
  ['mtls', 'DPoP', required, required, required, 'J+X'],
];

for (const [requirement, scheme, ...cells] of table) {
  Object.entries(confirmations).forEach(([name, confirmation], column) => {
    const expected = cells[column];
    test(`route ${requirement}, scheme ${scheme}, token ${name}: ${expected}`, () => {
      const obligation = oblige(requirement, scheme, confirmation);
      const owed =
        obligation instanceof Rejection
          ? obligation.reason
          : [obligation.proofBy, obligation.certificate].filter(Boolean).join('+') || 'none';
      assert.equal(owed, expected);
    });
  });
}

test('the name of the binding says what is owed', () => {
  const names = Object.values(confirmations).map((confirmation) => {
    const obligation = oblige('token', confirmation.jkt ? 'DPoP' : 'Bearer', confirmation);
    return obligation instanceof Rejection ? obligation.reason : obligation.binding;
  });
  assert.deepEqual(names, ['none', 'dpop', 'mtls', 'dpop+mtls']);
});

test('a binding that is missing is named: by the route where that wants one kind, else by the scheme', () => {
  const missing = (requirement: Requirement, scheme: Scheme, name: keyof typeof confirmations) => {
    const obligation = oblige(requirement, scheme, confirmations[name]);
    return obligation instanceof Rejection && [obligation.reason, obligation.facts.what].join(' ');
  };
  for (const scheme of ['Bearer', 'DPoP'] as const) {
    for (const name of ['unbound', 'jkt'] as const) {
      assert.equal(missing('mtls', scheme, name), 'binding_required x5t#S256');
    }
    for (const name of ['unbound', 'x5t'] as const) assert.equal(missing('dpop', scheme, name), 'binding_required jkt');
    assert.equal(missing('sender-constrained', scheme, 'unbound'), 'binding_required cnf');
  }
  assert.equal(missing('token', 'DPoP', 'unbound'), 'binding_required scheme');
  assert.equal(missing('sender-constrained', 'DPoP', 'x5t'), 'binding_required scheme');
});
