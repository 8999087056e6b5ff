// The causes of all reasons in docs/rejections.md, with programs where clients differ.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCauses, rejectionsPage } from '../../scripts/generate/rejections-page.ts';
import { readCommandLine } from '../../src/cli/arguments.ts';
import { REASON_NAMES } from '../../src/rejection/rejection.ts';

const causes = readCauses();

test('every reason has its usual causes, how to tell them and what mends them, and no other is taught', () => {
  assert.deepEqual([...causes.keys()].toSorted(), REASON_NAMES.toSorted());
  for (const [reason, text] of causes) {
    const rows = text.split('\n').filter((line) => line.startsWith('|'));
    assert.ok(rows.length > 0, reason);
    for (const row of rows) assert.match(row, /^\| [^|]{5,} \| [^|]{3,} \| [^|]{2,} \|$/, reason);
  }
});

test('where clients differ, the fix is there in JavaScript, Python, Go and Java', () => {
  const taught = [...causes].filter(([, text]) => text.includes('```'));
  assert.ok(taught.length >= 7, String(taught.length));
  for (const [reason, text] of taught) {
    const languages = [...text.matchAll(/^```(\w+)\n/gm)].map(([, language]) => language);
    assert.deepEqual(languages, ['js', 'py', 'go', 'java'], reason);
  }
});

test('the commands of the page are commands', () => {
  const commands = [...rejectionsPage().matchAll(/^holdfast (.+)$/gm)].map(([, rest = '']) => rest.split(' '));
  assert.ok(commands.length > 8);
  for (const command of commands) assert.ok(['explain', 'why'].includes(readCommandLine(command).command));
});
