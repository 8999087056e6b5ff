// One row of the conformance table.

import type { TestReference } from './test-names.ts';

/**
 * `MUST` and `SHOULD` stand for their NOT forms too, and for the “shall” of FAPI. `stated`: the text says that servers do it,
 * without such a word.
 */
export type Level = 'MUST' | 'SHOULD' | 'stated';

/** One demand of a specification on a resource server or its gateway. */
export interface Requirement {
  readonly section: string;
  readonly level: Level;
  /** In our words, from the point of view of the gateway. */
  readonly requirement: string;
  /** Tests that fail when it is not met. */
  readonly tests?: readonly TestReference[];
  /** Name of a file in docs/decisions/ without `.md`: where, and why, the gateway does otherwise. */
  readonly deviation?: string;
  /** Why there is nothing to meet, or nothing yet. */
  readonly doesNotApply?: string;
}

export interface Specification {
  /** `RFC 9449`. */
  readonly name: string;
  readonly title: string;
  readonly link: string;
  /** The sections that are covered. */
  readonly sections: string;
  readonly requirements: readonly Requirement[];
}
