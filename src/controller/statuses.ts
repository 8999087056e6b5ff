// Statuses as they are written: ours put into what is there, and times kept.

import { isDeepStrictEqual } from 'node:util';
import type { ObjectStatus } from '../kubernetes/state.ts';
import type { ClusterObject } from './kinds.ts';

type Json = Readonly<Record<string, unknown>>;

/** Lists of a status in which every controller has entries. */
const SHARED = ['parents', 'ancestors'] as const;

/**
 * The status that an object should get.
 * @param controllerName by which our entries are known in lists that several controllers write
 * @param now RFC 3339, for conditions that change
 * @returns undefined: it has it already
 */
export function statusChange(
  object: ClusterObject,
  { status: wanted }: Pick<ObjectStatus, 'status'>,
  controllerName: string,
  now: string,
): Json | undefined {
  const before = asObject(object['status']);
  const after: Record<string, unknown> = {};
  for (const [member, value] of Object.entries(wanted)) after[member] = stamp(value, before[member], now);
  for (const member of SHARED) {
    const entries = wanted[member];
    if (!Array.isArray(entries)) continue;
    after[member] = shared(asList(before[member]), entries.map(asObject), controllerName, now);
  }
  const same = Object.entries(after).every(([member, value]) => isDeepStrictEqual(before[member], value));
  return same ? undefined : after;
}

/** Entries of other controllers first, as they stand; ours in the order of the translation. */
function shared(
  before: readonly Json[],
  wanted: readonly Json[],
  controllerName: string,
  now: string,
): readonly Json[] {
  const isOurs = (entry: Json) => entry['controllerName'] === controllerName;
  const others = before.filter((entry) => !isOurs(entry));
  const ours = before.filter(isOurs);
  const places = ({ parentRef, ancestorRef }: Json) => parentRef ?? ancestorRef;
  return [
    ...others,
    ...wanted.map((entry) => {
      const old = ours.find((one) => isDeepStrictEqual(places(one), places(entry)));
      return stamp(entry, old, now) as Json;
    }),
  ];
}

/** Conditions get the time of their last change: the one they have, as long as their status is the same. */
function stamp(wanted: unknown, before: unknown, now: string): unknown {
  if (Array.isArray(wanted)) {
    const old = asList(before);
    return wanted.map((one: unknown) => stamp(one, counterpart(asObject(one), old), now));
  }
  if (typeof wanted !== 'object' || wanted === null) return wanted;
  const old = asObject(before);
  const stamped = Object.fromEntries(
    Object.entries(wanted).map(([name, value]) => [name, stamp(value, old[name], now)]),
  );
  if (!isCondition(stamped)) return stamped;
  const kept = old['status'] === stamped['status'] ? old['lastTransitionTime'] : undefined;
  return { ...stamped, lastTransitionTime: typeof kept === 'string' ? kept : now };
}

/** What an item of a list was before: a condition of the type, a listener of the name. */
function counterpart(item: Json, before: readonly Json[]): Json | undefined {
  const name = isCondition(item) ? 'type' : 'name';
  return before.find((one) => one[name] === item[name]);
}

function isCondition(one: Json): boolean {
  return typeof one['type'] === 'string' && typeof one['status'] === 'string' && typeof one['reason'] === 'string';
}

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function asList(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(asObject) : [];
}
