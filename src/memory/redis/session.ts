// A session with Redis: which server answers, and since when it remembers.

import { hash, randomBytes } from 'node:crypto';
import type { Retention } from '../../proof/replay-store.ts';
import type { RedisLink } from './link.ts';
import { agreeOnRetention } from './retention.ts';
import { StoreTrouble } from './trouble.ts';

/** Milliseconds without any gateway after which Redis forgets since when it remembers, and its nonce secrets. */
const MARKER_KEPT = 7 * 24 * 3600 * 1000;
/** Seconds for which one nonce secret mints; much more than a nonce lives, clocks differ or Redis is away. */
const ROTATION = 3600;
const SECRET_KEPT = 4 * ROTATION * 1000;

export interface Session {
  /** Of this memory: changes when what answers may have forgotten something. */
  readonly generation: string;
  /** Seconds since the epoch, by the clock of the gateway that was there first: from then on every use is in this memory. */
  readonly at: number;
  /** Of all gateways that share this memory. */
  readonly retention: Retention;
  /** The first mints. Empty: not asked for. */
  readonly secrets: readonly Uint8Array[];
  /** Redis does not say whether it evicts. */
  readonly evictionUnknown: boolean;
}

export interface SessionTerms {
  readonly prefix: string;
  /** Seconds since the epoch. */
  readonly now: number;
  /** Milliseconds in which a write has to be answered. */
  readonly deadline: number;
  readonly wantsSecrets: boolean;
  /** Seconds, as in RedisPolicy. */
  readonly retention: number;
  readonly clockTolerance: number;
}

/**
 * Looks at the servers behind a link: that they take writes in time, evict nothing, and since when they remember. A server that was
 * started anew, or became the master, is a new memory, for it may have lost writes (decision 41).
 * @throws StoreTrouble, or what Redis said
 */
export async function openSession(link: RedisLink, terms: SessionTerms): Promise<Session> {
  const servers = (await link.describe()).map(readInfo);
  if (servers.some(({ role }) => role === 'slave')) throw new StoreTrouble('read_only');
  if (servers.some(({ loading }) => loading === '1')) throw new StoreTrouble('loading');
  const policies = await Promise.all(servers.map(async (info) => info['maxmemory_policy'] ?? link.evictionPolicy()));
  if (policies.some((policy) => policy !== undefined && policy !== 'noeviction')) throw new StoreTrouble('evicts');
  const { at, generation, founded } = await settleMarker(link, identityOf(servers), terms);
  const { prefix, now, retention: own, clockTolerance } = terms;
  const retention = await agreeOnRetention(link, { prefix, generation, founded, own, clockTolerance, now });
  await tryWrite(link, terms);
  const secrets = terms.wantsSecrets ? await readSecrets(link, generation, terms) : [];
  return { at, generation, retention, secrets, evictionUnknown: policies.includes(undefined) };
}

type Info = Readonly<Record<string, string>>;

function readInfo(text: string): Info {
  return Object.fromEntries(
    [...text.matchAll(/^([a-z0-9_]+):([^\r\n]*)/gm)].map(([, key = '', value = '']) => [key, value]),
  );
}

/**
 * Another one after every start (`run_id`) and every promotion (`master_replid`: a master may come back as one after it was a replica).
 * Where a server does not say who it is, a restart is seen only if it lost everything.
 */
function identityOf(servers: readonly Info[]): string {
  const ids = servers.map((info) => `${info['run_id'] ?? ''} ${info['master_replid'] ?? ''}`).toSorted();
  return hash('sha256', ids.join(), 'base64url').slice(0, 22);
}

/** Set by the first gateway that meets this memory, and read by all others. In a cluster its server may be the one that is away. */
async function settleMarker(
  link: RedisLink,
  identity: string,
  { prefix, now, retention }: SessionTerms,
): Promise<Pick<Session, 'at' | 'generation'> & { readonly founded: number }> {
  const mine = `${now} ${randomBytes(12).toString('base64url')} ${retention}`;
  const attempts = link.sharded ? 8 : 1;
  for (let nth = 0; ; nth += 1) {
    try {
      const settled = await link.settle(`${prefix}since:${identity}:${nth}`, mine, MARKER_KEPT);
      const [at = '', generation = '', founded = ''] = settled.split(' ');
      if (![at, founded].every((number) => Number.isFinite(Number(number))) || at === '' || generation === '')
        throw new StoreTrouble('other');
      return { at: Number(at), generation, founded: Number(founded) };
    } catch (error) {
      if (nth + 1 >= attempts) throw error;
    }
  }
}

async function tryWrite(link: RedisLink, { prefix, deadline }: SessionTerms): Promise<void> {
  const started = performance.now();
  // In a cluster each key tries another server; one that does not answer is for the requests to find.
  await link.write(`${prefix}trial:${Math.floor(Math.random() * 1000)}`).catch((error: unknown) => {
    if (!link.sharded) throw error;
  });
  if (performance.now() - started > deadline && !link.sharded) throw new StoreTrouble('timeout');
}

/**
 * Secrets by the hour: that of this hour mints, those of the hours beside it verify, and that of the next is made ahead. So every
 * replica has a secret long before any of them mints with it, whatever their clocks say and however late they look (decision 43).
 */
async function readSecrets(link: RedisLink, generation: string, { prefix, now }: SessionTerms): Promise<Uint8Array[]> {
  const hour = Math.floor(now / ROTATION);
  return await Promise.all(
    [hour, hour + 1, hour - 1].map(async (nth) => {
      const mine = randomBytes(32).toString('base64url');
      const settled = await link.settle(`${prefix}nonce:${generation}:${nth}`, mine, SECRET_KEPT);
      return Buffer.from(settled, 'base64url');
    }),
  );
}
