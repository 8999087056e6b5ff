// The calls of one thread to issuers, over reloads: introspection, exchange, failures.

import type { LookupFunction } from 'node:net';
import type { ExchangeToken } from '../edge/runtime.ts';
import { Introspector } from '../issuer/introspection.ts';
import { TokenExchanger } from '../issuer/token-exchange.ts';
import type { IssuerCallCounts } from '../observe/issuer-call-metrics.ts';
import type { Log } from '../observe/log.ts';
import type { Policy } from '../policy/policy.ts';
import { reject } from '../rejection/rejection.ts';
import type { KeySource } from '../token/issuer-signature.ts';
import type { Introspect } from '../token/opaque-token.ts';

export interface IssuerCallsOptions {
  readonly log: Log;
  readonly metrics: IssuerCallCounts;
  /** By the name of the issuer. */
  readonly keysOf: (issuer: string) => KeySource;
  /** For tests. */
  readonly lookup: LookupFunction | undefined;
}

/** What an issuer said goes by the policy that asked: each policy has its own memory of that. */
interface OfPolicy {
  readonly introspect: Introspect;
  readonly exchangeToken: ExchangeToken;
}

const ABOUT_TOKENS = {
  failed: 'the issuer gave no answer about a token',
  again: 'the issuer answers about tokens again',
};
const FOR_UPSTREAMS = {
  failed: 'the issuer gave no token for an upstream',
  again: 'the issuer gives tokens for upstreams again',
};

export class IssuerCalls {
  readonly #options: IssuerCallsOptions;
  /** What was last said of an issuer, by what was wanted of it. */
  readonly #news = new Map<string, string>();
  #open: readonly { close(): Promise<void> }[] = [];

  constructor(options: IssuerCallsOptions) {
    this.#options = options;
  }

  /** Those of the policy before end by themselves: calls in flight are answered, and idle connections close. */
  openFor({ issuers }: Policy): OfPolicy {
    const { keysOf, metrics, lookup } = this.#options;
    const introspectors = new Map<string, Introspector>();
    const exchangers = new Map<string, TokenExchanger>();
    for (const issuer of issuers) {
      const { name, introspection, tokenExchange } = issuer;
      if (introspection !== undefined) {
        const onEvent: ConstructorParameters<typeof Introspector>[0]['onEvent'] = (event) => {
          metrics.countIntrospection(event);
          if (event.result !== 'refused') this.#tell(event, ABOUT_TOKENS);
        };
        const keys = keysOf(name);
        introspectors.set(name, new Introspector({ issuer, rules: introspection, keys, onEvent, lookup }));
      }
      if (tokenExchange !== undefined) {
        const onEvent: ConstructorParameters<typeof TokenExchanger>[0]['onEvent'] = (event) => {
          metrics.countTokenExchange(event);
          if (event.result !== 'queue_full') this.#tell(event, FOR_UPSTREAMS);
        };
        exchangers.set(name, new TokenExchanger({ issuer, rules: tokenExchange, onEvent, lookup }));
      }
    }
    this.#open = [...introspectors.values(), ...exchangers.values()];
    return {
      introspect: ({ name }, ...question) => introspectors.get(name)?.ask(...question) ?? 'unavailable',
      exchangeToken: ({ issuer, accessToken, client }, terms, now) => {
        const exchanger = exchangers.get(issuer?.name ?? '');
        if (exchanger === undefined || accessToken === undefined) return reject('token_exchange_unavailable');
        return exchanger.exchange({ token: accessToken, client }, terms, now);
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((one) => one.close()));
  }

  /** Failures are logged when they begin, change or end: one outage is not a line per token, and one audience does not hide another. */
  #tell(event: IssuerCall, words: typeof ABOUT_TOKENS) {
    const { issuer, audience, result, error = '' } = event;
    if (result === 'cached') return;
    const what = [words.failed, issuer, audience].join(' ');
    const before = this.#news.get(what) ?? '';
    if (error === before) return;
    this.#news.set(what, error);
    if (error === '') this.#options.log.event('info', words.again, { issuer, audience });
    else this.#options.log.event('warn', words.failed, { issuer, audience, error });
  }
}

interface IssuerCall {
  readonly issuer: string;
  /** For whom a token was wanted. */
  readonly audience?: string;
  readonly result: string;
  readonly error?: string;
}
