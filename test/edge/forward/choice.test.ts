// The choice among the upstreams of one route by weight.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileChoice, type RouteAtWork } from '../../../src/edge/forward/route-at-work.ts';

const [A, B] = [{ share: 'a' }, { share: 'b' }] as unknown as [RouteAtWork, RouteAtWork];

/** Every value of a fine scale once, in place of chance. */
function spread(ways: Parameters<typeof compileChoice>[0], steps = 1000): Map<RouteAtWork | undefined, number> {
  let step = 0;
  const choose = compileChoice(ways, () => (step++ % steps) / steps);
  return new Map(
    [...Map.groupBy(Array.from({ length: steps }, choose), (way) => way)].map(([way, all]) => [way, all.length]),
  );
}

test('each way gets its part of the sum of all weights, to the last request', () => {
  const ways = [
    { weight: 9, way: A },
    { weight: 1, way: B },
  ];
  assert.deepEqual(spread(ways), new Map([[A, 900], [B, 100]])); // biome-ignore format: pairs
});

test('a way of weight 0 gets nothing, wherever it stands', () => {
  for (const place of [0, 1, 2]) {
    const ways = [
      { weight: 3, way: A },
      { weight: 1, way: A },
    ].toSpliced(place, 0, { weight: 0, way: B });
    assert.deepEqual([...spread(ways).keys()], [A]);
  }
});

test('where all weights are 0, or no way is there, none is chosen', () => {
  assert.equal(compileChoice([{ weight: 0, way: A }])(), undefined);
  assert.equal(compileChoice([{ weight: 0, way: A }, { weight: 0, way: B }])(), undefined); // biome-ignore format: short
  assert.equal(compileChoice([])(), undefined);
});

test("a share that leads nowhere is nobody else's", () => {
  const ways = [
    { weight: 1, way: A },
    { weight: 3, way: undefined },
  ];
  assert.deepEqual(spread(ways).get(undefined), 750);
});

test('chance itself keeps to the weights', () => {
  const choose = compileChoice([{ weight: 70, way: A }, { weight: 30, way: B }]); // biome-ignore format: short
  const chosen = Array.from({ length: 100_000 }, choose).filter((way) => way === B).length;
  // Twenty standard deviations of the binomial distribution: 145 each.
  assert.ok(Math.abs(chosen - 30_000) < 2900, `${chosen}`);
});
