// What one issuer says about tokens (RFC 7662): asked over HTTP, one call per token at a time, and remembered for a short while.

import { hash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { IntrospectionRules, Issuer } from '../token/issuer.ts';
import type { KeySource } from '../token/issuer-signature.ts';
import { networkOf } from '../rate/limit.ts';
import { type Asker, type Introspection, readIntrospection } from '../token/opaque-token.ts';
import { readSignedIntrospection } from '../token/signed-introspection.ts';
import { type Authenticate, authenticator } from './client-credentials.ts';
import { FairTurns, type TurnLimits } from './fair-turns.ts';
import {
  discover,
  type FetchLimits,
  fetchText,
  issuerAgent,
  IssuerFailure,
  parseFetched,
  placeNamed,
  placeOf,
  plainOrTls,
} from './fetch.ts';

/** All times in seconds. */
export interface IntrospectionLimits extends FetchLimits {
  /** Calls at the same time, each on a connection, and tokens that wait for one; those for one token count once. */
  readonly calls: TurnLimits;
  /** How long an answer about an inactive token counts. */
  readonly inactive: number;
  /** Answers that are remembered, active and inactive ones apart, and bytes of the active ones. */
  readonly answers: number;
  readonly bytes: number;
  /** How long a discovered endpoint counts, and how long a failure to discover one. */
  readonly endpoint: { readonly keep: number; readonly retry: number };
}

const LIMITS: IntrospectionLimits = {
  timeout: 5,
  size: 64 * 1024,
  calls: { turns: 32, unknown: 24, perClient: 12, waiting: 256 },
  inactive: 10,
  answers: 10_000,
  bytes: 32 * 1024 * 1024,
  endpoint: { keep: 600, retry: 1 },
};

/** What came of a question. `cached`: the issuer was not called; `refused`: neither, for too many wait. `error` is fit for logs. */
export type IntrospectionEvent = { readonly issuer: string } & (
  | { readonly result: 'cached' | 'refused' }
  | { readonly result: 'active' | 'inactive'; readonly seconds: number }
  | { readonly result: 'failed'; readonly seconds: number; readonly error: string }
);

export interface IntrospectorOptions {
  readonly issuer: Issuer;
  readonly rules: IntrospectionRules;
  /** Of the issuer: what signed answers are verified by (RFC 9701). */
  readonly keys: KeySource;
  readonly onEvent: (event: IntrospectionEvent) => void;
  /** For tests. */
  readonly limits?: Partial<IntrospectionLimits>;
  readonly lookup?: LookupFunction | undefined;
}

const UNKNOWN: Asker = { client: undefined, signed: false };

interface Answer {
  readonly says: Exclude<Introspection, 'unavailable' | 'busy'>;
  /** When the issuer was asked, and how long that counts; seconds. */
  readonly at: number;
  readonly keep: number;
}

/** Asks one issuer under one policy. Tokens are remembered by their hashes. An error accepts nothing and is not remembered. */
export class Introspector {
  readonly #options: IntrospectorOptions;
  readonly #limits: IntrospectionLimits;
  readonly #agent: ReturnType<typeof issuerAgent>;
  readonly #authenticate: Authenticate;
  readonly #active: LRUCache<string, Answer>;
  /** Apart, so that invented tokens push out nothing but one another. */
  readonly #inactive: LRUCache<string, Answer>;
  readonly #calls = new Map<string, Promise<Introspection>>();
  readonly #turns: FairTurns;
  readonly #closed = new AbortController();
  #endpoint: { url: Promise<URL>; until: number } | undefined;

  constructor(options: IntrospectorOptions) {
    this.#options = options;
    const { issuer, rules } = options;
    const limits = { ...LIMITS, ...options.limits };
    this.#limits = limits;
    const { credentials } = rules;
    const certificate =
      credentials.method === 'tls_client_auth' ? { cert: credentials.cert, key: credentials.key } : {};
    this.#agent = issuerAgent(issuer, limits, {
      ...certificate,
      connections: limits.calls.turns,
      lookup: options.lookup,
    });
    this.#turns = new FairTurns(limits.calls);
    this.#authenticate = authenticator(issuer, rules);
    this.#active = new LRUCache({ max: limits.answers, maxSize: limits.bytes });
    this.#inactive = new LRUCache({ max: limits.answers });
  }

  /**
   * What the issuer says about a token. @param now seconds since the epoch
   * @param asker signed tokens, and those that were active before, go first; clients have equal shares of the rest
   * @returns `unavailable`: it gave no answer that can be relied upon; `busy`: it was not asked, for too many wait
   * NOT checked: what it says about an active token.
   */
  ask(token: string, now: number, asker: Asker = UNKNOWN): Introspection | Promise<Introspection> {
    const name = hash('sha256', token, 'base64url');
    const known = this.#active.get(name) ?? this.#inactive.get(name);
    // By distance, so that a clock that steps back prolongs nothing.
    if (known !== undefined && Math.abs(now - known.at) < known.keep) {
      this.#tell({ result: 'cached' });
      return known.says;
    }
    const calling = this.#calls.get(name);
    if (calling !== undefined) return calling;
    const call = this.#askInTurn(name, token, now, asker).finally(() => this.#calls.delete(name));
    this.#calls.set(name, call);
    return call;
  }

  /** Ends every call in flight. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#agent.destroy();
  }

  /** The time for an answer includes the time in which it waits for its turn. */
  async #askInTurn(name: string, token: string, now: number, asker: Asker): Promise<Introspection> {
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(this.#limits.timeout * 1000)]);
    const known = asker.signed || this.#active.has(name);
    const claimant = { client: networkOf(asker.client ?? ''), known, signal };
    const turn = this.#turns.take(claimant);
    if (turn !== true && !(await turn)) {
      this.#tell({ result: 'refused' });
      return 'busy';
    }
    return await this.#call(name, token, now, signal).finally(() => this.#turns.end(claimant));
  }

  async #call(name: string, token: string, now: number, signal: AbortSignal): Promise<Introspection> {
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    try {
      const text = await this.#post(token, now, signal);
      const says = await this.#read(text, now + seconds());
      this.#remember(name, { says, at: now, keep: this.#keepFor(says, now) }, text.length);
      this.#tell({ result: says === 'inactive' ? says : 'active', seconds: seconds() });
      return says;
    } catch (error) {
      return this.#failed(error instanceof IssuerFailure ? error.message : 'internal error', seconds());
    }
  }

  async #read(text: string, now: number): Promise<Answer['says']> {
    const { issuer, rules, keys } = this.#options;
    if (rules.signed) {
      const answer = await readSignedIntrospection(text, { issuer, clientId: rules.clientId, keys, now });
      if ('problem' in answer) throw new IssuerFailure(`the signed answer is refused: ${answer.problem}`);
      return answer.says;
    }
    const says = readIntrospection(text);
    if (says === 'malformed') throw new IssuerFailure('the answer does not say whether the token is active');
    return says;
  }

  /** RFC 7662 §4: never beyond `exp`. */
  #keepFor(says: Answer['says'], now: number): number {
    if (says === 'inactive') return this.#limits.inactive;
    const { exp } = says;
    return Math.min(this.#options.rules.cache, typeof exp === 'number' ? exp - now : Number.POSITIVE_INFINITY);
  }

  #remember(name: string, answer: Answer, size: number): void {
    this.#active.delete(name);
    this.#inactive.delete(name);
    if (!(answer.keep > 0)) return;
    if (answer.says === 'inactive') this.#inactive.set(name, answer);
    else this.#active.set(name, answer, { size: size + ENTRY_BYTES });
  }

  /** The question may be put twice: a connection that was closed while it was idle says nothing about the issuer. */
  async #post(token: string, now: number, signal: AbortSignal): Promise<string> {
    const limits = this.#limits;
    const url = await this.#locate();
    const accept = this.#options.rules.signed ? SIGNED : JSON_TYPE;
    const once = async () => {
      const { fields, parameters } = await this.#authenticate(now);
      const body = new URLSearchParams({ token, token_type_hint: 'access_token', ...parameters }).toString();
      const post = { fields: { ...fields, 'content-type': 'application/x-www-form-urlencoded' }, body };
      return fetchText(url, { agent: this.#agent, limits, signal, post, accept });
    };
    const { text, mediaType } = await once().catch((error: unknown) => {
      if (error instanceof IssuerFailure && error.broken) return once();
      throw error;
    });
    if (mediaType !== accept) throw new IssuerFailure(`${placeOf(url)}: the answer is not ${accept}`);
    return text;
  }

  /** The endpoint of the policy, or the one that the issuer's metadata names; that is looked up again from time to time. */
  async #locate(): Promise<URL> {
    const { issuer, rules } = this.#options;
    if (rules.endpoint !== undefined) return plainOrTls(rules.endpoint, issuer);
    const before = this.#endpoint;
    if (before !== undefined && performance.now() / 1000 < before.until) return await before.url;
    const { keep, retry } = this.#limits.endpoint;
    const after = (seconds: number) => performance.now() / 1000 + seconds;
    const endpoint = { url: this.#discover(), until: after(keep) };
    this.#endpoint = endpoint;
    try {
      return await endpoint.url;
    } catch (error) {
      // Counts for a moment, so that an issuer that is away is not asked for each token; what was known before serves on.
      if (before !== undefined) endpoint.url = before.url;
      endpoint.until = after(retry);
      if (before === undefined) throw error;
      return await before.url;
    }
  }

  #discover(): Promise<URL> {
    const { issuer, rules } = this.#options;
    const limits = this.#limits;
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(limits.timeout * 1000)]);
    const uri = issuer.keys.from === 'discovery' ? issuer.keys.uri : undefined;
    const get = async (url: URL) => {
      const exchange = { agent: this.#agent, limits, signal, accept: 'application/json' };
      return parseFetched((await fetchText(url, exchange)).text, placeOf(url));
    };
    const mutual = rules.credentials.method === 'tls_client_auth';
    return discover(issuer, uri, get, (metadata, from) => {
      const endpoint = endpointOf(metadata, mutual);
      return placeNamed('introspection_endpoint', endpoint, from, issuer);
    });
  }

  #failed(error: string, seconds: number): 'unavailable' {
    this.#tell({ result: 'failed', seconds, error });
    return 'unavailable';
  }

  #tell(event: DistributedOmit<IntrospectionEvent, 'issuer'>): void {
    this.#options.onEvent({ issuer: this.#options.issuer.name, ...event });
  }
}

type DistributedOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

const JSON_TYPE = 'application/json';
/** RFC 9701 §4. */
const SIGNED = 'application/token-introspection+jwt';

/** Of an entry beside its text: names of members, the hash, and what holds them. */
const ENTRY_BYTES = 1024;

/** RFC 8414 §2; RFC 8705 §5: with a certificate, the alias where there is one. */
function endpointOf(metadata: object, mutual: boolean): unknown {
  const own = 'introspection_endpoint' in metadata ? metadata.introspection_endpoint : undefined;
  const aliases = mutual && 'mtls_endpoint_aliases' in metadata ? metadata.mtls_endpoint_aliases : undefined;
  if (typeof aliases !== 'object' || aliases === null) return own;
  return 'introspection_endpoint' in aliases ? aliases.introspection_endpoint : own;
}
