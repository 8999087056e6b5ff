// The catalogue of attacks, and the choice among them.

import { nearest } from '../../config/nearest.ts';
import { UsageError } from '../arguments.ts';
import { type Attack, GROUPS } from './attack.ts';
import { ANSWER_ATTACKS, BROWSER_ATTACKS, FIELD_ATTACKS, TLS_ATTACKS } from './attacks/answers.ts';
import { CERTIFICATE_ATTACKS } from './attacks/certificate.ts';
import { FORM_ATTACKS, FRAMING_ATTACKS, LINE_ATTACKS, PATH_ATTACKS } from './attacks/intake.ts';
import { NONCE_ATTACKS, PROOF_ATTACKS, REPLAY_ATTACKS } from './attacks/proof.ts';
import { TOKEN_ATTACKS } from './attacks/token.ts';

/** In the order of their groups. */
export const CATALOGUE: readonly Attack[] = [
  ...TOKEN_ATTACKS,
  ...FORM_ATTACKS,
  ...PROOF_ATTACKS,
  ...REPLAY_ATTACKS,
  ...NONCE_ATTACKS,
  ...CERTIFICATE_ATTACKS,
  ...FIELD_ATTACKS,
  ...PATH_ATTACKS,
  ...LINE_ATTACKS,
  ...FRAMING_ATTACKS,
  ...BROWSER_ATTACKS,
  ...ANSWER_ATTACKS,
  ...TLS_ATTACKS,
];

/** @param names of attacks or groups; none: all @throws UsageError */
export function chooseAttacks(names: readonly string[]): readonly Attack[] {
  const known: readonly string[] = [...GROUPS, ...CATALOGUE.map(({ id }) => id)];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const near = nearest(unknown, known);
    const hint = near === undefined ? '--list shows all' : `did you mean ${near}?`;
    throw new UsageError(`--only: there is no attack or group "${unknown}"; ${hint}`);
  }
  return CATALOGUE.filter(({ id, group }) => names.length === 0 || names.includes(id) || names.includes(group));
}
