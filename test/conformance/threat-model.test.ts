// The threat model: only existing reasons, all of them, and a test for every claim.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import type { Stage } from '../../src/rejection/reason-row.ts';
import { REASON_NAMES, REASONS } from '../../src/rejection/rejection.ts';

const PAGE = readFileSync(join(ROOT, 'docs/threat-model.md'), 'utf8');
const STOPPED = PAGE.slice(PAGE.indexOf('\n## What is stopped'), PAGE.indexOf('\n## What binding does not stop'));
/** Cells of the rows that say what stops an attack. */
const CLAIMS = [...STOPPED.matchAll(/^\| (.+) \| (.+) \| (.+) \|$/gm)]
  .map(([, attack = '', answer = '', shown = '']) => ({ attack, answer, shown }))
  .filter(({ attack }) => attack !== 'attack' && !attack.startsWith('---'));

test('every claim is linked to a test that exists', () => {
  assert.ok(CLAIMS.length > 50);
  const unshown = CLAIMS.filter(({ shown }) => {
    const links = [...shown.matchAll(/\]\(\.\.\/(test\/(?:interop\/[\w/-]+|[^)]+\.(?:test|system))\.ts)\)/g)].map(
      ([, path = '']) => path,
    );
    return links.length === 0 || !links.every((path) => existsSync(join(ROOT, path)));
  });
  assert.deepEqual(
    unshown.map(({ attack }) => attack),
    [],
  );
});

test('every reason that is named exists', () => {
  const named = CLAIMS.flatMap(({ answer }) =>
    [...answer.matchAll(/`([a-z]+_[a-z_]+)`/g)].map(([, name = '']) => name),
  );
  const known = new Set<string>([...REASON_NAMES, 'weaker_than_defaults']);
  assert.deepEqual(
    named.filter((name) => !known.has(name)),
    [],
  );
});

test('every reason of the stages that judge a sender is named, but for those that cannot occur yet', () => {
  const stages: readonly Stage[] = ['presentation', 'token', 'binding', 'certificate', 'proof', 'signature', 'replay'];
  const answers = CLAIMS.map(({ answer }) => answer).join();
  const unnamed = REASON_NAMES.filter((reason) => stages.includes(REASONS[reason].stage)).filter(
    (reason) => !answers.includes(`\`${reason}\``),
  );
  assert.deepEqual(unnamed, ['replay_store_unavailable']);
});
