// Compilation of issuers: their names, where their keys come from, what marks their tokens.

import { decodeText } from '../../http/content.ts';
import type { Issuer } from '../../token/issuer.ts';
import { compileAccessToken } from './access-token.ts';
import type { Compilation } from './compilation.ts';
import { isLoopback } from '../../http/address.ts';
import { compileIntrospection } from './introspection.ts';
import { authoritiesAt } from './pem.ts';
import { compileTokenExchange } from './token-exchange.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';

type IssuerConfig = Config['issuers'][string];

/**
 * All issuers by name. Problems: http beyond loopback without `insecure_http` (RFC 8414 §2 wants https), a key file that is no
 * key set, an unreadable CA file. NOT checked: that the issuer answers, and which keys it has.
 */
export function compileIssuers(compilation: Compilation): ReadonlyMap<string, Issuer> {
  const entries = Object.entries(compilation.read.config.issuers);
  return new Map(entries.map(([name, config]) => [name, compileIssuer(compilation, name, config)]));
}

function compileIssuer(compilation: Compilation, name: string, config: IssuerConfig): Issuer {
  const at = ['issuers', name];
  if (config.audience_claim !== 'aud') {
    const message = `lets tokens without aud pass by ${config.audience_claim}, which may name the client that a token was issued to and not the API it is for`;
    compilation.warning([...at, 'audience_claim'], message);
  }
  checkIdentifier(compilation, at, config);
  return {
    name,
    issuer: config.issuer,
    audience: config.audience,
    keys: compileKeys(compilation, [...at, 'keys'], config),
    ca: authoritiesAt(compilation, [...at, 'ca_file']),
    insecureHttp: config.insecure_http,
    algorithms: config.algorithms,
    requireTyp: config.require_typ,
    accessToken: compileAccessToken(compilation, [...at, 'access_token'], config.access_token),
    audienceClaim: config.audience_claim,
    scopeClaim: config.scope_claim,
    clockTolerance: config.clock_tolerance,
    requiredForReady: config.required_for_ready && compilation.read.includedBy(at) === undefined,
    introspection: compileIntrospection(compilation, name, config),
    tokenExchange: compileTokenExchange(compilation, name, config),
  };
}

/** Entra ID's names of all tenants at once, which stand in metadata and never in a token. */
const EVERY_TENANT = /[{}]|^https:\/\/login\.microsoftonline\.[a-z.]+\/(?:common|organizations|consumers)(?:\/|$)/;

/** Only an issuer at which something is discovered has to be a URL, and https (RFC 8414 §2): what stands in `iss` is a name. */
function checkIdentifier(compilation: Compilation, at: ConfigPath, config: IssuerConfig): void {
  const { issuer, keys, introspection, token_exchange: exchange, insecure_http: insecure } = config;
  if (EVERY_TENANT.test(issuer)) {
    const message = 'stands for many tenants, and no token has it in iss';
    return compilation.problem(
      [...at, 'issuer'],
      `${message}, expected one issuer for each tenant whose tokens count, with the ID of the tenant in its place`,
    );
  }
  const asked = [introspection, exchange].some((one) => one !== undefined && one.endpoint === undefined);
  const elsewhere = typeof keys === 'object' && keys.discovery_uri !== undefined;
  if (keys !== 'discovery' && (!asked || elsewhere)) return;
  if (URL.canParse(issuer) && /^https?:/.test(issuer))
    return checkScheme(compilation, [...at, 'issuer'], issuer, insecure);
  const missing =
    introspection !== undefined && introspection.endpoint === undefined ? 'introspection' : 'token_exchange';
  const where =
    keys === 'discovery' ? 'keys: { jwks_uri: … }, { discovery_uri: … } or { jwks_file: … }' : `${missing}.endpoint`;
  compilation.problem([...at, 'issuer'], `is not a URL, so nothing can be discovered there, expected ${where} as well`);
}

function compileKeys(compilation: Compilation, at: ConfigPath, { keys, insecure_http }: IssuerConfig): Issuer['keys'] {
  if (keys === 'discovery') return { from: 'discovery', uri: undefined };
  for (const key of ['discovery_uri', 'jwks_uri'] as const) {
    if (keys[key] !== undefined) checkScheme(compilation, [...at, key], keys[key], insecure_http);
  }
  if (keys.jwks_uri !== undefined) return { from: 'jwks_uri', uri: keys.jwks_uri };
  if (keys.discovery_uri !== undefined) return { from: 'discovery', uri: keys.discovery_uri };
  const fileAt = [...at, 'jwks_file'];
  const file = compilation.fileAt(fileAt);
  if (file !== undefined && !hasKeys(file.content)) {
    compilation.problem(
      fileAt,
      'is not a valid key set, expected a JSON file { "keys": [ … ] } with at least one key (RFC 7517 §5)',
    );
  }
  return { from: 'jwks_file', file: file?.path ?? '', ...(file?.inline && { content: file.content }) };
}

function checkScheme(compilation: Compilation, at: ConfigPath, written: string, insecureHttp: boolean): void {
  const url = new URL(written);
  if (url.protocol === 'https:' || insecureHttp || isLoopback(url.hostname)) return;
  compilation.problem(
    at,
    'is http beyond loopback, where keys can be replaced on the way, expected https, or insecure_http: true on the issuer',
  );
}

function hasKeys(content: Buffer): boolean {
  try {
    const set: unknown = JSON.parse(decodeText(content));
    return typeof set === 'object' && set !== null && 'keys' in set && Array.isArray(set.keys) && set.keys.length > 0;
  } catch {
    return false; // no JSON: the caller says what was expected
  }
}
