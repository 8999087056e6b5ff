// The retention of proofs that replicas agree on in Redis (decision 69).

import type { ShorterMemory } from '../../proof/dpop-proof.ts';
import type { Retention } from '../../proof/replay-store.ts';
import type { RedisLink } from './link.ts';

/** Seconds for which a worker relies on what it read; then it reads again before it remembers anything. */
export const LEASE = 30;
/** Seconds; no route accepts a proof that is dated further ahead. */
const FURTHEST_AHEAD = 600;
/**
 * Seconds. Retentions longer than the founder's are rounded up to one of these, so that all of them can be read by their names: `max_age`
 * of 1, 2, 3, 5 and 10 minutes with the default tolerance, and the longest there can be.
 */
const STEPS = [75, 135, 195, 315, 615, 1200] as const;
/** Milliseconds after which a step is given up when no gateway wants it any more. */
const STEP_KEPT = 3600 * 1000;

export interface RetentionTerms {
  readonly prefix: string;
  readonly generation: string;
  /** Seconds, of the gateway that was there first: each one that has a session has read it. */
  readonly founded: number;
  /** Seconds that this gateway needs: the longest `max_age` and tolerance of any of its routes. */
  readonly own: number;
  /** Seconds by which clocks of replicas may differ. */
  readonly clockTolerance: number;
  /** Seconds since the epoch. */
  readonly now: number;
}

/** A step that some gateway wants. */
export interface Step {
  readonly seconds: number;
  /** Seconds since the epoch; Infinity: it could not be read, so that it may be wanted since just now. */
  readonly since: number;
}

/**
 * Says in Redis what this gateway needs, and reads what all of them need together. @throws what Redis said, but for servers of a
 * cluster that are away: what they know counts as the longest
 */
export async function agreeOnRetention(link: RedisLink, terms: RetentionTerms): Promise<Retention> {
  const { prefix, generation, founded, own, now } = terms;
  const wanted = own > founded ? STEPS.find((seconds) => seconds >= own) : undefined;
  const read = STEPS.filter((seconds) => seconds > founded).map(async (seconds): Promise<Step[]> => {
    const key = `${prefix}retention:${generation}:${seconds}`;
    try {
      const since = seconds === wanted ? await link.settle(key, String(now), STEP_KEPT) : await link.read(key);
      return since === null ? [] : [{ seconds, since: Number(since) }];
    } catch (error) {
      if (!link.sharded) throw error;
      return [{ seconds, since: Infinity }];
    }
  });
  return retentionOf((await Promise.all(read)).flat(), terms);
}

/**
 * What follows from the steps: all replicas remember for the longest. Those that had not read of a step yet remembered for less, until
 * their lease ended; a proof that they judged then may be dated ahead.
 */
export function retentionOf(
  steps: readonly Step[],
  { founded, own, clockTolerance }: Pick<RetentionTerms, 'founded' | 'own' | 'clockTolerance'>,
): Retention {
  const longestFirst = steps.toSorted((one, other) => other.seconds - one.seconds);
  const rememberFor = longestFirst[0]?.seconds ?? founded;
  const shorterMemories: ShorterMemory[] = [];
  let since = Infinity;
  for (const [at, step] of longestFirst.entries()) {
    // Whoever remembers for longer remembers for as long as this, too.
    since = Number.isFinite(step.since) ? Math.min(since, step.since) : since;
    const before = longestFirst[at + 1]?.seconds ?? founded;
    if (before >= own) continue;
    shorterMemories.push({
      until: since + LEASE + FURTHEST_AHEAD + clockTolerance,
      rememberedFor: before - clockTolerance,
    });
  }
  return { rememberFor, shorterMemories };
}
