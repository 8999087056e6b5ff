// The verdict of a soak run: leaks fail it, and so does every other failure.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sample } from '../../bench/soak/sampling.ts';
import { judge, memoryTrend, type Outcome } from '../../bench/soak/verdict.ts';

const MIB = 1024 * 1024;
const SECONDS = 600;

function sample(at: number, resident: number, more: Partial<Sample> = {}): Sample {
  return { at, resident, heap: 0, connections: 0, utilization: 0, descriptors: 40, ...more };
}

/** One sample a second of a memory that is a function of time, in MiB. */
const samples = (mib: (at: number) => number) => Array.from({ length: SECONDS }, (_, at) => sample(at, mib(at) * MIB));

function failures(more: Partial<Outcome>): string[] {
  const good: Outcome = {
    seconds: SECONDS,
    samples: samples(() => 200),
    requests: 1000,
    unexpected: [],
    errors: [],
    stderr: '',
    exit: 0,
    restarts: 0,
    before: sample(0, 0),
    after: sample(0, 0),
  };
  return judge({ ...good, ...more })
    .filter(({ holds }) => !holds)
    .map(({ what }) => what);
}

test('memory that warms up, saws and stays is flat', () => {
  assert.deepEqual(
    failures({ samples: samples((at) => 200 + 80 * (1 - Math.exp(-at / 30)) + 20 * Math.sin(at / 7)) }),
    [],
  );
});

test('a leak of 200 bytes per request at 400 requests a second is seen in saws of twenty times its size', () => {
  const leak = (at: number) => 200 + (200 * 400 * at) / MIB + 20 * Math.sin(at / 7);
  const { slope } = memoryTrend(samples(leak));
  assert.ok(Math.abs(slope - 200 * 400) < 16_000, `${slope} bytes per second`);
  assert.match(failures({ samples: samples(leak) }).join(), /^memory is flat/);
});

test('one moment far above the others is seen although the trend is flat', () => {
  assert.match(failures({ samples: samples((at) => (at === 400 ? 300 : 200)) }).join(), /^and its peak/);
});

test('a short run does not judge memory', () => {
  assert.deepEqual(failures({ seconds: 60, samples: samples((at) => at).slice(0, 60) }), []);
});

test('everything else that went wrong fails the run', () => {
  const wrong: readonly Partial<Outcome>[] = [
    { unexpected: ['DPoP: 500'] },
    { errors: ['{"level":"error"}'] },
    { stderr: 'Warning' },
    { exit: 1 },
    { exit: null },
    { restarts: 1 },
    { after: sample(0, 0, { connections: 1 }) },
    { after: sample(0, 0, { descriptors: 41 }) },
  ];
  for (const one of wrong) assert.equal(failures(one).length, 1, JSON.stringify(one));
});
