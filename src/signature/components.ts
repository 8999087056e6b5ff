// The components of a request that a signature may cover (RFC 9421 §2), and their values.

import { withoutBlanks } from '../http/blanks.ts';
import { connectionOptions } from '../http/connection-options.ts';
import type { RequestFacts } from '../request-facts.ts';

export type SignableRequest = Pick<RequestFacts, 'method' | 'origin' | 'target' | 'query' | 'message'>;

/**
 * Those of §2.2 that are the same on every way to the gateway: of the origin by which the client called, as `htu` is. Not
 * `@request-target`, whose form changes on the way (§2.2.5), and not `@query-param`: the whole query has to be covered anyway. Of a
 * query without characters `@query` says the same as of none (§2.2.7), and so it covers neither as such a one.
 */
const DERIVED: Readonly<Record<string, (request: SignableRequest) => string | undefined>> = {
  '@method': ({ method }) => method,
  '@target-uri': ({ origin, target }) => `${origin.scheme}://${origin.authority}${origin.pathPrefix}${target}`,
  '@authority': ({ origin }) => origin.authority,
  '@scheme': ({ origin }) => origin.scheme,
  '@path': ({ origin, target }) => `${origin.pathPrefix}${target.split('?', 1)[0]}`,
  '@query': ({ query }) => (query === '' ? undefined : `?${query ?? ''}`),
};

/** What together says as much as `@target-uri`. */
const PARTS_OF_TARGET = ['@authority', '@path', '@query'];

/** The values of one request's components; its fields are gone through once. */
export class Components {
  readonly #request: SignableRequest;
  readonly #fields = new Map<string, string>();

  constructor(request: SignableRequest) {
    this.#request = request;
    const { rawHeaders } = request.message;
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = rawHeaders[at]?.toLowerCase() ?? '';
      const before = this.#fields.get(name);
      const value = withoutBlanks(rawHeaders[at + 1] ?? '');
      this.#fields.set(name, before === undefined ? value : `${before}, ${value}`);
    }
    this.#dropHopByHop();
  }

  /** A field that Connection names ends here (RFC 9110 §7.6.1): who signed it has not signed what the upstream gets. */
  #dropHopByHop(): void {
    for (const name of connectionOptions(this.#fields.get('connection') ?? '')) {
      // Of which the gateway itself is the other end, and which has to be named there (RFC 9110 §7.8).
      if (name !== 'upgrade') this.#fields.delete(name);
    }
  }

  /** The combined value of all lines of a field (§2.1); undefined: it has none that goes on. @param name in lower case */
  field(name: string): string | undefined {
    return this.#fields.get(name);
  }

  /** @param name in lower case @returns undefined: the request has no such component, or it cannot be checked here */
  value(name: string): string | undefined {
    if (!name.startsWith('@')) return this.field(name);
    return Object.hasOwn(DERIVED, name) ? DERIVED[name]?.(this.#request) : undefined;
  }
}

/** Whether a signature over `covered` says what one over `wanted` would. */
export function isCovered(covered: readonly string[], wanted: string): boolean {
  if (covered.includes(wanted)) return true;
  return wanted === '@target-uri' && PARTS_OF_TARGET.every((part) => covered.includes(part));
}

/**
 * The signature base (§2.5). The components were found to be there, each once and without parameters.
 * @param parameters the value of `@signature-params`
 * @returns undefined: a value has other characters than ASCII
 */
export function signatureBase(
  covered: readonly string[],
  parameters: string,
  components: Components,
): string | undefined {
  const lines = covered.map((name) => `"${name}": ${components.value(name) ?? ''}\n`);
  const base = `${lines.join('')}"@signature-params": ${parameters}`;
  return /^[\t\n\x20-\x7e]*$/.test(base) ? base : undefined;
}
