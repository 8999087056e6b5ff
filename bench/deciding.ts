// Decisions in this process, with credentials and requests that are made beforehand.

import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign, type webcrypto } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { enforce, type Ports } from '../src/enforce.ts';
import { Permit } from '../src/binding/permit.ts';
import { createReplayMemory, ProcessReplayStore, type ReplayMemory } from '../src/memory/process-replay-store.ts';
import type { Route } from '../src/policy/policy.ts';
import type { RequestFacts } from '../src/request-facts.ts';
import type { Issuer } from '../src/token/issuer.ts';
import { makeIssuer, makePorts, makeRoute } from '../test/support/enforcing.ts';
import { makeFacts } from '../test/support/facts.ts';
import { CACHED_TOKENS } from '../src/worker/data-plane.ts';
import { AUDIENCE, ISSUER, type TestKey } from '../test/support/tokens.ts';

const NOW = 1_800_000_000;
const URI = 'https://api.example.com/orders/1';

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

function signJws(header: object, payload: object, key: KeyObject): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** Somebody with a key and a token that is bound to it. */
export interface Sender {
  readonly bound: string;
  readonly bearer: string;
  readonly proof: (more?: object) => string;
}

/** A gateway's decision without the gateway. */
export class Decider {
  readonly ports: Ports;
  readonly #key: KeyObject;
  readonly #issuer: Issuer;
  readonly #others: readonly Issuer[];
  readonly #routes = new Map<string, Route>();

  /** @param issuers that the route names, ours last @param memory of the replay store; the default is a new one */
  static async make({
    issuers = 1,
    memory = createReplayMemory({ capacity: 1_000_000, since: 0 }),
  }: {
    readonly issuers?: number;
    readonly memory?: ReplayMemory;
  } = {}): Promise<Decider> {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' };
    const replay = new ProcessReplayStore(memory);
    return new Decider(
      await makePorts([{ jwk } as unknown as TestKey], { replay, tokens: new LRUCache({ max: CACHED_TOKENS }) }),
      privateKey,
      issuers,
    );
  }

  private constructor(ports: Ports, key: KeyObject, issuers: number) {
    this.ports = ports;
    this.#key = key;
    this.#issuer = makeIssuer();
    const other = (at: number) => makeIssuer({ name: `other-${at}`, issuer: `https://login-${at}.example.com` });
    this.#others = Array.from({ length: issuers - 1 }, (_, at) => other(at));
  }

  sender(more: object = {}): Sender {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = publicKey.export({ format: 'jwk' });
    const bearer = this.token(more);
    const bound = this.token({ ...more, cnf: { jkt: thumbprint(jwk) } });
    const ath = createHash('sha256').update(bound).digest('base64url');
    const proof = (claims: object = {}) =>
      signJws(
        { typ: 'dpop+jwt', alg: 'ES256', jwk },
        { jti: randomUUID(), htm: 'GET', htu: URI, iat: NOW, ath, ...claims },
        privateKey,
      );
    return { bound, bearer, proof };
  }

  token(more: object = {}): string {
    const claims = {
      iss: ISSUER,
      aud: AUDIENCE,
      sub: 'c',
      client_id: randomUUID(),
      scope: 'orders:read',
      jti: randomUUID(),
    };
    return signJws(
      { alg: 'ES256', typ: 'at+jwt', kid: 'k' },
      { ...claims, iat: NOW, exp: NOW + 3600, ...more },
      this.#key,
    );
  }

  /** @returns `permit` or the reason */
  async decide(requirement: 'public' | 'token' | 'dpop', request: Partial<RequestFacts>): Promise<string> {
    let route = this.#routes.get(requirement);
    if (route === undefined) {
      route = makeRoute(this.#issuer, { requirement, issuers: [...this.#others, this.#issuer] });
      this.#routes.set(requirement, route);
    }
    const decision = await enforce(makeFacts({ now: NOW, ...request }), route, this.ports);
    return decision instanceof Permit ? 'permit' : decision.reason;
  }
}

function thumbprint({ crv, kty, x, y }: webcrypto.JsonWebKey): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** CPU µs that a round takes at least: the kernel moves the clock of a thread on when it is interrupted, every 4,000 or so. */
const ROUND = 100_000;
/** Calls between two looks at the clock. */
const BATCH = 200;

const threadCpu = () => {
  const { user, system } = process.threadCpuUsage();
  return user + system;
};

/**
 * CPU µs of this thread for one call: the least of several rounds, which other load on the machine changes least. A round begins
 * and ends where the clock moves.
 * @param make what is called, made anew for each round and not counted
 */
export async function leastCpu(rounds: number, make: () => (at: number) => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const call = make();
    let calls = 0;
    const callUntil = async (moved: (clock: number) => boolean): Promise<number> => {
      for (;;) {
        for (const end = calls + BATCH; calls < end; calls++) {
          const made = call(calls);
          if (made instanceof Promise) await made;
        }
        const clock = threadCpu();
        if (moved(clock)) return clock;
      }
    };
    const before = threadCpu();
    const began = await callUntil((clock) => clock > before);
    const uncounted = calls;
    let last = began;
    const ended = await callUntil((clock) => {
      const moves = clock > last;
      last = clock;
      return moves && clock - began >= ROUND;
    });
    least = Math.min(least, (ended - began) / (calls - uncounted));
  }
  return least;
}
