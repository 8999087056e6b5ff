// The arguments of enforce() for tests: an issuer, keys, a route and fresh ports.

import { LRUCache } from 'lru-cache';
import { Permit } from '../../src/binding/permit.ts';
import { SeenCertificates } from '../../src/certificate/seen-certificates.ts';
import { enforce, type Ports } from '../../src/enforce.ts';
import type { Demand, Route } from '../../src/policy/policy.ts';
import type { DpopRules } from '../../src/proof/dpop-proof.ts';
import { NonceKeys } from '../../src/proof/nonce.ts';
import type { Reason } from '../../src/rejection/rejection.ts';
import { createRateMemory, SharedRateLimiter } from '../../src/rate/limiter.ts';
import { createReplayMemory, ProcessReplayStore } from '../../src/memory/process-replay-store.ts';
import type { IntrospectionRules, Issuer } from '../../src/token/issuer.ts';
import { readKeySet } from '../../src/jose/key-set.ts';
import type { RequestFacts } from '../../src/request-facts.ts';
import { AUDIENCE, ISSUER, type TestKey } from './tokens.ts';

export function makeIssuer(over: Partial<Issuer> = {}): Issuer {
  return {
    name: 'login',
    issuer: ISSUER,
    audience: [AUDIENCE],
    keys: { from: 'jwks_file', file: 'keys.json' },
    ca: undefined,
    insecureHttp: false,
    algorithms: ['ES256', 'EdDSA', 'RS256', 'PS256'],
    requireTyp: false,
    accessToken: undefined,
    audienceClaim: 'aud',
    scopeClaim: ['scope', 'scp'],
    clockTolerance: 15,
    requiredForReady: true,
    introspection: undefined,
    tokenExchange: undefined,
    ...over,
  };
}

/** How the gateway asks an issuer about tokens. */
export const INTROSPECTION_RULES: IntrospectionRules = {
  endpoint: undefined,
  clientId: 'gateway',
  credentials: { method: 'client_secret_basic', secret: 'secret' },
  accessToken: undefined,
  signed: false,
  always: false,
  cache: 30,
};

export const DPOP_RULES: DpopRules = {
  nonce: 'none',
  maxAge: 60,
  clockTolerance: 15,
  algorithms: ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
};

/** A route for everything under one demand. */
export function makeRoute(issuer: Issuer, over: Partial<Demand> = {}): Route {
  return {
    name: 'orders',
    match: { listeners: undefined, host: undefined, path: '/*', methods: undefined },
    upstream: {
      name: 'orders',
      http2: false,
      targets: [{ origin: 'http://127.0.0.1:9000', socketPath: undefined }],
      tunnels: 4,
      connections: 1,
      balance: 'least-pending',
      health: undefined,
      circuit: undefined,
      closeDelimited: false,
      retries: 0,
      tls: { ca: undefined, cert: undefined, key: undefined, serverName: undefined, subjectAltNames: undefined },
    },
    demand: {
      requirement: 'token',
      issuers: [issuer],
      audience: undefined,
      dpop: DPOP_RULES,
      scope: undefined,
      claims: [],
      acr: [],
      maxAuthAge: undefined,
      ...over,
    },
    shadow: undefined,
    challenge: {
      schemes: ['DPoP', 'Bearer'],
      algs: 'ES256',
      scope: undefined,
      acrValues: undefined,
      maxAge: undefined,
    },
    encodedSlash: false,
    forward: {
      host: 'preserve',
      authorization: 'remove',
      exchange: undefined,
      identity: [],
      encoding: 'strict',
      remove: [],
      clientCertificate: [],
      assertion: undefined,
    },
    cors: undefined,
    rateLimit: undefined,
    limits: {},
    timeouts: { connect: 1, responseHeader: 1, idle: 1, total: undefined },
    resource: undefined,
  };
}

/** Ports whose issuer has these keys; caches, nonces and replay store are new unless given. */
export async function makePorts(keys: readonly TestKey[], over: Partial<Ports> = {}): Promise<Ports> {
  const read = readKeySet({ keys: keys.map(({ jwk }) => jwk) });
  if (read === 'malformed') throw new Error('the keys of the test are no key set');
  return {
    keysOf: () => ({ current: () => read.keys, refreshFor: async () => {} }),
    tokens: new LRUCache({ max: 1000 }),
    introspect: () => 'unavailable',
    proofKeys: new LRUCache({ max: 1000 }),
    nonces: new NonceKeys([], 120),
    replay: new ProcessReplayStore(createReplayMemory({ capacity: 10_000, since: 0 })),
    rates: new SharedRateLimiter(createRateMemory(0)),
    rememberFor: 75,
    shorterMemories: [],
    seenCertificates: new SeenCertificates(),
    ...over,
  };
}

/** `permit` or the reason of the refusal. */
export async function decide(request: RequestFacts, route: Route, ports: Ports): Promise<'permit' | Reason> {
  const decision = await enforce(request, route, ports);
  return decision instanceof Permit ? 'permit' : decision.reason;
}
