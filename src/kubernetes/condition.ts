// Conditions of statuses, as the conventions of the Kubernetes API have them.

import type { StatusCondition } from './state.ts';

/** Characters of it that people read; the API takes 32,768. */
const SHOWN = 2000;

/** @param holds undefined: not known yet */
export function condition(
  type: string,
  holds: boolean | undefined,
  { reason, message, generation }: { readonly reason: string; readonly message: string; readonly generation: number },
): StatusCondition {
  const shown = message.length > SHOWN ? `${message.slice(0, SHOWN)}…` : message;
  return {
    type,
    status: holds === undefined ? 'Unknown' : holds ? 'True' : 'False',
    reason,
    message: shown,
    observedGeneration: generation,
  };
}
