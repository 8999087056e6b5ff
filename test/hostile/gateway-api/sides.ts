// One attack, sent to a gateway: what it answered, and what its upstream got.

import { setTimeout as pause } from 'node:timers/promises';
import type { RawUpstream } from '../rig.ts';
import { type Message, readAnswers } from '../wire.ts';
import { harmOf, readForwarded, sendBytes } from '../../interop/neighbours/verdict.ts';

/** A gateway and the upstream behind it, which gets requests of nothing else. */
export interface Side {
  readonly address: string;
  readonly port: number;
  readonly upstream: RawUpstream;
}

/** What came of the bytes of one connection. */
export interface Outcome {
  /** Status and reason of each answer. */
  readonly answers: readonly string[];
  /** Requests that reached the upstream, but for what differs between any two. */
  readonly reached: readonly string[];
  /** What is dangerous in these; undefined: nothing. */
  readonly harm: string | undefined;
}

/** Milliseconds without a byte after which none will come: each attack ends with a request that ends its connection. */
const PATIENCE = 30_000;

export async function attack(side: Side, bytes: string): Promise<Outcome> {
  const before = new Map(side.upstream.connections.map((one) => [one, one.text.length]));
  const text = await sendWhenTaken(side, bytes);
  const pieces = side.upstream.connections.map((one) => readForwarded(one.text.slice(before.get(one) ?? 0)));
  const messages = pieces.flatMap((piece) => piece.messages);
  const broken = pieces.find((piece) => piece.broken !== undefined)?.broken;
  return {
    answers: readAnswers(text).messages.map(shownAnswer),
    reached: messages.map(shownRequest),
    harm: broken ?? messages.map(harmOf).find((harm) => harm !== undefined),
  };
}

/** A connection that is not taken, as while a pod begins again, has brought nothing: it is opened once more, for some time. */
async function sendWhenTaken(side: Side, bytes: string, since = performance.now()): Promise<string> {
  try {
    return await sendBytes(side, bytes, PATIENCE);
  } catch (error) {
    if (performance.now() - since > 2 * PATIENCE) throw error;
    await pause(250);
    return await sendWhenTaken(side, bytes, since);
  }
}

function shownAnswer({ start, body }: Message): string {
  return `${start.slice(9, 12)} ${/"reason":"(\w+)"/.exec(body)?.[1] ?? ''}`.trim();
}

/** Of fields by which a gateway tells itself and its client apart from others the name alone. */
const OWN = /^(?:via|x-request-id|forwarded|x-forwarded-for)$/i;

function shownRequest({ start, lines, body }: Message): string {
  const fields = lines.map(([name, value]) => (OWN.test(name) ? name : `${name}: ${value}`));
  return [start, ...fields.map((field) => field.toLowerCase()).toSorted(), `${body.length} octets`].join('\n');
}
