// The confirmation of a token, `cnf` (RFC 7800 §3.1): the key or certificate it is bound to.

import { mismatchOfAll } from '../rejection/difference.ts';
import { type Rejection, reject } from '../rejection/rejection.ts';
import { isJsonObject, type JsonObject } from '../jose/jws.ts';

/** The methods that we can check; neither of them: the token is unbound. */
export interface Confirmation {
  /** RFC 9449 §6.1: thumbprint of the DPoP key. */
  readonly jkt: string | undefined;
  /** RFC 8705 §3.1: thumbprint of the client certificate. */
  readonly x5tS256: string | undefined;
  /** Members beside those, which are ignored but counted. */
  readonly unknownMembers: number;
}

const METHODS = ['jkt', 'x5t#S256'];
const UNBOUND: Confirmation = { jkt: undefined, x5tS256: undefined, unknownMembers: 0 };
const isThumbprint = (value: unknown) => typeof value === 'string' && value !== '';

/**
 * Reads the confirmation of verified claims. A binding that nobody checked is no binding: a `cnf` without one member that
 * we can check refuses, against the letter of RFC 7800 §3.1 (docs/decisions/0002-confirmation-of-unknown-members.md).
 * @returns Rejection: confirmation_unsupported
 */
export function readConfirmation(claims: JsonObject): Confirmation | Rejection {
  if (!Object.hasOwn(claims, 'cnf')) return UNBOUND;
  const cnf = claims.cnf;
  if (!isJsonObject(cnf)) return reject('confirmation_unsupported', { what: 'cnf', differs: 'type' });
  const known = METHODS.filter((member) => Object.hasOwn(cnf, member));
  if (known.length === 0) return reject('confirmation_unsupported', mismatchOfAll('cnf', METHODS, Object.keys(cnf)));
  const odd = known.find((member) => !isThumbprint(cnf[member]));
  if (odd !== undefined) return reject('confirmation_unsupported', { what: odd, differs: 'type' });
  return {
    jkt: Object.hasOwn(cnf, 'jkt') ? String(cnf.jkt) : undefined,
    x5tS256: Object.hasOwn(cnf, 'x5t#S256') ? String(cnf['x5t#S256']) : undefined,
    unknownMembers: Object.keys(cnf).length - known.length,
  };
}
