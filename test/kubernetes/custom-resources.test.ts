// Tests of the CustomResourceDefinitions: every key of a policy, in a structural schema.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { parametersDefinition, policyDefinition } from '../../scripts/generate/custom-resources.ts';
import { POLICY_KEYS } from '../../src/kubernetes/policy-check.ts';
import type { Loose } from '../support/manifests.ts';

const policy: Loose = parse(policyDefinition());
const parameters: Loose = parse(parametersDefinition());
const specOf = (definition: Loose) => definition.spec.versions[0].schema.openAPIV3Schema.properties.spec;

/** Every schema in a schema. */
function* nodes(node: Loose): Generator<Loose> {
  yield node;
  for (const inner of Object.values<Loose>(node.properties ?? {})) yield* nodes(inner);
  for (const inner of [node.items, node.additionalProperties]) {
    if (typeof inner === 'object') yield* nodes(inner);
  }
}

test('both are of a group that no one else can have', () => {
  assert.equal(policy.metadata.name, 'holdfastpolicies.holdfast.internal');
  assert.equal(parameters.metadata.name, 'holdfastparameters.holdfast.internal');
});

test('a policy has the keys of a route that demand something, and its targets', () => {
  assert.deepEqual(Object.keys(specOf(policy).properties), ['targetRefs', ...POLICY_KEYS]);
  assert.deepEqual(Object.keys(specOf(parameters).properties.floor.properties), [...POLICY_KEYS]);
});

test('no key of them names a file', () => {
  const { forward, resource } = specOf(policy).properties;
  assert.equal('assertion' in forward.properties, false);
  assert.equal('signed_metadata' in resource.properties, false);
});

test('the schema is structural: each part has a type, or keeps what it does not know', () => {
  for (const node of [...nodes(specOf(policy)), ...nodes(specOf(parameters))]) {
    assert.ok('type' in node || node['x-kubernetes-preserve-unknown-fields'] === true, JSON.stringify(node));
    for (const foreign of ['anyOf', 'const', '$schema', 'propertyNames', 'default'])
      assert.equal(foreign in node, false);
    assert.doesNotMatch(node.pattern ?? '', /\(\?[=!<]/);
  }
});

test('what a policy does not know is kept, so that it can be refused', () => {
  for (const node of nodes(specOf(policy))) {
    if (node.properties?.group !== undefined) continue; // of a target, each member has to be right
    if (node.properties !== undefined) assert.equal(node['x-kubernetes-preserve-unknown-fields'], true);
  }
});
