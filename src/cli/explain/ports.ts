// The ports of `explain`: real keys and answers of issuers, and empty replay stores.

import { LRUCache } from 'lru-cache';
import { SeenCertificates } from '../../certificate/seen-certificates.ts';
import type { Ports } from '../../enforce.ts';
import type { Policy, Route } from '../../policy/policy.ts';
import { NonceKeys } from '../../proof/nonce.ts';
import { Introspector } from '../../issuer/introspection.ts';
import { IssuerKeys } from '../../issuer/keys.ts';
import { createRateMemory, SharedRateLimiter } from '../../rate/limiter.ts';
import { createReplayMemory, ProcessReplayStore } from '../../memory/process-replay-store.ts';
import type { Issuer } from '../../token/issuer.ts';
import type { JsonObject } from '../../jose/jws.ts';
import type { Introspect } from '../../token/opaque-token.ts';

export interface OpenPorts {
  readonly ports: Ports;
  /** Why keys of issuers could not be loaded, and why there was no answer about the token. */
  readonly issuerProblems: () => readonly string[];
  /** What an issuer said about the token. */
  readonly answered: () => JsonObject | undefined;
  readonly stop: () => Promise<void>;
}

/** @param now seconds since the epoch, of the request */
export async function openPorts(policy: Policy, { demand }: Route, now: number): Promise<OpenPorts> {
  const wallClock = () => Date.now() / 1000;
  const keys = new Map(
    demand.issuers.map((issuer) => [issuer.name, new IssuerKeys({ issuer, now: wallClock, onEvent: () => {} })]),
  );
  await Promise.all([...keys.values()].map((one) => one.start()));
  // `--at` moves the request and not the issuer: its keys and answers of today are what there is.
  const keysOf: Ports['keysOf'] = (issuer) => ({
    current: () => keys.get(issuer.name)?.current(wallClock()),
    refreshFor: async (kid) => keys.get(issuer.name)?.refreshFor(kid),
  });
  const asked = openIntrospectors(demand.issuers, keysOf, wallClock);
  const ports: Ports = {
    keysOf,
    tokens: new LRUCache({ max: 1 }),
    introspect: asked.introspect,
    proofKeys: new LRUCache({ max: 1 }),
    nonces: new NonceKeys(policy.nonce.secrets, policy.nonce.lifetime),
    replay: new ProcessReplayStore(createReplayMemory({ capacity: 1, since: Math.min(0, now) })),
    rates: new SharedRateLimiter(createRateMemory(now)),
    rememberFor: policy.replay.retention,
    shorterMemories: [],
    seenCertificates: new SeenCertificates(),
  };
  const keyProblems = () =>
    [...keys].flatMap(([name, { lastError }]) =>
      lastError === undefined ? [] : [`The keys of issuer ${name} could not be loaded: ${lastError}`],
    );
  return {
    ports,
    issuerProblems: () => [...keyProblems(), ...asked.problems],
    answered: asked.answered,
    async stop() {
      for (const one of keys.values()) one.stop();
      await asked.close();
    },
  };
}

/** Asks, and keeps what was said. */
function openIntrospectors(issuers: readonly Issuer[], keysOf: Ports['keysOf'], wallClock: () => number) {
  const problems: string[] = [];
  const introspectors = new Map<string, Introspector>();
  for (const issuer of issuers) {
    const { name, introspection: rules } = issuer;
    if (rules === undefined) continue;
    const onEvent: ConstructorParameters<typeof Introspector>[0]['onEvent'] = (event) => {
      if (event.result === 'failed') problems.push(`Issuer ${name} gave no answer about the token: ${event.error}`);
    };
    introspectors.set(name, new Introspector({ issuer, rules, keys: keysOf(issuer), onEvent }));
  }
  let said: JsonObject | undefined;
  const introspect: Introspect = async (issuer, token, _now, asker) => {
    const answer = (await introspectors.get(issuer.name)?.ask(token, wallClock(), asker)) ?? 'unavailable';
    if (typeof answer === 'object') said = answer;
    return answer;
  };
  const close = () => Promise.all([...introspectors.values()].map((one) => one.close()));
  return { introspect, problems, answered: () => said, close };
}
