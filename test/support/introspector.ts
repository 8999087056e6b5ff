// An introspector for tests, and servers that record its questions.

import type { IncomingMessage } from 'node:http';
import type { TestContext } from 'node:test';
import { type IntrospectionEvent, type IntrospectionLimits, Introspector } from '../../src/issuer/introspection.ts';
import type { ClientCredentials, IntrospectionRules } from '../../src/token/issuer.ts';
import type { KeySource } from '../../src/token/issuer-signature.ts';
import { json, makeIssuer, type Served } from './issuer-server.ts';

/** Seconds since the epoch. */
export const NOW = 1_800_000_000;
export const SECRET: ClientCredentials = { method: 'client_secret_basic', secret: 'sécret: 100%' };
export const JSON_FIELDS = { 'content-type': 'application/json' };

/** What an issuer was asked. */
export interface Asked {
  readonly path: string | undefined;
  readonly method: string | undefined;
  readonly fields: IncomingMessage['headers'];
  readonly body: URLSearchParams;
}

export interface Wishes {
  readonly rules?: Partial<IntrospectionRules>;
  readonly limits?: Partial<IntrospectionLimits>;
  readonly issuer?: Parameters<typeof makeIssuer>[1];
  readonly keys?: KeySource;
}

const NO_KEYS: KeySource = { current: () => undefined, refreshFor: async () => {} };

/** An introspector that asks this server at /introspect. */
export function introspector(
  t: TestContext,
  server: Pick<Served, 'origin'>,
  { rules, limits, issuer, keys = NO_KEYS }: Wishes = {},
) {
  const events: IntrospectionEvent[] = [];
  const asking = new Introspector({
    issuer: makeIssuer({ from: 'discovery', uri: undefined }, { issuer: server.origin, ...issuer }),
    rules: {
      endpoint: `${server.origin}/introspect`,
      clientId: 'gate way',
      credentials: SECRET,
      accessToken: undefined,
      signed: false,
      always: false,
      cache: 30,
      ...rules,
    },
    keys,
    onEvent: (event) => events.push(event),
    ...(limits && { limits }),
  });
  t.after(() => asking.close());
  const errors = () => events.flatMap((event) => (event.result === 'failed' ? [event.error] : []));
  const ask = async (token: string, now = NOW) => asking.ask(token, now);
  return { asking, ask, events, errors, results: () => events.map(({ result }) => result) };
}

/** Answers after the whole question is there. */
export function answering(
  asked: Asked[],
  answer: Served['answer'] = json({ active: true }, JSON_FIELDS),
): Served['answer'] {
  return (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const { method, url: path, headers: fields } = request;
      asked.push({ path, method, fields, body: new URLSearchParams(body) });
      answer(request, response);
    });
  };
}
export const active = (claims: object = {}) => json({ active: true, ...claims }, JSON_FIELDS);
