// Interim answers (1xx) of an upstream on their way to the client.

import { answerFields } from '../fields/answer-fields.ts';
import { type FieldRules, withoutNamed } from '../fields/fields.ts';
import type { Transaction } from '../transaction/transaction.ts';

/** What is passed on for one request; the rest is dropped, so that a client that reads nothing costs little. */
const MOST = 8;

const NOTHING_OWN = { fields: [] };

/** The interim answers of one request. */
export class Interims {
  #passed = 0;

  /**
   * Passes one on as a proxy must (RFC 9110 §15.2), its fields as those of an answer. Not 100: that was said here, to a client that
   * asked for it. Throws where a value cannot be written.
   * @param received names and values in turn
   */
  pass(
    { transaction, route }: { readonly transaction: Transaction; readonly route: { readonly rules: FieldRules } },
    status: number,
    received: readonly string[],
  ): void {
    if (status === 100 || this.#passed === MOST) return;
    this.#passed += 1;
    // RFC 9110 §8.6: no length with a 1xx.
    const fields = answerFields(received, withoutLines(route.rules), NOTHING_OWN);
    transaction.writeInterim(status, withoutNamed(fields, 'content-length'));
  }
}

/** What a route puts into its answers is for the answer itself; what it takes out is out of both. */
function withoutLines(rules: FieldRules): FieldRules {
  const { answerEdits } = rules;
  return answerEdits === undefined ? rules : { ...rules, answerEdits: { ...answerEdits, lines: [] } };
}
