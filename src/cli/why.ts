// `holdfast why`: what the status of a running gateway knows about one refusal.

import type { RejectionFacts } from '../rejection/facts.ts';
import { type Reason, REASON_NAMES, reject, wordingOf } from '../rejection/rejection.ts';
import { UsageError } from './arguments.ts';
import { EXIT } from './commands.ts';
import { printable } from './layout.ts';
import { type Printed, printFailure } from './printed.ts';

/** Where `admin.bind` is by default. */
const ADMIN = 'http://127.0.0.1:9901';
const TIMEOUT = 5000;
const ABOUT = { command: 'why' } as const;
/** An id of a request, as made here or by a peer, or its first eight characters or more, as the status page shows them. */
const ID = /^[A-Za-z0-9+/=_.:@~-]{8,128}$/;

/** A refusal of /refusals.json, as a gateway of this version writes it. */
interface Refusal {
  readonly at: number;
  readonly request_id: string;
  readonly method: string;
  readonly path: string;
  readonly route: string;
  readonly reason: Reason;
  readonly status?: number;
  readonly client?: string;
  readonly facts: Pick<RejectionFacts, 'what' | 'differs'>;
  readonly what: string;
  readonly expected: string;
  readonly received: string;
}

/**
 * Asks the admin port for the last refusals and prints the one with this id: refused (1) where it is not among them.
 * @param id as `request_id` of the refusal
 * @param admin origin of the admin port
 * @throws UsageError
 */
export async function why(id: string, admin = ADMIN, json = false): Promise<Printed> {
  if (!ID.test(id))
    throw new UsageError('"why" takes the request_id of a refusal, or its first 8 characters or more', ABOUT);
  if (!URL.canParse(admin)) throw new UsageError(`--admin is not a URL; the default is ${ADMIN}`, ABOUT);
  const refusals = await askAdmin(admin);
  if ('failed' in refusals) return printFailure(EXIT.failed, refusals.failed, json);
  const found = refusals.last.filter(({ request_id: known }) => known.startsWith(id));
  const [only] = found;
  // A peer may send one id more than once; the newest comes first.
  if (only === undefined || found.some(({ request_id: other }) => other !== only.request_id)) {
    const which = only === undefined ? `no refusal ${id} among` : `${found.length} refusals ${id}… among`;
    const next = 'Older ones are in the log: look for the request_id there.\n';
    return printFailure(EXIT.refused, `${which} the last ${refusals.last.length}`, json, next);
  }
  return { exit: EXIT.ok, stdout: json ? `${JSON.stringify(only, undefined, 2)}\n` : describe(only), stderr: '' };
}

type Asked = { readonly last: readonly Refusal[] } | { readonly failed: string };

async function askAdmin(admin: string): Promise<Asked> {
  const address = new URL('/refusals.json', admin);
  try {
    const answer = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT), redirect: 'error' });
    if (!answer.ok) return { failed: `${address.href} answered ${answer.status}: is it the admin port?` };
    const { last_refusals: last } = (await answer.json()) as { last_refusals?: readonly Refusal[] };
    return Array.isArray(last) ? { last } : { failed: `${address.href} is not of a gateway` };
  } catch {
    return { failed: `${address.href} does not answer; --admin URL says where admin.bind is` };
  }
}

type Words = ReturnType<typeof wordingOf>;
const UNKNOWN: Words = { title: 'unknown to this version', remedy: '' };

function describe(refusal: Refusal): string {
  const { at, request_id: id, method, path, route, reason, status, client, facts, what, expected, received } = refusal;
  const words: Words = REASON_NAMES.includes(reason) ? wordingOf(reject(reason, facts)) : UNKNOWN;
  const { title, remedy, operator = '' } = words;
  const lines: readonly (readonly [string, string])[] = [
    ['why', title],
    ['what', what],
    ['expected', expected],
    ['received', received],
    ['client', remedy],
    ['operator', operator],
    ['request', `${method} ${path}`],
    ['route', route],
    ['from', client ?? ''],
    ['at', new Date(at * 1000).toISOString()],
    ['id', id],
  ];
  const shown = lines
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `  ${name.padEnd(9)} ${printable(value)}\n`);
  return `${reason} (${status ?? 'the client was gone'})\n${shown.join('')}`;
}
