// A compiled policy in plain words: what it demands, forwards and does not enforce.

import type { Config } from '../schema/schema.ts';
import { describeDestination, describeForward, nameDestination } from './describe-forwarding.ts';
import { formatBind } from '../../policy/addresses.ts';
import { describeConditions, hasConditions } from '../../policy/match.ts';
import type { CertificateSource, Demand, Listener, Policy, RequestLimits, Route } from '../../policy/policy.ts';
import type { TracingRules } from '../../policy/tracing.ts';
import type { AccessTokenMark } from '../../token/token-kind.ts';

/** What a route is in a few words, for a table; lists may be empty. */
export interface RouteSummary {
  /** undefined: every one. */
  readonly listeners: readonly string[] | undefined;
  readonly methods: readonly string[] | undefined;
  readonly host: string | undefined;
  readonly path: string;
  /** What it asks of fields and query. */
  readonly conditions: readonly string[];
  readonly requires: Demand['requirement'];
  readonly nonce: Demand['dpop']['nonce'];
  readonly shadow: Demand['requirement'] | undefined;
  readonly scope: string | undefined;
  readonly issuers: readonly string[];
  readonly rate: string | undefined;
  readonly cors: boolean;
  /** undefined: the proxy in front forwards. */
  readonly upstream: string | undefined;
}

/** One route in words; every list may be empty. */
export interface RouteDescription {
  readonly name: string;
  readonly summary: RouteSummary;
  readonly match: string;
  readonly upstream: string;
  readonly demands: readonly string[];
  readonly forwards: readonly string[];
  readonly shadow: readonly string[];
  /** What differs from the limits of its listeners. */
  readonly limits: readonly string[];
  readonly notEnforced: readonly string[];
}

export interface PolicyDescription {
  readonly listeners: readonly string[];
  readonly admin: string;
  readonly telemetry: string;
  /** undefined: nothing is traced. */
  readonly tracing: string | undefined;
  readonly routes: readonly RouteDescription[];
}

/** Describes a policy for `holdfast check`. Says nothing that is not in the policy; calls nobody. */
export function describePolicy(policy: Policy): PolicyDescription {
  return {
    listeners: policy.listeners.map(describeListener),
    admin: formatBind(policy.admin),
    telemetry: describeTelemetry(policy.telemetry),
    tracing: policy.tracing && describeTracing(policy.tracing),
    routes: policy.routes.map((route) => describeRoute(route, policy)),
  };
}

/** An entry of `include` in words. */
export function describeIncluded({ files, routes, upstreams }: Config['include'][number]): string {
  const where = routes.length === 0 ? 'no routes' : `routes at ${routes.join(', ')} and nowhere else`;
  return `${files}: ${where}${upstreams.length === 0 ? '' : `; may send to ${upstreams.join(', ')} of the main file`}`;
}

function describeTelemetry({ bind, hosts }: Policy['telemetry']): string {
  return hosts.length === 0 ? formatBind(bind) : `${formatBind(bind)}; also called ${hosts.join(', ')}`;
}

function describeTracing({ endpoint, sample, trust, clientAddress }: TracingRules): string {
  const parts = [
    `spans to ${endpoint}`,
    `${Number((sample * 100).toPrecision(3))} % of the traces that begin here`,
    trust === 'all' ? 'every traceparent is continued' : 'traceparent of trusted peers is continued',
    ...(clientAddress ? ["with clients' addresses"] : []),
  ];
  return parts.join('; ');
}

/** `10.0.0.1/32 as lb.internal (X-Forwarded-*)`. */
function describePeer({ cidr, certificateSan, forwarding }: Listener['trustedPeers'][number]): string {
  const fields = forwarding && { 'x-forwarded': ' (X-Forwarded-*)', forwarded: ' (Forwarded)' }[forwarding];
  return `${[cidr, certificateSan].filter(Boolean).join(' as ')}${fields ?? ''}`;
}

function describeListener(listener: Listener): string {
  const { name, bind, origins, tls, limits, clientCertificate, clientCertificateFrom, trustedPeers, proxyProtocol } =
    listener;
  const urls = origins.map(({ scheme, authority, pathPrefix }) => `${scheme}://${authority}${pathPrefix}`).join(', ');
  const transport =
    tls === undefined
      ? 'plain HTTP'
      : `TLS from ${tls.minVersion.replace('TLSv', '')} (${tls.profile ?? 'intermediate'})`;
  const { request, verify } = clientCertificate;
  const certificates =
    request === 'none' ? 'no client certificates' : `client certificates ${request}, verify: ${verify}`;
  const peers = trustedPeers.map(describePeer);
  const parts = [
    `${formatBind(bind)} as ${urls || 'any origin'}`,
    ...(proxyProtocol ? ['every connection begins with a PROXY header of a trusted peer'] : []),
    ...(listener.decides ? [`decides for another proxy (${listener.decides.dialect}), forwards nothing`] : []),
    transport,
    ...(tls?.sniHosts ? [`separate connections by SNI: ${[...tls.sniHosts].join(', ')}`] : []),
    `at most ${limits.connections} connections per worker; where all are taken, the client with the most makes room, ` +
      'one with more than a quarter even in the middle of a request',
    ...describeLimits(limits),
    certificates,
    ...(peers.length > 0 ? [`believes the forwarding fields of ${peers.join(', ')}`] : []),
    ...(clientCertificateFrom ? [`and their ${describeSource(clientCertificateFrom)}`] : []),
    ...(listener.fallThrough
      ? ['where no route of a path takes the method, fields and query, less specific paths of the host do']
      : []),
    ...(listener.explainToClients ? ['tells callers what was expected and received'] : []),
    ...(listener.interactionId ? [`every answer has ${listener.interactionId}`] : []),
  ];
  return `${name}: ${parts.join('; ')}`;
}

function describeSource({ field, format, element }: CertificateSource): string {
  if (element === undefined || element === 'only') return `${field} (${format})`;
  const which = element === 'last' ? 'the last element' : `the first of ${element} elements; fewer: no certificate`;
  return `${field} (${format}, ${which})`;
}

function describeRoute(route: Route, policy: Policy): RouteDescription {
  const { match, demand, shadow, rateLimit } = route;
  const where = [match.listeners && `on ${match.listeners.join(', ')}`, match.host ?? 'any host', match.path];
  return {
    name: route.name,
    summary: summarise(route),
    match: [
      (match.methods ?? ['any method']).join(' '),
      ...where.filter((part) => part !== undefined),
      ...(hasConditions(match) ? [`with ${describeConditions(match).join(', ')}`] : []),
    ].join(' '),
    upstream: describeDestination(route),
    demands: [...describeDemand(demand), ...(rateLimit ? [`rate: ${rateLimit.text}`] : [])],
    forwards: describeForward(route),
    shadow: shadow === undefined ? [] : describeDemand(shadow),
    limits: describeLimits(route.limits),
    notEnforced: missing(route, policy),
  };
}

function summarise(route: Route): RouteSummary {
  const { match, demand, shadow, rateLimit, cors } = route;
  return {
    listeners: match.listeners,
    methods: match.methods,
    host: match.host,
    path: match.path,
    conditions: describeConditions(match),
    requires: demand.requirement,
    nonce: demand.requirement === 'public' ? 'none' : demand.dpop.nonce,
    shadow: shadow?.requirement,
    scope: describeScope(demand),
    issuers: demand.issuers.map(({ name }) => name),
    rate: rateLimit?.text,
    cors: cors !== undefined,
    upstream: nameDestination(route),
  };
}

function describeScope({ scope }: Demand): string | undefined {
  return scope && `${scope.match === 'all' ? '' : 'any of '}${scope.scopes.join(' ')}`;
}

/** Of a listener all, of a route what it has in place of them. */
function describeLimits({ requestBody, uploadRate, downloadRate, rateGrace }: Partial<RequestLimits>): string[] {
  const slowest = (rate: number) => (rate === 0 ? 'at any rate' : `at ${formatBytes(rate)} a second or more`);
  return [
    ...(requestBody === undefined
      ? []
      : [
          `request bodies ${requestBody === Number.POSITIVE_INFINITY ? 'of any size' : `up to ${formatBytes(requestBody)}`}`,
        ]),
    ...(uploadRate === undefined ? [] : [`request bodies are sent ${slowest(uploadRate)}`]),
    ...(downloadRate === undefined ? [] : [`answers are taken ${slowest(downloadRate)}`]),
    ...(rateGrace === undefined ? [] : [`rates count after ${rateGrace} s of silence`]),
  ];
}

/** `10 MiB`; whole numbers of the largest unit that has them. */
function formatBytes(bytes: number): string {
  const units = ['GiB', 'MiB', 'KiB'];
  const at = units.findIndex((_, index) => bytes > 0 && bytes % 1024 ** (3 - index) === 0);
  return at === -1 ? `${bytes} B` : `${bytes / 1024 ** (3 - at)} ${units[at]}`;
}

const REQUIREMENTS: Readonly<Record<Demand['requirement'], string>> = {
  public: 'nothing: anybody may call it',
  token: 'an access token; one that is bound is held to its binding, an unbound one passes as Bearer',
  'sender-constrained': 'an access token bound to a DPoP key or a client certificate, and that key or certificate',
  dpop: 'an access token bound to a DPoP key, and a proof by that key for every request',
  mtls: 'an access token bound to a client certificate, and that certificate on the connection',
};

function describeDemand(demand: Demand): string[] {
  const { requirement, issuers, audience, scope, claims, acr, maxAuthAge, dpop, signature } = demand;
  if (requirement === 'public') return [REQUIREMENTS.public];
  const nonce = { none: '', required: ', with a nonce of ours', 'on-skew': ', a nonce where the clock is wrong' };
  return [
    REQUIREMENTS[requirement],
    ...issuers.flatMap(describeIssuer),
    ...issuers.flatMap(describeIntrospection),
    ...(audience ? [`and meant for ${audience.join(' or ')}`] : []),
    ...(requirement === 'mtls'
      ? []
      : [
          `proofs: at most ${dpop.maxAge} s old and ${dpop.clockTolerance} s ahead of our clock, ${dpop.algorithms.join(', ')}${nonce[dpop.nonce]}, each accepted once`,
        ]),
    ...(signature ? [describeSignature(signature)] : []),
    ...(scope ? [`scope: ${describeScope(demand)}`] : []),
    ...claims.map(({ name, anyOf }) => `claim ${name}: ${anyOf.join(' or ')}`),
    ...(acr.length > 0 ? [`acr: ${acr.join(' or ')}`] : []),
    ...(maxAuthAge === undefined ? [] : [`authenticated at most ${maxAuthAge} s ago`]),
  ];
}

function describeSignature({ components, tag, maxAge }: NonNullable<Demand['signature']>): string {
  const more = components.map((name) => `, ${name} where it is there`).join('');
  return (
    `a message signature by that key${tag === undefined ? '' : ` with tag ${tag}`} (RFC 9421): method, target with query, authorization, the proof, ` +
    `the digest of a body (RFC 9530)${more}; at most ${maxAge} s old, accepted once`
  );
}

function describeIssuer({
  issuer,
  audience,
  audienceClaim,
  algorithms,
  accessToken,
  clockTolerance,
}: Demand['issuers'][number]): string[] {
  const instead = audienceClaim === 'aud' ? '' : ` (in ${audienceClaim} where there is no aud)`;
  return [
    `issued by ${issuer} for ${audience.join(' or ')}${instead}, signed with ${algorithms.join(', ')}, its times within ${clockTolerance} s of our clock`,
    ...(accessToken === undefined ? [] : [`access tokens of ${issuer}: ${describeMark(accessToken)}`]),
  ];
}

/** What marks access tokens, in words. */
export function describeMark(mark: AccessTokenMark): string {
  if (mark === 'any') return 'all that do not say that they are something else';
  return mark
    .map(({ claim, anyOf }) => `${claim}: ${anyOf === undefined ? 'any value' : anyOf.join(' or ')}`)
    .join(', ');
}

function describeIntrospection({ issuer, introspection }: Demand['issuers'][number]): string[] {
  if (introspection === undefined) return [];
  const { endpoint = 'its metadata', always, cache, clientId, credentials, signed, accessToken } = introspection;
  const tokens = always ? 'opaque tokens and every JWT' : 'opaque tokens';
  const where = `at the endpoint of ${endpoint}`.replace('the endpoint of http', 'http');
  return [
    `${tokens}: ${issuer} is asked ${where} (RFC 7662) by ${clientId} with ${credentials.method}; an answer counts ${cache} s`,
    ...(signed ? ['answers are signed by the issuer (RFC 9701)'] : []),
    ...(accessToken === undefined ? [] : [`access tokens in its answers: ${describeMark(accessToken)}`]),
  ];
}

function revocation({ issuers, audience }: Demand): string[] {
  const asked = issuers.filter(({ introspection }) => introspection !== undefined);
  const later = asked.map(
    ({ introspection }) =>
      `revocation at once: for ${introspection?.cache} s a token counts as its issuer said${introspection?.always ? '' : '; a signed one until it expires'}`,
  );
  const whose = 'audience of opaque tokens whose issuer names none: give the route an audience to demand one';
  return [
    ...later,
    ...(asked.length < issuers.length ? ['revocation: a signed token counts until it expires'] : []),
    ...(asked.length > 0 && audience === undefined ? [whose] : []),
  ];
}

/** What is taken from an issuer's word where a claim would say it. */
function trusted({ issuer, accessToken, audienceClaim, introspection }: Demand['issuers'][number]): string[] {
  return [
    ...(accessToken === 'any'
      ? [`kind of token: an ID token of ${issuer} that does not say what it is passes (access_token: any)`]
      : []),
    ...(introspection?.accessToken === 'any'
      ? [`kind of token: what ${issuer} calls active is taken for an access token (introspection.access_token: any)`]
      : []),
    ...(audienceClaim === 'aud'
      ? []
      : [`audience: a token of ${issuer} without aud passes by its ${audienceClaim}, whichever API it is for`]),
  ];
}

/** What somebody might take for granted and this route does not do. */
function missing({ demand, match, encodedSlash, own }: Route, { listeners }: Policy): string[] {
  const { requirement, dpop, scope, claims, signature } = demand;
  if (requirement === 'public')
    return [own === undefined ? 'anything: the upstream gets no identity, and has to decide by itself' : 'anything'];
  const proofs = requirement !== 'mtls';
  const here = listeners.filter(({ name }) => match.listeners?.includes(name) ?? true);
  const possession = here.some(
    ({ clientCertificate: { request, verify } }) => request !== 'none' && verify === 'possession',
  );
  return [
    ...(requirement === 'token' ? ['possession: anyone who holds an unbound token may use it'] : []),
    ...(scope === undefined && claims.length === 0
      ? ['authorization: every token of these issuers and audiences passes']
      : []),
    ...(proofs && dpop.nonce === 'none'
      ? ['nonces: proofs made in advance pass until they are too old (RFC 9449 §11.2)']
      : []),
    ...(proofs && dpop.nonce === 'on-skew'
      ? ['nonces: on-skew only helps wrong clocks; proofs made in advance pass']
      : []),
    ...(possession ? ['trust in client certificates: verify is possession, only their key counts'] : []),
    ...(encodedSlash ? ['one reading of %2F: an upstream that decodes it sees another path'] : []),
    ...demand.issuers.flatMap(trusted),
    ...revocation(demand),
    ...(hasConditions(match) ? ['the match: fields and query are what the client writes'] : []),
    ...(signature
      ? [
          'the beginning of a body over 64 KiB: it reaches the upstream before the digest is known; the end of another body never does',
          'what a WebSocket carries: the signature covers its request alone',
        ]
      : []),
    ...(proofs && !signature ? ['body and query: a proof covers method, scheme, host and path (RFC 9449 §11.7)'] : []),
  ];
}
