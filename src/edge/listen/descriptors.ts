// The limit of descriptors for clients, which leaves some for probes and upstreams.

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/** Of the limit, for everything but connections of clients; and how many are enough. */
const RESERVE = { share: 0.25, most: 4096 };

/**
 * The first descriptor that no connection of a client may have. A process gets the lowest one that is free, so a connection with a
 * lower one leaves all those above. Infinite where the system does not tell its limit (other than Linux).
 */
export function readDescriptorCeiling(limits = readLimits()): number {
  const limit = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  return limit - Math.min(limit * RESERVE.share, RESERVE.most);
}

/** Whether a connection has a descriptor of the reserve. */
export function takesReserve(socket: Socket, ceiling: number): boolean {
  // Node has no public name for it.
  const { _handle: handle } = socket as { _handle?: { readonly fd?: number } | null };
  return (handle?.fd ?? 0) >= ceiling;
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return '';
  }
}
