// The attributes of spans: OpenTelemetry's names for HTTP, and ours for the decision.

import { pathOf, type RequestLine } from './log.ts';
import type { ExchangeStep, TraceRecord } from './trace-record.ts';

export type SpanAttributes = Record<string, string | number>;

/** Methods that the conventions know; whatever else a client writes is one word. */
const METHODS = new Set(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE']);
const OTHER_METHOD = '_OTHER';

/**
 * Name and attributes of the span of an exchange (HTTP server spans, stable). Nothing is in them that the log does not have: no query,
 * token, proof or claim.
 * @param clientAddress whether the client's address is among them
 */
export function serverAttributes(
  { line, scheme, httpVersion, pathPattern }: TraceRecord,
  clientAddress: boolean,
): { readonly name: string; readonly attributes: SpanAttributes } {
  const { route, rejection, client } = line;
  const method = methodOf(line);
  const attributes = present({
    'http.request.method': method,
    'http.response.status_code': line.status,
    'http.route': pathPattern,
    'url.path': pathOf(line.target),
    'url.scheme': scheme,
    'network.protocol.version': httpVersion === '2.0' ? '2' : httpVersion,
    ...serverOf(line.host),
    'client.address': clientAddress ? client : undefined,
    'error.type': hasFailed(line) ? (rejection?.reason ?? line.outcome) : undefined,
    'holdfast.request_id': line.requestId,
    'holdfast.listener': line.listener.name,
    'holdfast.route': route?.name,
    'holdfast.scheme': line.scheme,
    'holdfast.binding': line.binding,
    'holdfast.outcome': line.outcome,
    'holdfast.reason': rejection?.reason,
    'holdfast.stage': rejection?.stage,
  });
  const word = method === OTHER_METHOD ? 'HTTP' : method;
  return { name: pathPattern === undefined ? word : `${word} ${pathPattern}`, attributes };
}

/** Whether the gateway failed its client; a refusal is no failure (HTTP spans: 4xx of a server are none). */
export function hasFailed({ status = 0, outcome }: Pick<RequestLine, 'status' | 'outcome'>): boolean {
  return status >= 500 || outcome === 'upstream_failed' || outcome === 'stopped';
}

export function stepAttributes({ issuer }: ExchangeStep): SpanAttributes {
  return issuer === undefined ? {} : { 'holdfast.issuer': issuer };
}

/** Of the span of a forwarding (HTTP client spans). Without `url.full`, which has the query in it. */
export function upstreamAttributes({ line, upstream }: TraceRecord): {
  readonly name: string;
  readonly attributes: SpanAttributes;
  readonly failed: boolean;
} {
  const { rejection, outcome } = line;
  const method = methodOf(line);
  const ofUpstream = rejection?.stage === 'upstream' || outcome === 'upstream_failed';
  const answered = rejection === undefined && line.status !== undefined;
  const failed = ofUpstream || (answered && line.status >= 400);
  const attributes = present({
    'http.request.method': method,
    'http.response.status_code': answered ? line.status : undefined,
    'http.request.resend_count': upstream !== undefined && upstream.count > 1 ? upstream.count - 1 : undefined,
    'error.type': failed ? (rejection?.reason ?? (ofUpstream ? outcome : String(line.status))) : undefined,
    ...targetOf(upstream?.target ?? ''),
    'holdfast.upstream': upstream?.name,
  });
  return { name: method === OTHER_METHOD ? 'HTTP' : method, attributes, failed };
}

function methodOf({ method }: Pick<RequestLine, 'method'>): string {
  return METHODS.has(method) ? method : OTHER_METHOD;
}

/** An authority as the client called it, without the default port. */
function serverOf(authority: string | undefined) {
  const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::([0-9]+))?$/.exec(authority ?? '') ?? [];
  return { 'server.address': host || undefined, 'server.port': port === undefined ? undefined : Number(port) };
}

/** `http://127.0.0.1:9000` or `unix:/run/orders.sock`, as configured. */
function targetOf(target: string) {
  if (target.startsWith('unix:')) return { 'server.address': target.slice('unix:'.length) };
  const url = URL.parse(target);
  if (url === null) return {};
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { 'server.address': url.hostname, 'server.port': port, 'url.scheme': url.protocol.slice(0, -1) };
}

function present(all: Readonly<Record<string, string | number | undefined>>): SpanAttributes {
  const entries = Object.entries(all).filter((entry): entry is [string, string | number] => entry[1] !== undefined);
  return Object.fromEntries(entries);
}
