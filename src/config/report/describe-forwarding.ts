// The way to the upstream in plain words: where requests go, and what is changed on it.

import type { FieldEdits } from '../../policy/edits.ts';
import type { Demand, Route } from '../../policy/policy.ts';
import { metadataUri } from '../../policy/protected-resource.ts';
import { formatTarget } from '../../policy/addresses.ts';
import type { OwnAnswer } from '../../policy/own-answer.ts';
import { type Mirror, NO_UPSTREAM, type Upstream, type UpstreamShare } from '../../policy/upstream.ts';

/** Where requests of a route go; of several upstreams each with its share. */
export function describeDestination({ upstream, split, own }: Pick<Route, 'upstream' | 'split' | 'own'>): string {
  if (own !== undefined) return `the gateway itself: ${describeOwn(own)}`;
  if (split === undefined) return describeUpstream(upstream);
  return split
    .map((share) => `${shareOf(share, split)} to ${share.upstream ? describeUpstream(share.upstream) : 'nowhere: 500'}`)
    .join(', ');
}

/** `orders 90 %, canary 10 %`, or the name of the only one; undefined: the proxy in front forwards. */
export function nameDestination({
  upstream,
  split,
  own,
}: Pick<Route, 'upstream' | 'split' | 'own'>): string | undefined {
  if (own !== undefined) return `${own.kind} ${own.status}`;
  if (split !== undefined)
    return split.map((share) => `${share.upstream?.name ?? 'nowhere'} ${shareOf(share, split)}`).join(', ');
  return upstream.name === NO_UPSTREAM.name ? undefined : upstream.name;
}

/** `503 with 12 characters of text/plain`, or `302 to https://www.example.com` with what stays of the request's own URI. */
function describeOwn(own: OwnAnswer): string {
  if (own.kind === 'respond') {
    const body = own.contentType === undefined ? 'no body' : `${own.body.length} characters of ${own.contentType}`;
    return `${own.status} with ${body}`;
  }
  const { status, scheme = 'the same scheme', host = 'the same host', path } = own;
  const port = own.port ?? (own.scheme === undefined ? 'the same port' : 'its default port');
  const stays = own.scheme === undefined && own.host === undefined && own.port === undefined;
  const origin = stays ? 'the same origin' : `${scheme}, ${host}, ${port}`;
  const where =
    path === undefined
      ? 'the same path'
      : path.part === 'whole'
        ? path.to
        : `${path.to || '/'} and the rest of the path`;
  return `${status} to ${origin}, ${where}, with the query`;
}

/** `12.5 %` */
function shareOf({ weight }: UpstreamShare, split: readonly UpstreamShare[]): string {
  const sum = split.reduce((total, share) => total + share.weight, 0);
  return `${sum === 0 ? 0 : Number(((weight / sum) * 100).toPrecision(3))} %`;
}

/** `orders (http://127.0.0.1:9000)`, with what else decides where a request goes. */
function describeUpstream(upstream: Upstream): string {
  if (upstream.name === NO_UPSTREAM.name) return 'none: the proxy in front forwards';
  const { name, targets, balance, health, circuit, connections, tunnels, http2 } = upstream;
  const parts = [
    targets.map(formatTarget).join(', ') || 'no target: every request is refused with 503',
    ...(targets.length > 1 ? [balance] : []),
    `${targets.length > 1 ? 'each ' : ''}${connections} connections ${http2 ? 'of up to 100 requests ' : ''}and ${tunnels} WebSockets per worker, of which one client gets at most two thirds`,
    ...(health ? [`GET ${health.path} every ${health.interval} s`] : []),
    ...(circuit ? [`left alone for ${circuit.open} s after ${circuit.failures} failures in a row`] : []),
  ];
  return `${name} (${parts.join('; ')})`;
}

/** What an upstream gets of a request, one part each. */
export function describeForward(route: Route): string[] {
  const { demand, forward, cors, resource } = route;
  const isPublic = demand.requirement === 'public';
  const credentials = {
    remove: 'without Authorization and DPoP',
    'as-received': 'with Authorization and DPoP as received',
    bearer: 'with the access token as Bearer, without the proof',
    exchange: `with another access token as Bearer, ${describeExchange(forward.exchange, demand.issuers)}`,
  };
  const identity = forward.identity.map(
    ({ field, source }) => `${field}: ${'fact' in source ? `@${source.fact}` : source.claims.join(' or ')}`,
  );
  const toUpstream = [
    credentials[isPublic ? 'as-received' : forward.authorization],
    ...(isPublic ? [] : identity),
    ...forward.clientCertificate.map(({ format, field }) => `${field}: the client's certificate (${format})`),
    ...describeRetries(route),
    ...(route.mirrors ?? []).map(describeMirror),
    ...describeRewrite(route),
    ...describeEdits('to the upstream', route.requestFields),
  ];
  return [
    ...(route.own === undefined ? toUpstream : []),
    ...describeEdits('in its answers', route.responseFields),
    ...(cors ? [`CORS for ${cors.origins.join(', ')}`] : []),
    ...(resource
      ? [
          `part of the resource ${resource.identifier}, described at ${metadataUri(resource.identifier)}${signedBy(resource)}`,
        ]
      : []),
  ];
}

function describeRetries({ retries }: Route): string[] {
  if (retries === undefined) return [];
  const { codes, attempts, backoff } = retries;
  return [
    `sent again after ${codes.join(', ')}, ${attempts} times at most, first after ${backoff} s, where it may arrive twice`,
  ];
}

function describeMirror({ upstream, share }: Mirror): string {
  const part = share === 1 ? 'every request' : `${Number((share * 100).toPrecision(3))} % of the requests`;
  return `a copy of ${part} to ${describeUpstream(upstream)}, without credentials; its answer is dropped`;
}

function describeRewrite({ match, path, host }: Route): string[] {
  const front = (segments: number) =>
    match.path
      .split('/')
      .slice(0, segments + 1)
      .join('/');
  const ofPath =
    path === undefined
      ? []
      : path.part === 'whole'
        ? [`path: ${path.to} in place of any`]
        : path.to === ''
          ? [`${front(path.segments)} cut from the front of the path`]
          : [`${path.to} in place of ${front(path.segments) || '/'} at the front of the path`];
  return [...ofPath, ...(host === undefined ? [] : [`Host: ${host}`])];
}

/** Names alone: a value may be a secret. */
function describeEdits(where: string, edits: FieldEdits | undefined): string[] {
  const names = (list: FieldEdits['set']) => list.map(([name]) => name).join(', ');
  return [
    ...(edits?.set.length ? [`fields set ${where}: ${names(edits.set)}`] : []),
    ...(edits?.add.length ? [`fields added ${where}: ${names(edits.add)}`] : []),
    ...(edits?.remove.length ? [`fields removed ${where}: ${edits.remove.join(', ')}`] : []),
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
