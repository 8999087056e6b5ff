// docs/log.md against the source and against lines: no event and no member is missing.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EVENTS } from '../../src/observe/log-members.ts';
import { LogLines } from '../support/log-lines.ts';

/** The texts of messages in a call of the log; of a template the words around what is put in. */
const CALLS = /\.(?:event\(\s*'(?:info|warn|error)',|failure\()\s*(?:'([^']+)'|`([^`]+)`)/g;

test('every message of the source is an event of the page, and the page has no other', () => {
  const said = new Set<string>();
  for (const file of globSync('src/**/*.ts')) {
    const text = readFileSync(file, 'utf8');
    for (const [, plain, template] of text.matchAll(CALLS))
      said.add(plain ?? template?.replace(/\$\{[^}]+\}/, 'N') ?? '');
    if (file.endsWith('issuer-calls.ts'))
      for (const [, words = ''] of text.matchAll(/(?:failed|again): '([^']+)'/g)) said.add(words);
  }
  assert.deepEqual([...said].toSorted(), Object.keys(EVENTS).toSorted());
});

test('a member that is not on the page is found by every test that reads the log', () => {
  const lines = new LogLines();
  const good = { level: 'info', time: '', msg: 'request', request_id: 'r', facts: { what: 'htu' } };
  lines.write(JSON.stringify(good));
  for (const odd of [
    { ...good, token: 'x' },
    { ...good, facts: { secret: 'x' } },
    { ...good, shadow: { reason: 'x', jti: 'x' } },
    { level: 'info', time: '', msg: 'serving', jti: 'x' },
    { level: 'info', time: '', msg: 'something else' },
  ])
    assert.throws(() => lines.write(JSON.stringify(odd)), /docs\/log\.md/);
});
