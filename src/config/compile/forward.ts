// Compilation of what the upstream sees: identity and certificate fields, removed fields.

import type { Issuer } from '../../token/issuer.ts';
import type { IdentityRule, IdentitySource } from '../../token/identity.ts';
import { compileAssertion } from './assertion.ts';
import { type Compilation, merged } from './compilation.ts';
import type { RouteConfig } from './demand.ts';
import { compileExchangeTerms } from './token-exchange.ts';
import { checkRemovableField, checkSettableField } from './field.ts';
import type { ConfigPath } from '../problem.ts';
import type { ForwardRules } from '../../policy/policy.ts';
import type { Config } from '../schema/schema.ts';

type ForwardConfig = Config['defaults']['forward'];
type Fact = Extract<IdentitySource, { fact: string }>['fact'];

/**
 * `forward` of a route over that of the defaults; `identity` field by field, names in any case. Problems: fields that cannot be
 * set, one field set twice, and identities of several issuers without the issuer beside them (a subject is unique only
 * together with its issuer, RFC 7519 §4.1.2).
 * @param issuers whose tokens the route takes
 * @param upstream its name; '': none
 */
export function compileForward(
  compilation: Compilation,
  at: ConfigPath,
  config: RouteConfig,
  { issuers, upstream }: { readonly issuers: readonly Issuer[]; readonly upstream: string },
): ForwardRules {
  const { forward: defaults } = compilation.read.config.defaults;
  const forward: ForwardConfig = merged(defaults, {
    ...config.forward,
    identity: mergeFields(defaults.identity, config.forward?.identity ?? {}),
  });
  const identity = Object.entries(forward.identity).map(([field, source]) => compileIdentity(field, source));
  const toldApart = identity.some(({ source }) => 'fact' in source && source.fact === 'issuer');
  if (issuers.length > 1 && identity.length > 0 && !toldApart) {
    compilation.problem(
      [...at, 'forward', 'identity'],
      'has no field with "@issuer" although several issuers can reach this route, expected one such as X-Auth-Issuer: "@issuer"',
    );
  }
  checkOnce(compilation, at, forward);
  const assertionAt = [...(config.forward?.assertion ? at : ['defaults']), 'forward', 'assertion'];
  return {
    host: forward.host,
    authorization: forward.authorization,
    exchange: compileExchangeTerms(compilation, at, config, issuers),
    identity,
    encoding: forward.encoding,
    remove: forward.remove.map((name) => name.toLowerCase()),
    clientCertificate: forward.client_certificate,
    assertion: forward.assertion && compileAssertion(compilation, assertionAt, forward.assertion, upstream),
  };
}

/** Checks the fields where they are written: those of the defaults once, those of a route with the route. */
export function checkFields(
  compilation: Compilation,
  at: ConfigPath,
  forward: NonNullable<RouteConfig['forward']>,
): void {
  for (const field of Object.keys(forward.identity ?? {}))
    checkSettableField(compilation, [...at, 'identity', field], field);
  for (const [index, { field, format }] of (forward.client_certificate ?? []).entries()) {
    const where = [...at, 'client_certificate', index, 'field'];
    checkSettableField(compilation, where, field);
    if (format !== 'rfc9440' && /^client-cert(?:-chain)?$/i.test(field)) {
      compilation.problem(where, 'is a field of RFC 9440, expected format: rfc9440, or a field of another name');
    }
  }
  for (const [index, name] of (forward.remove ?? []).entries()) {
    checkRemovableField(compilation, [...at, 'remove', index], name);
  }
}

function checkOnce(compilation: Compilation, at: ConfigPath, forward: ForwardConfig): void {
  const certificates = forward.client_certificate.flatMap(({ format, field }) =>
    format === 'rfc9440' && field.toLowerCase() === 'client-cert' ? [field, 'Client-Cert-Chain'] : [field],
  );
  const seen = new Set<string>();
  for (const field of [...Object.keys(forward.identity), ...certificates]) {
    if (seen.has(field.toLowerCase())) {
      compilation.problem([...at, 'forward'], `sets ${field} twice, expected each field once`);
    }
    seen.add(field.toLowerCase());
  }
}

function mergeFields(under: ForwardConfig['identity'], over: ForwardConfig['identity']): ForwardConfig['identity'] {
  const replaced = new Set(Object.keys(over).map((field) => field.toLowerCase()));
  const kept = Object.entries(under).filter(([field]) => !replaced.has(field.toLowerCase()));
  return { ...Object.fromEntries(kept), ...over };
}

function compileIdentity(field: string, source: ForwardConfig['identity'][string]): IdentityRule {
  if (typeof source !== 'string') return { field, source: { claims: source } };
  if (source.startsWith('@')) return { field, source: { fact: source.slice(1) as Fact } };
  return { field, source: { claims: [source] } };
}
