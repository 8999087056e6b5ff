// The series of a policy at zero: as many as docs/metrics.md says, and within a bound.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { zerosOf } from '../../src/observe/zeros.ts';
import { compileText, configuration } from '../support/policies.ts';

const PAGE = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8').replaceAll(/\s+/g, ' ');

async function seriesOf(names: readonly string[], demands: string): Promise<number> {
  const route = (name: string) => `- { name: ${name}, match: { path: /${name}/* }, upstream: orders, ${demands} }`;
  const compiled = compileText(configuration({ routes: names.map(route).join('\n') }));
  assert.ok('policy' in compiled, JSON.stringify(compiled));
  const zeros = (await zerosOf(compiled.policy)) as readonly {
    readonly values: readonly { readonly value: number }[];
  }[];
  assert.ok(zeros.every(({ values }) => values.every(({ value }) => value === 0)));
  return zeros.reduce((sum, { values }) => sum + values.length, 0);
}

for (const [demands, said] of [
  ['require: dpop', /(\d+) for a route with `require: dpop`/],
  ['require: public, weaker_than_defaults: [require]', /(\d+) for a public one/],
  ['require: token, weaker_than_defaults: [require]', /(\d+) for `require: token`/],
  [
    'require: token, weaker_than_defaults: [require], shadow: { require: dpop }',
    /(\d+) where that has a shadow demand/,
  ],
] as const) {
  test(`a route with ${demands} has as many series as the page of metrics says`, async () => {
    const [one, two] = [await seriesOf(['a'], demands), await seriesOf(['a', 'b'], demands)];
    assert.equal(two - one, Number(said.exec(PAGE)?.[1]));
  });
}

test('beyond a hundred routes no further series begin at zero', async () => {
  const names = Array.from({ length: 120 }, (_, nth) => `r${nth}`);
  assert.equal(await seriesOf(names, 'require: dpop'), await seriesOf(names.slice(0, 100), 'require: dpop'));
});
