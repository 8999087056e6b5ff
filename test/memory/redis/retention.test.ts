// The retention that follows from the needs of all replicas.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LEASE, retentionOf } from '../../../src/memory/redis/retention.ts';

/** Seconds after which a step counts for proofs dated by then: a lease, and proofs dated ahead. */
const MARGIN = LEASE + 600;

describe('what replicas need together', () => {
  const agreed = (founded: number, own: number, ...steps: (readonly [seconds: number, since: number])[]) =>
    retentionOf(
      steps.map(([seconds, since]) => ({ seconds, since })),
      { founded, own, clockTolerance: 15 },
    );

  test('without steps it is what the first of them needed', () => {
    assert.deepEqual(agreed(75, 75), { rememberFor: 75, shorterMemories: [] });
    assert.deepEqual(agreed(615, 75), { rememberFor: 615, shorterMemories: [] });
  });

  test('the longest step counts; proofs from before it, and for a while after, were remembered for less', () => {
    assert.deepEqual(agreed(75, 615, [135, 1000], [615, 5000]), {
      rememberFor: 615,
      shorterMemories: [
        { until: 5000 + MARGIN + 15, rememberedFor: 135 - 15 },
        { until: 1000 + MARGIN + 15, rememberedFor: 75 - 15 },
      ],
    });
  });

  test('a shorter step that came later takes nothing from a longer one', () => {
    assert.deepEqual(agreed(75, 615, [615, 1000], [135, 5000]).shorterMemories, [
      { until: 1000 + MARGIN + 15, rememberedFor: 135 - 15 },
      { until: 1000 + MARGIN + 15, rememberedFor: 75 - 15 },
    ]);
  });

  test('one who needs no more than what was remembered before forgets nothing', () => {
    assert.deepEqual(agreed(75, 75, [615, 5000]), { rememberFor: 615, shorterMemories: [] });
    assert.equal(agreed(75, 135, [135, 1000], [615, 5000]).shorterMemories.length, 1);
  });

  test('a step that cannot be read counts as the longest, and as wanted since just now', () => {
    assert.deepEqual(agreed(75, 615, [615, Infinity]), {
      rememberFor: 615,
      shorterMemories: [{ until: Infinity, rememberedFor: 60 }],
    });
  });
});
