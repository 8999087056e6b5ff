// The histogram: bounds, labels, exemplars, and the JSON of prom-client's own.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Histogram as Own, Registry } from 'prom-client';
import { Histogram } from '../../src/observe/histogram.ts';

const DEFINITION = { name: 'seconds', help: 'How long it took.', labels: ['route'] };
const BOUNDS = [-1, 0, 0.5, 2];

/** The JSON of a metric. */
interface Said {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  readonly values: readonly { readonly exemplar?: object | null }[];
}

const bucketsOf = async (histogram: Histogram) => {
  const values = (await histogram.get()).values as { labels: { le?: number | string }; value: number }[];
  return Object.fromEntries(
    values.filter(({ labels }) => labels.le !== undefined).map(({ labels, value }) => [labels.le, value]),
  );
};

describe('histogram', () => {
  test('a value belongs to the bucket of its bound and to all above, the next larger one does not', async () => {
    const histogram = new Histogram(DEFINITION, BOUNDS);
    histogram.observe('orders', 0.5);
    assert.deepEqual(await bucketsOf(histogram), { '-1': 0, '0': 0, '0.5': 1, '2': 1, '+Inf': 1 });
    histogram.observe('orders', 0.500_001);
    assert.deepEqual(await bucketsOf(histogram), { '-1': 0, '0': 0, '0.5': 1, '2': 2, '+Inf': 2 });
    histogram.observe('orders', 2.1);
    assert.deepEqual(await bucketsOf(histogram), { '-1': 0, '0': 0, '0.5': 1, '2': 2, '+Inf': 3 });
  });

  test('says the same as that of prom-client', async () => {
    const ours = new Histogram(DEFINITION, BOUNDS.slice(1));
    const { labels: labelNames, ...names } = DEFINITION;
    const theirs = new Own({ ...names, labelNames, buckets: BOUNDS.slice(1), registers: [new Registry()] });
    ours.zero('quiet');
    theirs.zero({ route: 'quiet' });
    for (const [route, value] of [
      ['orders', 0.1],
      ['orders', 7],
      ['"a\\b\n"', 0],
    ] as const) {
      ours.observe(route, value);
      theirs.observe({ route }, value);
    }
    const plain = async (metric: { get(): Promise<unknown> }) => {
      const { name, help, type, aggregator, values } = (await metric.get()) as Said;
      return { name, help, type, aggregator, values: values.map((one) => ({ exemplar: null, ...one })) };
    };
    const its = await plain(theirs);
    // A number that has no exemplar says so in one way of two.
    const values = its.values.map((one) => ({ ...one, exemplar: one.exemplar ?? null }));
    assert.deepEqual(await plain(ours), { ...its, values });
  });

  test('an exemplar is that of the last request of its bucket; one without leaves it', async () => {
    const histogram = new Histogram(DEFINITION, BOUNDS);
    histogram.observe('orders', 0.3, { trace_id: 'a' });
    histogram.observe('orders', 0.4, { trace_id: 'b' });
    histogram.observe('orders', 0.2);
    histogram.observe('orders', 1);
    const shown = ((await histogram.get()).values as { exemplar?: { labelSet: object; value: number } | null }[])
      .map(({ exemplar }) => exemplar && [exemplar.labelSet, exemplar.value])
      .filter((one) => one);
    assert.deepEqual(shown, [[{ trace_id: 'b' }, 0.4]]);
  });

  test('without a label it is there from the beginning; with one it is not; two are refused', async () => {
    assert.equal((await new Histogram({ ...DEFINITION, labels: [] }, BOUNDS).get()).values.length, 7);
    assert.equal((await new Histogram(DEFINITION, BOUNDS).get()).values.length, 0);
    assert.throws(() => new Histogram({ ...DEFINITION, labels: ['a', 'b'] }, BOUNDS), /more than one label/);
  });
});
