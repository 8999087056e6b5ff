// Turns of requests that are decided: a few together, one of each client after the other.

import type { Demand, Route } from '../policy/policy.ts';
import { networkOf } from '../rate/limit.ts';
import type { RequestFacts } from '../request-facts.ts';
import { isCached, type TokenCache } from '../token/access-token.ts';

/** So many between two looks at the sockets: with a signature each, 2 to 3 ms. */
const TOGETHER = 32;
/** So many where a connection has just come: Node takes one between two looks, and the next may wait behind it. */
const TOGETHER_WITH_NEWCOMER = 4;
/** Requests that wait: each holds some 10 KB. One client may have them all, since others that find no place need not wait. */
const MOST = 1024;

/** Lets a request go on. */
type GoOn = () => void;

/**
 * What came together is decided together: verifying a signature takes more memory than a core has at hand, so one after the other
 * costs a fifth less than each between the reading of one request and the next (docs/decisions/0140).
 */
export class Turns {
  /** By client; those that were served go to the end of the row. */
  readonly #waiting = new Map<string, GoOn[]>();
  #count = 0;
  #due = false;
  #hasNewcomer = false;

  /**
   * Settles when it is this request's turn. undefined: as many wait as may, and it goes on at once.
   * @param address of the client; undefined: not known, which counts as one client
   */
  take(address: string | undefined): Promise<void> | undefined {
    if (this.#count >= MOST) return undefined;
    const client = address === undefined ? '' : networkOf(address);
    const own = this.#waiting.get(client) ?? [];
    return new Promise((resolve) => {
      if (own.push(resolve) === 1) this.#waiting.set(client, own);
      this.#count += 1;
      this.#call();
    });
  }

  /** Another connection may wait behind it. */
  connectionCame(): void {
    this.#hasNewcomer = true;
  }

  #call(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      this.#serve();
      if (this.#count > 0) this.#call();
    });
  }

  #serve(): void {
    let left = this.#hasNewcomer ? TOGETHER_WITH_NEWCOMER : TOGETHER;
    this.#hasNewcomer = false;
    // A client that is put back comes again in this very loop.
    for (const [client, own] of this.#waiting) {
      own.shift()?.();
      this.#count -= 1;
      this.#waiting.delete(client);
      if (own.length > 0) this.#waiting.set(client, own);
      left -= 1;
      if (left === 0) return;
    }
  }
}

/**
 * Whether deciding about a request, its shadow included, may verify a signature: of its proof, of the message, or of an access token
 * that is not known yet, as one that someone invented never is.
 */
export function owesSignature(
  facts: Pick<RequestFacts, 'authorization' | 'dpop'>,
  { demand, shadow }: Pick<Route, 'demand' | 'shadow'>,
  tokens: Pick<TokenCache, 'peek'>,
): boolean {
  if (isPublic(demand) && isPublic(shadow)) return false;
  if (facts.dpop.length > 0 || demand.signature !== undefined || shadow?.signature !== undefined) return true;
  const credentials = facts.authorization[0] ?? '';
  // A token without a dot is no JWT.
  return credentials.includes('.') && !isCached(credentials.slice(credentials.lastIndexOf(' ') + 1), tokens);
}

function isPublic(demand: Demand | undefined): boolean {
  return demand === undefined || demand.requirement === 'public';
}
