// The resolver of names for every connection that the gateway opens.

import { lookup as getaddrinfo, type LookupAddress, type LookupOptions } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { hostname } from 'node:os';
import { LRUCache } from 'lru-cache';
import { byReach } from './address-order.ts';
import { addressesInHosts } from './hosts-file.ts';
import { fullNames, readSearchRules } from './resolv-conf.ts';

/** Milliseconds for one name with all that it is searched under; shorter than the deadlines of those who wait for it. */
const DEADLINE = 4000;
/** Milliseconds for the first question to a server, doubling with each round of questions. */
const PATIENCE = { timeout: 1000, tries: 3 };
/** Milliseconds for which the addresses of the other family are waited for once there are some (RFC 8305 §3). */
const OTHER_FAMILY = 50;
/** Milliseconds for which an answer serves, or less by its TTL, and a failure counts. */
const KEEP = { answer: 1000, failure: 1000 };
/** Names that are remembered: those of a configuration, and what metadata of issuers names. */
const MOST_NAMES = 1000;

/** All addresses of a name. */
export type AskSystem = (
  name: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void;

export interface ResolverOptions {
  /** For tests: `127.0.0.1:5353`; the default is those of the system. */
  readonly servers?: readonly string[];
  readonly hostsFile?: string;
  readonly resolvConf?: string;
  /** Asked for names that DNS does not know; the default is the C library. */
  readonly otherwise?: AskSystem;
}

interface Answer {
  readonly addresses: readonly LookupAddress[];
  /** Seconds. */
  readonly ttl: number;
}

interface Known {
  readonly answer: Promise<readonly LookupAddress[]>;
  /** Milliseconds on the monotonic clock; undefined while it is being asked for. */
  until: number | undefined;
}

/**
 * Resolves names as the C library does (hosts file, search list, DNS), but by c-ares: its questions wait on sockets. `getaddrinfo` waits in
 * threads, of which libuv lets few wait at a time for the whole process, so that one silent name stops all others (decision 68). It
 * is asked, for one name at a time, only about names that DNS says do not exist: other sources of the system may know them.
 *
 * One question at a time per name; an answer serves for its TTL, at most a second; a failure counts for a second.
 */
export class NameResolver {
  readonly #options: ResolverOptions;
  readonly #known = new LRUCache<string, Known>({ max: MOST_NAMES });
  /** Made again when resolv.conf changes; kept, because it learns which servers answer. */
  #dns: { readonly conf: string; readonly resolver: Resolver } | undefined;
  #otherwise: Promise<unknown> = Promise.resolve();

  constructor(options: ResolverOptions = {}) {
    this.#options = options;
  }

  /**
   * For `net.connect` and `tls.connect`. Fails with ENOTFOUND where the name does not exist, and with EAI_AGAIN where that could not be
   * found out within four seconds.
   */
  readonly lookup: LookupFunction = (name, options, callback) => {
    this.resolve(name).then(
      // What a callback throws is not this promise's.
      (addresses) => process.nextTick(give, name, addresses, options, callback),
      (error: unknown) => process.nextTick(callback, error, []),
    );
  };

  /** All addresses of a name, those to begin with first. @throws Error with the codes of `lookup` */
  resolve(name: string): Promise<readonly LookupAddress[]> {
    const key = name.toLowerCase();
    const known = this.#known.get(key);
    if (known !== undefined && (known.until === undefined || performance.now() < known.until)) return known.answer;
    const asked = this.#resolveInTime(key);
    const fresh: Known = { answer: asked.then(({ addresses }) => addresses), until: undefined };
    this.#known.set(key, fresh);
    asked.then(
      ({ ttl }) => (fresh.until = performance.now() + Math.min(KEEP.answer, ttl * 1000)),
      () => (fresh.until = performance.now() + KEEP.failure),
    );
    return fresh.answer;
  }

  /** Ends all questions in flight. */
  close(): void {
    this.#dns?.resolver.cancel();
  }

  async #resolveInTime(name: string): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(failure(name, 'EAI_AGAIN')), DEADLINE);
    });
    return await Promise.race([this.#resolve(name), late]).finally(() => clearTimeout(timer));
  }

  async #resolve(name: string): Promise<Answer> {
    const { hostsFile = '/etc/hosts', resolvConf = '/etc/resolv.conf' } = this.#options;
    const listed = addressesInHosts(readText(hostsFile), name.replace(/\.$/, ''));
    if (listed.length > 0) return { addresses: byReach(listed), ttl: Infinity };
    // RFC 6761 §6.3: never asked for elsewhere.
    if (/(?:^|\.)localhost\.?$/.test(name)) return { addresses: LOOPBACK, ttl: Infinity };
    const conf = readText(resolvConf);
    let failed = false;
    for (const full of fullNames(name, readSearchRules(conf, process.env, hostname()))) {
      const found = await this.#ask(this.#resolverFor(conf), full);
      if (found === 'silent') throw failure(name, 'EAI_AGAIN');
      if (found === 'failed') failed = true;
      else if (found !== 'none') return { ...found, addresses: byReach(found.addresses) };
    }
    if (failed) throw failure(name, 'EAI_AGAIN');
    return await this.#askSystem(name);
  }

  #resolverFor(conf: string): Resolver {
    if (this.#dns?.conf !== conf) {
      const resolver = new Resolver(PATIENCE);
      if (this.#options.servers !== undefined) resolver.setServers(this.#options.servers);
      this.#dns = { conf, resolver };
    }
    return this.#dns.resolver;
  }

  /** Both families at once. */
  async #ask(resolver: Resolver, name: string): Promise<Answer | 'none' | 'failed' | 'silent'> {
    const records = [resolver.resolve4(name, { ttl: true }), resolver.resolve6(name, { ttl: true })] as const;
    const found: Answer[] = [];
    const failures: string[] = [];
    const settled = records.map((asked, at) =>
      asked.then(
        (list) => void found.push(answerOf(list, at === 0 ? 4 : 6)),
        (error: unknown) => void failures.push((error as NodeJS.ErrnoException).code ?? ''),
      ),
    );
    await Promise.race(settled);
    // Of one that has addresses the others are not worth a long wait. Some servers say of a name with IPv4 addresses that it does not
    // exist when they are asked for others (RFC 4074 §4.2).
    const said = found.length > 0 || failures.includes('ENOTFOUND');
    await (said ? Promise.race([Promise.all(settled), pause(OTHER_FAMILY)]) : Promise.all(settled));
    if (found.length > 0) {
      return { addresses: found.flatMap(({ addresses }) => addresses), ttl: Math.min(...found.map(({ ttl }) => ttl)) };
    }
    if (failures.includes('ENOTFOUND') || failures.every((code) => ABSENT.has(code))) return 'none';
    return failures.includes('ETIMEOUT') ? 'silent' : 'failed';
  }

  /** One name at a time: the threads are few. */
  async #askSystem(name: string): Promise<Answer> {
    const asked = this.#otherwise.then(() => askOnce(name, this.#options.otherwise ?? askCLibrary));
    this.#otherwise = asked.catch(() => {});
    return await asked;
  }
}

const askCLibrary: AskSystem = (name, callback) => getaddrinfo(name, { all: true }, callback);

function askOnce(name: string, ask: AskSystem): Promise<Answer> {
  return new Promise((resolve, reject) => {
    ask(name, (error, addresses) => {
      if (error === null) resolve({ addresses, ttl: 1 });
      else reject(failure(name, error.code === 'EAI_AGAIN' ? 'EAI_AGAIN' : 'ENOTFOUND'));
    });
  });
}

const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];
/** No such name, no such record, or no server there at all: then the system is asked whether it knows another source. */
const ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED', 'EBADNAME']);

function answerOf(records: readonly { readonly address: string; readonly ttl: number }[], family: 4 | 6): Answer {
  return {
    addresses: records.map(({ address }) => ({ address, family })),
    ttl: Math.min(...records.map(({ ttl }) => ttl)),
  };
}

function give(
  name: string,
  addresses: readonly LookupAddress[],
  { all, family }: LookupOptions,
  callback: Parameters<LookupFunction>[2],
): void {
  const wanted = family === 4 || family === 6 ? addresses.filter((one) => one.family === family) : addresses;
  const [first] = wanted;
  if (first === undefined) callback(failure(name, 'ENOTFOUND'), []);
  else if (all) callback(null, [...wanted]);
  else callback(null, first.address, first.family);
}

function failure(name: string, code: 'ENOTFOUND' | 'EAI_AGAIN'): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code} ${name}`), { code, hostname: name });
}

/** That of this thread: what is known and being asked for is known to all connections of the thread. */
export const names = new NameResolver();

/** Missing files say nothing, as to the C library. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
