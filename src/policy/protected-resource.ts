// Protected resource metadata (RFC 9728): one document per resource identifier.

import { readTargetUri } from '../http/uri.ts';
import type { Route } from './policy.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** RFC 9728 §3.1: between host and path; a lone slash behind the host goes. */
export function metadataUri(identifier: string): string {
  const [, origin = '', rest = ''] = /^(https?:\/\/[^/?#]+)(.*)$/i.exec(identifier) ?? [];
  return `${origin}${WELL_KNOWN}${rest === '/' ? '' : rest.replace(/^\/(?=\?)/, '')}`;
}

/** The same in the form in which request URIs are compared (RFC 3986 §6.2.2): a client leaves out `:443`, and may spell `%7E` as `~`. */
export function metadataKey(identifier: string): string {
  const [, uri = '', query = ''] = /^([^?]*)(.*)$/s.exec(metadataUri(identifier)) ?? [];
  return `${readTargetUri(uri) ?? uri}${query}`;
}

/** Whether a path may be one of these documents: a cheap look before any other. */
export function isMetadataPath(path: string): boolean {
  return path.startsWith(WELL_KNOWN);
}

/** Parameters → the same as a compact JWS whose claims they are (RFC 9728 §2.2). */
export type SignMetadata = (parameters: object) => string;

/**
 * Documents as JSON text, by their URIs. Routes with the same identifier are one resource: lists are put together, and a demand is
 * stated only where all of them have it (RFC 9728 §2).
 * @param signers by identifier, of the resources that have `signed_metadata`
 */
export function compileMetadata(
  routes: readonly Route[],
  signers: ReadonlyMap<string, SignMetadata>,
): ReadonlyMap<string, string> {
  const resources = Map.groupBy(
    routes.filter(({ resource }) => resource !== undefined),
    ({ resource }) => resource?.identifier ?? '',
  );
  return new Map(
    [...resources].map(([identifier, parts]) => {
      const document = documentOf(identifier, parts);
      const signed = signers.get(identifier)?.(document);
      return [metadataKey(identifier), JSON.stringify({ ...document, signed_metadata: signed })];
    }),
  );
}

function documentOf(identifier: string, routes: readonly Route[]): object {
  const demands = routes.map(({ demand }) => demand);
  const scopes = routes.flatMap(({ resource, demand }) => resource?.scopesSupported ?? demand.scope?.scopes ?? []);
  const proofs = demands.filter(({ requirement }) => requirement !== 'public' && requirement !== 'mtls');
  return withoutEmpty({
    resource: identifier,
    authorization_servers: unique(demands.flatMap(({ issuers }) => issuers.map(({ issuer }) => issuer))).filter(
      (issuer) => URL.canParse(issuer),
    ),
    scopes_supported: unique(scopes),
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: unique(proofs.flatMap(({ dpop }) => dpop.algorithms)),
    dpop_bound_access_tokens_required: demands.every(({ requirement }) => requirement === 'dpop'),
    tls_client_certificate_bound_access_tokens: demands.every(({ requirement }) => requirement === 'mtls'),
    ...Object.fromEntries(routes.flatMap(({ resource }) => Object.entries(resource?.written ?? {}))),
  });
}

const unique = (values: readonly string[]) => [...new Set(values)];

/** RFC 9728 §3.2: parameters without a value are left out; false is the default of both flags. */
function withoutEmpty(parameters: Readonly<Record<string, unknown>>): object {
  const given = Object.entries(parameters).filter(
    ([, value]) => value !== false && !(Array.isArray(value) && value.length === 0),
  );
  return Object.fromEntries(given);
}
