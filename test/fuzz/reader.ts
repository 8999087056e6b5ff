// One reader of untrusted text, for the lists of them.

import type { UsageError } from '../../src/cli/arguments.ts';

export interface Reader {
  /** Reads the text, in every place where the reader takes text. */
  readonly read: (text: string) => unknown;
  /** Texts that it takes, or nearly; hostile ones begin like them. */
  readonly samples: readonly string[];
  /** What it may throw. */
  readonly throws?: typeof UsageError;
  /** Its text is the operator's, so nobody measures what it costs. */
  readonly trusted?: true;
}
