// Refused connections in the log: once at first, then once a minute.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RefusedConnections } from '../../src/worker/refused-connections.ts';

test('the first is logged at once, the others are counted for a minute', () => {
  const lines: unknown[] = [];
  const refused = new RefusedConnections({ event: (level, message, fields) => lines.push([level, message, fields]) });
  for (let second = 0; second < 60; second += 1) refused.add('public', { reason: 'limit' }, second * 1000);
  const line = (count: number, reason = 'limit', listener = 'public') => [
    'warn',
    'connections are refused',
    { listener, reason, refused: count },
  ];
  assert.deepEqual(lines, [line(1)]);
  refused.add('public', { reason: 'descriptors' }, 59_500);
  refused.add('partners', { reason: 'limit' }, 59_500);
  refused.add('public', { reason: 'limit' }, 60_000);
  assert.deepEqual(lines.slice(1), [line(1, 'descriptors'), line(1, 'limit', 'partners'), line(60)]);
  refused.add('public', { reason: 'share', client: '192.0.2.7' }, 60_000);
  const named = { listener: 'public', reason: 'share', client: '192.0.2.7', refused: 1 };
  assert.deepEqual(lines.at(-1), ['warn', 'connections are refused', named]);
});
