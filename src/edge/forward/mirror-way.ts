// A mirror of a route at work.

import type { FieldRules } from '../fields/fields.ts';
import type { OpenUpstream } from '../upstream/upstream.ts';

/** One mirror of a route at work. */
export interface MirrorWay {
  readonly upstream: OpenUpstream;
  /** Of a copy: without credentials. */
  readonly rules: FieldRules;
  /** 0 to 1. */
  readonly share: number;
}
