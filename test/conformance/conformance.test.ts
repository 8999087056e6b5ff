// The conformance table is true: every row is shown, and what it points at exists.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import type { Requirement } from './requirement.ts';
import { SPECIFICATIONS } from './requirements.ts';
import { missingTest, namePatterns } from './test-names.ts';

const ROWS = SPECIFICATIONS.flatMap(({ name, requirements }) =>
  requirements.map((row) => ({ row, where: `${name} §${row.section}: ${row.requirement}` })),
);

/** Whether anything at all stands behind a row. */
function isAnswered({ tests = [], deviation, doesNotApply = '' }: Requirement): boolean {
  return tests.length > 0 || deviation !== undefined || doesNotApply !== '';
}

test('every row has tests, a documented deviation or a reason why it does not apply', () => {
  const empty: Requirement = { section: '1', level: 'MUST', requirement: '', tests: [] };
  assert.equal(isAnswered(empty), false);
  assert.deepEqual(
    ROWS.filter(({ row }) => !isAnswered(row)).map(({ where }) => where),
    [],
  );
});

test('every test that a row names exists under that name', () => {
  const missing = ROWS.flatMap(({ row, where }) =>
    (row.tests ?? []).flatMap((reference) => {
      const why = missingTest(ROOT, reference);
      return why === undefined ? [] : [`${where} ${why}`];
    }),
  );
  assert.deepEqual(missing, []);
});

test('every decision that a row names exists', () => {
  const missing = ROWS.filter(
    ({ row }) => row.deviation !== undefined && !existsSync(join(ROOT, `docs/decisions/${row.deviation}.md`)),
  );
  assert.deepEqual(
    missing.map(({ where }) => where),
    [],
  );
});

test('no requirement is listed twice', () => {
  const all = ROWS.map(({ where }) => where);
  assert.deepEqual([...new Set(all)], all);
});

describe('names of tests', () => {
  test('are read from every kind of literal, with a group for each placeholder', () => {
    const source = [
      "test('one.', () => {});",
      "  it(\n    'it\\'s two',",
      'test(`three ${fn({ a: 1 })} and ${b}`, () => {});',
      'test(name, async () => {});',
      "/x/.test('no');",
      "contest('no');",
    ].join('\n');
    assert.deepEqual(namePatterns(source), ['one\\.', "it's two", 'three (.*) and (.*)', '(.+)']);
  });

  test('are not found where there is none, nor with a value that the test data do not spell', () => {
    const found = (name: string) => missingTest(ROOT, `proof/dpop-proof > ${name}`) === undefined;
    assert.equal(found('typ is compared without case'), true);
    assert.equal(found('typ is compared'), false);
    assert.equal(found('typ "at+jwt": proof_type_invalid'), true);
    assert.equal(found('typ "unheard-of": proof_type_invalid'), false);
    assert.match(missingTest(ROOT, 'proof/nothing > x') ?? '', /does not exist/);
  });
});
