// The way to the upstream in plain words: where requests go, and what is changed on it.

import type { Demand, Route } from '../../policy/policy.ts';
import { metadataUri } from '../../policy/protected-resource.ts';
import { NO_UPSTREAM, type Target, type Upstream } from '../../policy/upstream.ts';

/** `http://127.0.0.1:9000` or `unix:/run/orders.sock`. */
export function formatTarget({ origin, socketPath }: Target): string {
  return socketPath === undefined ? origin : `unix:${socketPath}`;
}

/** `orders (http://127.0.0.1:9000)`, with what else decides where a request goes. */
export function describeUpstream(upstream: Upstream): string {
  if (upstream.name === NO_UPSTREAM.name) return 'none: the proxy in front forwards';
  const { name, targets, balance, health, circuit, connections, tunnels, http2 } = upstream;
  const parts = [
    targets.map(formatTarget).join(', '),
    ...(targets.length > 1 ? [balance] : []),
    `${targets.length > 1 ? 'each ' : ''}${connections} connections ${http2 ? 'of up to 100 requests ' : ''}and ${tunnels} WebSockets per worker, of which one client gets at most two thirds`,
    ...(health ? [`GET ${health.path} every ${health.interval} s`] : []),
    ...(circuit ? [`left alone for ${circuit.open} s after ${circuit.failures} failures in a row`] : []),
  ];
  return `${name} (${parts.join('; ')})`;
}

/** What an upstream gets of a request, one part each. */
export function describeForward({ demand, forward, cors, stripPrefix, resource }: Route): string[] {
  const isPublic = demand.requirement === 'public';
  const credentials = {
    remove: 'without Authorization and DPoP',
    'as-received': 'with Authorization and DPoP as received',
    bearer: 'with the access token as Bearer, without the proof',
    exchange: `with another access token as Bearer, ${describeExchange(forward.exchange, demand.issuers)}`,
  };
  return [
    credentials[isPublic ? 'as-received' : forward.authorization],
    ...(isPublic
      ? []
      : forward.identity.map(
          ({ field, source }) => `${field}: ${'fact' in source ? `@${source.fact}` : source.claims.join(' or ')}`,
        )),
    ...forward.clientCertificate.map(({ format, field }) => `${field}: the client's certificate (${format})`),
    ...(stripPrefix === undefined ? [] : [`${stripPrefix} cut from the front of the path`]),
    ...(cors ? [`CORS for ${cors.origins.join(', ')}`] : []),
    ...(resource
      ? [
          `part of the resource ${resource.identifier}, described at ${metadataUri(resource.identifier)}${signedBy(resource)}`,
        ]
      : []),
  ];
}

/** Who attests the document. */
function signedBy({ signedBy: issuer }: NonNullable<Route['resource']>): string {
  return issuer === undefined ? '' : `, signed by ${issuer} (RFC 9728 §2.2)`;
}

/** `for orders (scope read), got from https://login.example.com in exchange for the client's (RFC 8693)`. */
function describeExchange(terms: Route['forward']['exchange'], issuers: Demand['issuers']): string {
  const { name = '', scope = [] } = terms ?? {};
  const scopes = scope.length === 0 ? '' : ` (scope ${scope.join(' ')})`;
  const from = issuers.map(({ issuer, tokenExchange }) => {
    const { clientId, credentials, cache, endpoint = 'its metadata' } = tokenExchange ?? {};
    const where = `at the endpoint of ${endpoint}`.replace('the endpoint of http', 'http');
    return `${issuer} ${where} by ${clientId} with ${credentials?.method}, used ${cache} s at most`;
  });
  return `for ${name}${scopes}, got in exchange for the client's (RFC 8693) from ${from.join('; ')}`;
}
