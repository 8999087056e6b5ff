// Tests of statuses: what others wrote stays, times change with conditions alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusChange } from '../../src/controller/statuses.ts';

const OURS = 'holdfast.internal/gateway-controller';
const THEN = '2026-11-29T10:00:00Z';
const NOW = '2026-11-29T12:00:00Z';
const accepted = (status: 'True' | 'False', observedGeneration = 1) => ({
  type: 'Accepted',
  status,
  reason: 'Accepted',
  message: '',
  observedGeneration,
});
const object = (status?: object) => ({ metadata: { name: 'a' }, ...(status && { status }) });
const change = (before: object | undefined, wanted: Record<string, unknown>) =>
  statusChange(object(before), { status: wanted }, OURS, NOW);

test('a first status has the time of its making in every condition, however deep', () => {
  const wanted = { conditions: [accepted('True')], listeners: [{ name: 'web', conditions: [accepted('False')] }] };
  assert.deepEqual(change(undefined, wanted), {
    conditions: [{ ...accepted('True'), lastTransitionTime: NOW }],
    listeners: [{ name: 'web', conditions: [{ ...accepted('False'), lastTransitionTime: NOW }] }],
  });
});

test('nothing is written where nothing changed', () => {
  const before = { conditions: [{ ...accepted('True'), lastTransitionTime: THEN }], addresses: [] };
  assert.equal(change(before, { conditions: [accepted('True')] }), undefined);
});

test('a condition keeps its time while its status stays, whatever else of it changes', () => {
  const before = { conditions: [{ ...accepted('True', 1), lastTransitionTime: THEN }] };
  assert.deepEqual(change(before, { conditions: [accepted('True', 2)] }), {
    conditions: [{ ...accepted('True', 2), lastTransitionTime: THEN }],
  });
  assert.deepEqual(change(before, { conditions: [accepted('False', 2)] }), {
    conditions: [{ ...accepted('False', 2), lastTransitionTime: NOW }],
  });
});

test('entries of other controllers stay as they are, and those of ours that are not wanted go', () => {
  const entry = (controllerName: string, name: string, lastTransitionTime?: string) => ({
    controllerName,
    parentRef: { name },
    conditions: [{ ...accepted('True'), ...(lastTransitionTime && { lastTransitionTime }) }],
  });
  const before = {
    parents: [entry(OURS, 'old', THEN), entry('example.com/other', 'old', THEN), entry(OURS, 'kept', THEN)],
  };
  const wanted = { parents: [entry(OURS, 'kept'), entry(OURS, 'new')] };
  assert.deepEqual(change(before, wanted), {
    parents: [entry('example.com/other', 'old', THEN), entry(OURS, 'kept', THEN), entry(OURS, 'new', NOW)],
  });
  assert.deepEqual(change(before, { parents: [] }), { parents: [entry('example.com/other', 'old', THEN)] });
});

test('parents that differ in a section or port are told apart', () => {
  const entry = (section: string, status: 'True' | 'False') => ({
    controllerName: OURS,
    parentRef: { name: 'gw', sectionName: section },
    conditions: [{ ...accepted(status), lastTransitionTime: THEN }],
  });
  const before = { parents: [entry('one', 'True'), entry('two', 'False')] };
  const { parents } = change(before, {
    parents: [
      { controllerName: OURS, parentRef: { name: 'gw', sectionName: 'two' }, conditions: [accepted('True')] },
      { controllerName: OURS, parentRef: { name: 'gw', sectionName: 'one' }, conditions: [accepted('True')] },
    ],
  }) as { parents: { conditions: { lastTransitionTime: string }[] }[] };
  assert.deepEqual(
    parents.map(({ conditions }) => conditions[0]?.lastTransitionTime),
    [NOW, THEN],
  );
});

test('a status of an odd shape is replaced, and does no harm', () => {
  for (const odd of [{ conditions: 'x' }, { conditions: [7, null] }, { conditions: { type: 'Accepted' } }]) {
    const written = change(odd, { conditions: [accepted('True')] });
    assert.deepEqual(written, { conditions: [{ ...accepted('True'), lastTransitionTime: NOW }] });
  }
});
