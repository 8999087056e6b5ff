// The places of the listeners of a policy: those that stay open, and new ones, claimed.

import { BindError } from '../edge/listen/bind.ts';
import { claimBind } from '../edge/listen/claim.ts';
import { collide, formatBind } from '../policy/addresses.ts';
import type { Bind, Listener } from '../policy/policy.ts';
import type { Binds } from '../worker/listeners-at-work.ts';

/** Thrown for people, who are told which listener it is. */
export class CannotListen extends Error {
  readonly listener: string;

  constructor(listener: string, why: string, cause?: unknown) {
    super(why, { cause });
    this.listener = listener;
  }
}

/** What is open, by the policy in force. */
interface Open {
  readonly listeners: readonly Listener[];
  readonly binds: Binds;
}

export interface Placed {
  readonly binds: Binds;
  /** Names of the listeners whose place is not open yet. */
  readonly fresh: readonly string[];
}

/**
 * The places of the listeners of the next policy: one whose `bind` is open already stays there, whatever its name was; the places of
 * others are claimed, so that an address of another process is an error.
 * @throws CannotListen
 */
export async function placeListeners(next: readonly Listener[], open: Open): Promise<Placed> {
  const binds = keptPlaces(next, open);
  const fresh = next.filter(({ name }) => !binds.has(name));
  for (const { name, bind } of fresh) {
    const taken = [...binds].find(([, other]) => collide(bind, other));
    if (taken !== undefined)
      throw new CannotListen(name, `${formatBind(bind)} is the address of listener ${taken[0]} too`);
    binds.set(name, await claim(name, bind, open));
  }
  return { binds, fresh: fresh.map(({ name }) => name) };
}

/** By name first: port 0 is another port for each of several listeners. */
function keptPlaces(next: readonly Listener[], { listeners, binds }: Open): Map<string, Bind> {
  const left = new Map(listeners.map((one) => [one.name, formatBind(one.bind)]));
  const kept = new Map<string, Bind>();
  const keep = (name: string, before: string) => {
    const bind = binds.get(before);
    if (bind !== undefined) kept.set(name, bind);
    left.delete(before);
  };
  for (const { name, bind } of next) if (left.get(name) === formatBind(bind)) keep(name, name);
  for (const { name, bind } of next) {
    if (kept.has(name) || ('port' in bind && bind.port === 0)) continue;
    const [before] = [...left].find(([, place]) => place === formatBind(bind)) ?? [];
    if (before !== undefined) keep(name, before);
  }
  return kept;
}

async function claim(name: string, bind: Bind, { binds }: Open): Promise<Bind> {
  try {
    return await claimBind(bind, `listener "${name}"`);
  } catch (error) {
    if (!(error instanceof BindError)) throw error;
    const [own, place] = [...binds].find(([, other]) => collide(bind, other)) ?? [];
    const why =
      own === undefined || place === undefined
        ? error.why
        : `listener ${own} is open at ${formatBind(place)} until then: let it go in one change, and open this one in the next`;
    throw new CannotListen(name, why, error);
  }
}
