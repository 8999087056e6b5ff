// Binding: what this sender must show, from requirement, scheme and confirmation (C3.6).

import type { Scheme } from '../rejection/challenge.ts';
import { type Rejection, reject } from '../rejection/rejection.ts';
import type { Confirmation } from '../token/confirmation.ts';
import type { BindingName } from './permit.ts';

/** What a route wants, from nothing to a particular kind of binding. */
export type Requirement = 'public' | 'token' | 'sender-constrained' | 'dpop' | 'mtls';

/** What the sender must show; an undefined thumbprint: that kind of evidence is not demanded. */
export interface Obligation {
  /** Thumbprint of the key by which a DPoP proof must be signed. */
  readonly proofBy: string | undefined;
  /** Thumbprint of the certificate that must be on the connection. */
  readonly certificate: string | undefined;
  readonly binding: BindingName;
}

/**
 * A bound token is held to its binding on every route but public ones; a route may demand more, never less.
 * Scheme DPoP means a proof under `cnf.jkt` (RFC 9449 §7.1), so a token without `jkt` cannot be presented by it; a
 * certificate-bound token uses Bearer (RFC 8705 §3), unless it has `jkt` too.
 * @returns Rejection: binding_downgraded; binding_required, whose `what` says which binding is missing
 * NOT checked: any evidence. `public` is no demand and is not asked here; it would count as `sender-constrained`.
 */
export function oblige(requirement: Requirement, scheme: Scheme, confirmation: Confirmation): Obligation | Rejection {
  const { jkt, x5tS256 } = confirmation;
  if (requirement === 'mtls' && x5tS256 === undefined) return reject('binding_required', { what: 'x5t#S256' });
  if (requirement === 'dpop' && jkt === undefined) return reject('binding_required', { what: 'jkt' });
  const unbound = jkt === undefined && x5tS256 === undefined;
  if (unbound && requirement !== 'token') return reject('binding_required', { what: 'cnf' });
  if (scheme === 'DPoP' && jkt === undefined) return reject('binding_required', { what: 'scheme' });
  if (scheme === 'Bearer' && jkt !== undefined) return reject('binding_downgraded', DOWNGRADED);
  return { proofBy: jkt, certificate: x5tS256, binding: bindingName(jkt, x5tS256) };
}

const DOWNGRADED = { what: 'scheme', expected: 'DPoP', received: 'Bearer' } as const;

function bindingName(jkt: string | undefined, x5tS256: string | undefined): BindingName {
  if (jkt !== undefined) return x5tS256 === undefined ? 'dpop' : 'dpop+mtls';
  return x5tS256 === undefined ? 'none' : 'mtls';
}
