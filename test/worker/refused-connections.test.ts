// Refused connections in the log: once at first, then once a minute.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RefusedConnections } from '../../src/worker/refused-connections.ts';

test('the first is logged at once, the others are counted for a minute', () => {
  const lines: unknown[] = [];
  const refused = new RefusedConnections({ event: (level, message, fields) => lines.push([level, message, fields]) });
  for (let second = 0; second < 60; second += 1) refused.add('public', 'limit', second * 1000);
  const line = (count: number, reason = 'limit', listener = 'public') => [
    'warn',
    'connections are refused',
    { listener, reason, refused: count },
  ];
  assert.deepEqual(lines, [line(1)]);
  refused.add('public', 'descriptors', 59_500);
  refused.add('partners', 'limit', 59_500);
  refused.add('public', 'limit', 60_000);
  assert.deepEqual(lines.slice(1), [line(1, 'descriptors'), line(1, 'limit', 'partners'), line(60)]);
});
