// Compilation of token exchange: the issuer's endpoint, and the audience of each route.

import type { TokenExchangeTerms } from '../../token/exchanged-token.ts';
import type { Issuer, TokenExchangeRules } from '../../token/issuer.ts';
import { compileClient } from './client.ts';
import { type Compilation, merged } from './compilation.ts';
import type { RouteConfig } from './demand.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';

type IssuerConfig = Config['issuers'][string];
type TermsConfig = NonNullable<Config['defaults']['forward']['token_exchange']>;

/** The rules of `token_exchange`; undefined where there are none, and after a problem with the credentials. Problems: those of compileClient. */
export function compileTokenExchange(
  compilation: Compilation,
  name: string,
  { token_exchange: config, insecure_http: insecure }: IssuerConfig,
): TokenExchangeRules | undefined {
  if (config === undefined) return undefined;
  const client = compileClient(compilation, ['issuers', name, 'token_exchange'], config, insecure);
  return client && { ...client, cache: config.cache };
}

/**
 * For whom a route asks for a token; undefined where it exchanges none, as public routes, which have none. Problems, on routes with
 * `authorization: exchange`: no `token_exchange` of the route or the defaults, and issuers that no token can be asked of.
 * @param issuers whose tokens the route takes
 */
export function compileExchangeTerms(
  compilation: Compilation,
  at: ConfigPath,
  config: RouteConfig,
  issuers: readonly Issuer[],
): TokenExchangeTerms | undefined {
  const { defaults } = compilation.read.config;
  const { require = defaults.require, forward } = config;
  const { authorization, token_exchange: terms } = merged(defaults.forward, forward);
  const own = forward?.authorization === 'exchange' ? [...at, 'forward', 'authorization'] : at;
  const problem = (message: string) => compilation.problem(own, message);
  if (authorization !== 'exchange') {
    const message = `is given although authorization is ${authorization}, expected authorization: exchange, or no token_exchange`;
    // Of an included file it is refused as such (ownership.ts).
    const counts = forward?.token_exchange !== undefined && compilation.read.includedBy(at) === undefined;
    if (counts) compilation.problem([...at, 'forward', 'token_exchange'], message);
    return undefined;
  }
  if (require === 'public') {
    if (own !== at) problem('is exchange on a public route, where no token is looked at, expected none');
    return undefined;
  }
  for (const { name } of issuers) {
    if (compilation.read.config.issuers[name]?.token_exchange !== undefined) continue;
    problem(`is exchange, and issuer ${name} has no token_exchange, expected one with client_id and credentials`);
  }
  if (terms !== undefined) return termsOf(terms);
  problem('is exchange, expected forward.token_exchange with the audience or resource of the upstream');
  return undefined;
}

function termsOf({ audience = [], resource = [], scope = [] }: TermsConfig): TokenExchangeTerms {
  const form = new URLSearchParams([
    ...audience.map((name) => ['audience', name]),
    ...resource.map((uri) => ['resource', uri]),
    ...(scope.length === 0 ? [] : [['scope', scope.join(' ')]]),
  ]).toString();
  return { audience, resource, scope, name: [...audience, ...resource].join(', '), form };
}
