// The pages of the benchmark: goals met or missed, and nothing that was not measured.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Budget } from '../../bench/budget.ts';
import { goalRows } from '../../bench/goals.ts';
import { isWarm } from '../../bench/warming.ts';
import { pagesOf } from '../../bench/pages.ts';
import type { Rounds } from '../../bench/rounds.ts';
import type { Results } from '../../bench/results.ts';

const rounds = (more: object = {}): Rounds => ({
  plan: { rounds: 1, seconds: 2, warmUp: 6 },
  contenders: ['nginx', 'public', 'token', 'dpop', 'floor', 'floor-verify', 'verify'].map((id) => ({ id, title: id })),
  warm: { public: 12 },
  rounds: [{ nginx: 20, public: 50, token: 52, dpop: 117, floor: 45, 'floor-verify': 100, verify: 46, ...more }],
  rates: {},
  latencies: {},
  absent: ['a peer'],
  facts: ['two cores'],
  starts: [0.4],
  memory: { rest: 90, loaded: 200 },
});

const rowOf = (results: Results, what: string) => goalRows(results).find((row) => row.startsWith(`| ${what} |`));

test('a ratio at its goal is met, one above it is missed, and Node alone stands next to it', () => {
  const what = 'public ÷ nginx';
  assert.equal(rowOf({ rounds: rounds() }, what), `| ${what} | 2.50 | 2.50–2.50 | ≤ 2.50 | met | 2.25 |`);
  assert.equal(
    rowOf({ rounds: rounds({ public: 51 }) }, what),
    `| ${what} | 2.55 | 2.55–2.55 | ≤ 2.50 | **missed** | 2.25 |`,
  );
  assert.equal(rowOf({ rounds: rounds() }, 'public ÷ Envoy, no filter'), undefined);
});

const budget = (program: Budget['program'], proof: number, undici: number): Budget => {
  const steps = { ...(proof > 0 && { proof }), undici };
  return { kind: 'public', program, steps, helpers: 0, others: 0, user: 0, system: 0, warm: 8 };
};

test('a miss says what of it is Node’s, and by which steps ours is dearer', () => {
  const results: Results = {
    rounds: rounds({ public: 60, floor: 52 }),
    budgets: [budget('before', 0, 40), budget('Holdfast', 6, 37), budget('Node and undici alone', 0, 34)],
  };
  const page = pagesOf(results)['docs/performance.md']!;
  const parts = "of the 10 µs too many 2.0 are Node's and 8.0 ours.";
  assert.ok(page.includes(`- public ÷ nginx: 60 µs, and the goal allows 50. Node alone takes 52: ${parts}`), page);
  assert.match(
    page,
    /“public, Holdfast” costs 9\.0 µs more than “public, Node and undici alone”: proof \+6\.0; undici \+3\.0;/,
  );
  assert.match(page, /^\| undici \| 40\.0 \| 37\.0 \| 34\.0 \| −3\.0 \| \+3\.0 \|$/m);
  assert.doesNotMatch(pagesOf({})['docs/performance.md']!, /What is missed/);
});

test('a program is warm when two windows in a row were no cheaper than the best before', () => {
  assert.equal(isWarm([100, 99]), false);
  assert.equal(isWarm([100, 99, 98]), true);
  assert.equal(isWarm([200, 100, 99]), false);
  assert.equal(isWarm([200, 100, 99, 105]), true);
  assert.equal(isWarm([100, 99, 90]), false);
});

const curve = (what: string, ...costs: readonly [number, number]) => ({
  what,
  unit: 'live proofs',
  points: [[1000, costs[0]] as const, [10_000, costs[1]] as const],
});

test('pages name each part that was measured, and have no holes where one was not', () => {
  const whole: Results = {
    rounds: rounds(),
    budgets: [
      { kind: 'DPoP', program: 'Holdfast', steps: { proof: 4 }, helpers: 1, others: 2, user: 6, system: 1, warm: 8 },
    ],
    flood: {
      rate: 1000,
      warm: [8, 6],
      kinds: [
        { kind: 'none', p50: [1], p99: [2], busy: [0.2] },
        { kind: 'as many good requests', p50: [1], p99: [4], busy: [0.4] },
        { kind: 'proof_replayed', p50: [1], p99: [5], busy: [0.3] },
      ],
    },
    refusing: {
      permitted: { DPoP: 100 },
      warm: [8, 6, 6],
      refused: [
        { reason: 'proof_replayed', cpu: 80, closes: false },
        { reason: 'request_malformed', cpu: 800, closes: true },
      ],
      others: { draining: 'no client causes it' },
    },
    growth: {
      curves: [curve('Remembering a proof', 4, 4.2), { ...curve('Memory of a proof', 24.1, 24), of: 'bytes' }],
    },
  };
  for (const results of [{}, { rounds: rounds() }, whole]) {
    for (const [path, page] of Object.entries(pagesOf(results)))
      assert.doesNotMatch(page, /NaN|undefined|Infinity/, path);
  }
  const pages = pagesOf(whole);
  assert.match(pages['docs/performance.md']!, /\| \*\*all\*\* \| \*\*7\.0\*\* \|/);
  // A refusal that ends its connection pays for a handshake, and is not compared.
  assert.match(pages['docs/performance.md']!, /\| dearest refusal \(`proof_replayed`\).* 0\.80 /);
  assert.match(pages['docs/performance.md']!, /\| p99 of good requests under a flood .* 1\.25 .*\*\*missed\*\*/);
  assert.match(pages['docs/growth.md']!, /\| `request_malformed` \| 800 \| 8\.00 \| the connection ends/);
  assert.match(pages['docs/growth.md']!, /- no client causes it: `draining`\./);
});
