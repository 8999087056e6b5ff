// Introspection (RFC 7662): one call per token at a time, answers cached briefly.

import { hash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { IntrospectionRules, Issuer } from '../token/issuer.ts';
import type { KeySource } from '../token/issuer-signature.ts';
import { networkOf } from '../rate/limit.ts';
import { type Asker, type Introspection, readIntrospection } from '../token/opaque-token.ts';
import { readSignedIntrospection } from '../token/signed-introspection.ts';
import { type EndpointLimits, IssuerEndpoint } from './endpoint.ts';
import { FairTurns, type TurnLimits } from './fair-turns.ts';
import { IssuerFailure } from './fetch.ts';

/** All times in seconds. */
export interface IntrospectionLimits extends EndpointLimits {
  /** Calls at the same time, each on a connection, and tokens that wait for one; those for one token count once. */
  readonly calls: TurnLimits;
  /** How long an answer about an inactive token counts. */
  readonly inactive: number;
  /** Answers that are remembered, active and inactive ones apart, and bytes of the active ones. */
  readonly answers: number;
  readonly bytes: number;
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
  readonly #endpoint: IssuerEndpoint;
  readonly #active: LRUCache<string, Answer>;
  /** Apart, so that invented tokens push out nothing but one another. */
  readonly #inactive: LRUCache<string, Answer>;
  readonly #calls = new Map<string, Promise<Introspection>>();
  readonly #turns: FairTurns;

  constructor(options: IntrospectorOptions) {
    this.#options = options;
    const limits = { ...LIMITS, ...options.limits };
    this.#limits = limits;
    const { issuer, rules, lookup } = options;
    const connections = limits.calls.turns;
    this.#endpoint = new IssuerEndpoint({ issuer, rules, name: 'introspection_endpoint', limits, connections, lookup });
    this.#turns = new FairTurns(limits.calls);
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
    await this.#endpoint.close();
  }

  /** The time for an answer includes the time in which it waits for its turn. */
  async #askInTurn(name: string, token: string, now: number, asker: Asker): Promise<Introspection> {
    const signal = this.#endpoint.signal();
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
      const parameters = { token, token_type_hint: 'access_token' };
      const accept = this.#options.rules.signed ? SIGNED : JSON_TYPE;
      const text = await this.#endpoint.post({ parameters, accept, now, signal });
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
