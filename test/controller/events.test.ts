// Tests of Events: each once, and a fair share of them for each namespace.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventWriter, type EventWriterParts } from '../../src/controller/event-writer.ts';
import type { ObjectEvent } from '../../src/kubernetes/state.ts';
import { CONTROLLER } from '../support/manifests.ts';

const HOURLY = 1000;

const eventOf = (namespace: string, message: string): ObjectEvent => ({
  group: 'holdfast.internal',
  kind: 'HoldfastPolicy',
  namespace,
  name: 'policy',
  type: 'Warning',
  reason: 'Invalid',
  message,
});
const flood = (namespace: string, count: number): readonly ObjectEvent[] =>
  Array.from({ length: count }, (_, at) => eventOf(namespace, String(at)));

interface Written {
  readonly metadata: { readonly namespace: string };
  readonly note: string;
}

function start() {
  const written: Written[] = [];
  const found = {
    object: { metadata: { name: 'policy', namespace: '', uid: '1', resourceVersion: '1' } },
    of: { apiVersion: 'holdfast.internal/v1alpha1' },
  };
  const events = new EventWriter({
    view: { find: () => found as unknown as ReturnType<EventWriterParts['view']['find']> },
    writer: {
      create: async (_kind, _path, body) => await Promise.resolve(written.push(body as Written)),
    },
    controllerName: CONTROLLER,
    instance: 'one',
  });
  const of = (namespace: string) => written.filter(({ metadata }) => metadata.namespace === namespace).length;
  return { events, written, of };
}

test('an Event is written once for as long as it is true, and again when it has become true again', async () => {
  const { events, of } = start();
  for (const now of [[eventOf('a', 'x')], [eventOf('a', 'x')], [], [eventOf('a', 'x')]]) {
    // oxlint-disable-next-line no-await-in-loop -- one translation after the other
    await events.write(now);
  }
  assert.equal(of('a'), 2);
});

test('a flood in one namespace leaves the others their Events, in the same translation and in later ones', async () => {
  const { events, of } = start();
  await events.write([...flood('loud', 5 * HOURLY), eventOf('quiet', 'x')]);
  assert.equal(of('quiet'), 1);
  for (let round = 0; round < 100; round += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one translation after the other
    await events.write(flood('loud', round % 2 === 0 ? 0 : HOURLY));
  }
  await events.write([...flood('loud', HOURLY), eventOf('quiet', 'y'), eventOf('other', 'z')]);
  assert.deepEqual([of('quiet'), of('other')], [2, 1]);
  assert.ok(of('loud') > 50 && of('loud') < HOURLY / 5, `${of('loud')}`);
});

test('floods of many namespaces leave room for one more, and all together are bounded', async () => {
  const { events, written, of } = start();
  const loud = Array.from({ length: 40 }, (_, at) => `loud-${at}`);
  await events.write([...loud.flatMap((namespace) => flood(namespace, HOURLY)), eventOf('quiet', 'x')]);
  assert.equal(of('quiet'), 1);
  assert.ok(written.length <= HOURLY, `${written.length}`);
  for (const namespace of loud) assert.ok(of(namespace) > 0, namespace);
});

test('what had no room is written later, if it is still true', async (t) => {
  const { events, of } = start();
  const all = flood('loud', 300);
  await events.write(all);
  const first = of('loud');
  const now = performance.now();
  t.mock.method(performance, 'now', () => now + 3_600_001);
  await events.write(all);
  assert.equal(of('loud'), 2 * first);
  assert.ok(2 * first < 300, `${first}`);
});
