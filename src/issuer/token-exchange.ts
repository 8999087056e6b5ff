// Token exchange (RFC 8693): one call per token and audience at a time, cached.

import { hash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { LRUCache } from 'lru-cache';
import { type Rejection, reject } from '../rejection/rejection.ts';
import {
  type TokenExchangeTerms,
  exchangeParameters,
  isAboutToken,
  readExchangedToken,
} from '../token/exchanged-token.ts';
import type { Issuer, TokenExchangeRules } from '../token/issuer.ts';
import { type EndpointLimits, IssuerEndpoint } from './endpoint.ts';
import { FairTurns, type TurnLimits } from './fair-turns.ts';
import { IssuerFailure } from './fetch.ts';

/** All times in seconds. */
export interface TokenExchangeLimits extends EndpointLimits {
  /** Calls at the same time, each on a connection, and exchanges that wait for one; those of one token and audience count once. */
  readonly calls: TurnLimits;
  /** How long a token that was refused is not tried again. */
  readonly refused: number;
  /** What an issued token must still be good for when it is sent on. */
  readonly spare: number;
  /** Issued tokens that are remembered, and refused ones, and bytes of the issued ones. */
  readonly tokens: number;
  readonly bytes: number;
}

const LIMITS: TokenExchangeLimits = {
  timeout: 5,
  size: 64 * 1024,
  // Who asks holds a verified token: all are equal, and each client has its share.
  calls: { turns: 32, unknown: 32, perClient: 12, waiting: 256 },
  refused: 10,
  spare: 10,
  tokens: 10_000,
  bytes: 32 * 1024 * 1024,
  endpoint: { keep: 600, retry: 1 },
};

/** What came of an exchange. `audience`: for whom; `cached`: the issuer was not called; `queue_full`: neither, for too many wait. `error` is fit for logs. */
export type TokenExchangeEvent = { readonly issuer: string; readonly audience: string } & (
  | { readonly result: 'cached' | 'queue_full' }
  | { readonly result: 'issued' | 'refused'; readonly seconds: number }
  | { readonly result: 'failed'; readonly seconds: number; readonly error: string }
);

export interface TokenExchangerOptions {
  readonly issuer: Issuer;
  readonly rules: TokenExchangeRules;
  readonly onEvent: (event: TokenExchangeEvent) => void;
  /** For tests. */
  readonly limits?: Partial<TokenExchangeLimits>;
  readonly lookup?: LookupFunction | undefined;
}

/** One access token that passed, and who counts as its client (rate/limit.ts). */
export interface Exchangeable {
  readonly token: string;
  readonly client: string;
}

interface Issued {
  readonly token: string;
  /** When it was asked for, and how long it is used; seconds. */
  readonly at: number;
  readonly keep: number;
}

interface Refused {
  readonly error: string;
  readonly at: number;
}

/** Exchanges tokens of one issuer under one policy. Tokens of clients are remembered by their hashes. A failure is not remembered. */
export class TokenExchanger {
  readonly #options: TokenExchangerOptions;
  readonly #limits: TokenExchangeLimits;
  readonly #endpoint: IssuerEndpoint;
  readonly #issued: LRUCache<string, Issued>;
  readonly #refused: LRUCache<string, Refused>;
  readonly #calls = new Map<string, Promise<string | Rejection>>();
  readonly #turns: FairTurns;

  constructor(options: TokenExchangerOptions) {
    this.#options = options;
    const limits = { ...LIMITS, ...options.limits };
    this.#limits = limits;
    const { issuer, rules, lookup } = options;
    const connections = limits.calls.turns;
    this.#endpoint = new IssuerEndpoint({ issuer, rules, name: 'token_endpoint', limits, connections, lookup });
    this.#turns = new FairTurns(limits.calls);
    this.#issued = new LRUCache({ max: limits.tokens, maxSize: limits.bytes });
    this.#refused = new LRUCache({ max: limits.tokens });
  }

  /**
   * The token that goes to the upstream in place of the client's. @param now seconds since the epoch
   * @returns Rejection: token_exchange_refused, token_exchange_unavailable, token_exchange_queue_full
   * NOT checked: that the token of the client counts, now: a Permit says so.
   */
  exchange(
    from: Exchangeable,
    terms: TokenExchangeTerms,
    now: number,
  ): string | Rejection | Promise<string | Rejection> {
    // A form has no line break, so that no two pairs make one text.
    const name = hash('sha256', `${terms.form}\n${from.token}`, 'base64url');
    const known = this.#remembered(name, terms, now);
    if (known !== undefined) return known;
    const calling = this.#calls.get(name);
    if (calling !== undefined) return calling;
    const call = this.#exchangeInTurn(name, from, terms, now).finally(() => this.#calls.delete(name));
    this.#calls.set(name, call);
    return call;
  }

  /** Ends every call in flight. */
  async close(): Promise<void> {
    await this.#endpoint.close();
  }

  /** By distance, so that a clock that steps back prolongs nothing. */
  #remembered(name: string, terms: TokenExchangeTerms, now: number): string | Rejection | undefined {
    const issued = this.#issued.get(name);
    if (issued !== undefined && Math.abs(now - issued.at) < issued.keep) {
      this.#tell(terms, { result: 'cached' });
      return issued.token;
    }
    const refused = this.#refused.get(name);
    if (refused === undefined || Math.abs(now - refused.at) >= this.#limits.refused) return undefined;
    this.#tell(terms, { result: 'cached' });
    return reject('token_exchange_refused', { name: this.#options.issuer.name, code: refused.error });
  }

  /** The time for an answer includes the time in which it waits for its turn. */
  async #exchangeInTurn(
    name: string,
    from: Exchangeable,
    terms: TokenExchangeTerms,
    now: number,
  ): Promise<string | Rejection> {
    const signal = this.#endpoint.signal();
    const claimant = { client: from.client, known: false, signal };
    const turn = this.#turns.take(claimant);
    if (turn !== true && !(await turn)) {
      this.#tell(terms, { result: 'queue_full' });
      return reject('token_exchange_queue_full', { name: this.#options.issuer.name, retryAfter: 1 });
    }
    return await this.#call(name, { from, terms, now, signal }).finally(() => this.#turns.end(claimant));
  }

  async #call(
    name: string,
    call: {
      readonly from: Exchangeable;
      readonly terms: TokenExchangeTerms;
      readonly now: number;
      readonly signal: AbortSignal;
    },
  ): Promise<string | Rejection> {
    const { from, terms, now, signal } = call;
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    try {
      const parameters = exchangeParameters(from.token);
      const text = await this.#endpoint.post({ parameters, more: terms.form, accept: JSON_TYPE, now, signal });
      const read = readExchangedToken(text, from.token);
      if ('problem' in read) throw new IssuerFailure(`the answer is refused: ${read.problem}`);
      this.#remember(name, read.token, now, read.lifetime);
      this.#tell(terms, { result: 'issued', seconds: seconds() });
      return read.token;
    } catch (error) {
      return this.#fail(name, error, { terms, now, seconds: seconds() });
    }
  }

  /** One whose lifetime is not told is not kept. */
  #remember(name: string, token: string, now: number, lifetime: number | undefined): void {
    this.#refused.delete(name);
    const keep = Math.min(this.#options.rules.cache, (lifetime ?? 0) - this.#limits.spare);
    if (keep > 0) this.#issued.set(name, { token, at: now, keep }, { size: token.length + ENTRY_BYTES });
    else this.#issued.delete(name);
  }

  #fail(
    name: string,
    error: unknown,
    at: { readonly terms: TokenExchangeTerms; readonly now: number; readonly seconds: number },
  ): Rejection {
    const { name: issuer } = this.#options.issuer;
    const { terms, now, seconds } = at;
    const failure = error instanceof IssuerFailure ? error : new IssuerFailure('internal error');
    if (isAboutToken(failure.error)) {
      this.#refused.set(name, { error: failure.error, at: now });
      this.#tell(terms, { result: 'refused', seconds });
      return reject('token_exchange_refused', { name: issuer, code: failure.error });
    }
    this.#tell(terms, { result: 'failed', seconds, error: failure.message });
    const code = failure.error === undefined ? {} : { code: failure.error };
    return reject('token_exchange_unavailable', { name: issuer, ...code, retryAfter: RETRY_AFTER });
  }

  #tell(terms: TokenExchangeTerms, event: DistributedOmit<TokenExchangeEvent, 'issuer' | 'audience'>): void {
    this.#options.onEvent({ issuer: this.#options.issuer.name, audience: terms.name, ...event });
  }
}

type DistributedOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

const JSON_TYPE = 'application/json';
/** Seconds. */
const RETRY_AFTER = 5;
/** Of an entry beside its token: the hash, and what holds them. */
const ENTRY_BYTES = 512;
