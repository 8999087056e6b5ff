// An endpoint of an issuer that the gateway calls as a client, with posts of forms.

import type { LookupFunction } from 'node:net';
import type { ClientRules, Issuer } from '../token/issuer.ts';
import { type Authenticate, authenticator } from './client-credentials.ts';
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
export interface EndpointLimits extends FetchLimits {
  /** How long a discovered endpoint counts, and how long a failure to discover one. */
  readonly endpoint: { readonly keep: number; readonly retry: number };
}

export interface EndpointOptions {
  readonly issuer: Issuer;
  readonly rules: ClientRules;
  /** Its name in the metadata of the issuer (RFC 8414 §2). */
  readonly name: 'introspection_endpoint' | 'token_endpoint';
  readonly limits: EndpointLimits;
  /** At the same time. */
  readonly connections: number;
  readonly lookup: LookupFunction | undefined;
}

/** What is posted, and what may come back. */
export interface Post {
  readonly parameters: Readonly<Record<string, string>>;
  /** More of the form, encoded already; '': nothing. */
  readonly more?: string;
  /** The one media type that is taken. */
  readonly accept: string;
  /** Seconds since the epoch, for assertions. */
  readonly now: number;
  readonly signal: AbortSignal;
}

export class IssuerEndpoint {
  readonly #options: EndpointOptions;
  readonly #agent: ReturnType<typeof issuerAgent>;
  readonly #authenticate: Authenticate;
  readonly #closed = new AbortController();
  #place: { url: Promise<URL>; until: number } | undefined;

  constructor(options: EndpointOptions) {
    this.#options = options;
    const { issuer, rules, limits, connections, lookup } = options;
    const { credentials } = rules;
    const certificate =
      credentials.method === 'tls_client_auth' ? { cert: credentials.cert, key: credentials.key } : {};
    this.#agent = issuerAgent(issuer, limits, { ...certificate, connections, lookup });
    this.#authenticate = authenticator(issuer, rules);
  }

  /** Ends with the time for one answer, or when this is closed. */
  signal(): AbortSignal {
    return AbortSignal.any([this.#closed.signal, AbortSignal.timeout(this.#options.limits.timeout * 1000)]);
  }

  /** Ends every call in flight. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#agent.destroy();
  }

  /**
   * Posts a form with the credentials of the gateway; a second time where a connection broke that may have been closed while it was idle,
   * which says nothing about the issuer.
   * @returns the text of a 200 of the media type that was asked for
   * @throws IssuerFailure
   */
  async post({ parameters, more = '', accept, now, signal }: Post): Promise<string> {
    const { limits } = this.#options;
    const url = await this.#locate();
    const once = async () => {
      const own = await this.#authenticate(now);
      const form = new URLSearchParams({ ...parameters, ...own.parameters }).toString();
      const body = more === '' ? form : `${form}&${more}`;
      const post = { fields: { ...own.fields, 'content-type': 'application/x-www-form-urlencoded' }, body };
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
    const { issuer, rules, limits } = this.#options;
    if (rules.endpoint !== undefined) return plainOrTls(rules.endpoint, issuer);
    const before = this.#place;
    if (before !== undefined && performance.now() / 1000 < before.until) return await before.url;
    const { keep, retry } = limits.endpoint;
    const after = (seconds: number) => performance.now() / 1000 + seconds;
    const place = { url: this.#discover(), until: after(keep) };
    this.#place = place;
    try {
      return await place.url;
    } catch (error) {
      // Counts for a moment, so that an issuer that is away is not asked for each token; what was known before serves on.
      if (before !== undefined) place.url = before.url;
      place.until = after(retry);
      if (before === undefined) throw error;
      return await before.url;
    }
  }

  #discover(): Promise<URL> {
    const { issuer, rules, limits, name } = this.#options;
    const signal = this.signal();
    const uri = issuer.keys.from === 'discovery' ? issuer.keys.uri : undefined;
    const get = async (url: URL) => {
      const exchange = { agent: this.#agent, limits, signal, accept: 'application/json' };
      return parseFetched((await fetchText(url, exchange)).text, placeOf(url));
    };
    const mutual = rules.credentials.method === 'tls_client_auth';
    return discover(issuer, uri, get, (metadata, from) =>
      placeNamed(name, endpointOf(metadata, name, mutual), from, issuer),
    );
  }
}

/** RFC 8414 §2; RFC 8705 §5: with a certificate, the alias where there is one. */
function endpointOf(metadata: object, name: EndpointOptions['name'], mutual: boolean): unknown {
  const named = (at: object): unknown => (Object.hasOwn(at, name) ? Reflect.get(at, name) : undefined);
  const aliases = mutual && 'mtls_endpoint_aliases' in metadata ? metadata.mtls_endpoint_aliases : undefined;
  return (typeof aliases === 'object' && aliases !== null ? named(aliases) : undefined) ?? named(metadata);
}
