// Readers of HTTPRoutes and GRPCRoutes: rules, matches, filters and backends.

import { everyPart, integer, type Json, mapping, mappings, asText, texts, unknownMembers } from './json.ts';
import type { AttachedRoute, BackendReference, Condition, Filter, RouteMatchSpec, RouteRule } from './objects.ts';
import { readMeta, readParentReference, readReference, readReporters } from './read-common.ts';

const SERVICE = { group: '', kind: 'Service' };
/** Members of a rule that are known, or that change nothing about which requests go where. */
const RULE = ['name', 'matches', 'filters', 'backendRefs', 'timeouts', 'retry', 'sessionPersistence'];
const HTTP_MATCH = ['path', 'method', 'headers', 'queryParams'];
const GRPC_MATCH = ['method', 'headers'];

export function readHttpRoute(object: Json): AttachedRoute | undefined {
  return readRoute(object, 'HTTPRoute');
}

export function readGrpcRoute(object: Json): AttachedRoute | undefined {
  return readRoute(object, 'GRPCRoute');
}

function readRoute(object: Json, kind: AttachedRoute['kind']): AttachedRoute | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  if (meta === undefined || spec === undefined) return undefined;
  return {
    kind,
    // The mark is none of a name: an HTTPRoute of a namespace that is called grpc has another id.
    id: `${kind === 'HTTPRoute' ? '' : 'grpc_'}${meta.namespace}.${meta.name}`,
    meta,
    parentRefs: mappings(spec.parentRefs).map(readParentReference),
    hostnames: texts(spec.hostnames).map((host) => host.toLowerCase()),
    rules: everyPart(spec.rules).map((rule) => readRule(rule, kind)),
    reporters: readReporters(object, 'parents'),
  };
}

function readRule(rule: Json, kind: AttachedRoute['kind']): RouteRule {
  const [timeouts, retry] = [mapping(rule.timeouts), mapping(rule.retry)];
  const matches = everyPart(rule.matches);
  const readMatch = kind === 'HTTPRoute' ? readHttpMatch : readGrpcMatch;
  return {
    name: asText(rule.name),
    // The API server fills this in; without it a rule takes everything.
    matches: (matches.length === 0 ? [{}] : matches).map(readMatch),
    filters: everyPart(rule.filters).map(readFilter),
    backends: everyPart(rule.backendRefs).map(readBackend),
    timeouts: { request: asText(timeouts?.request), backendRequest: asText(timeouts?.backendRequest) },
    retry: retry && {
      codes: (Array.isArray(retry.codes) ? retry.codes : []).flatMap((code) => integer(code) ?? []),
      attempts: integer(retry.attempts),
      backoff: asText(retry.backoff),
    },
    unknown: unknownMembers(rule, RULE),
  };
}

function readHttpMatch(match: Json): RouteMatchSpec {
  const path = mapping(match.path);
  return {
    path: { type: asText(path?.type) ?? 'PathPrefix', value: asText(path?.value) ?? '/' },
    call: undefined,
    method: asText(match.method),
    headers: everyPart(match.headers).map(readCondition),
    query: everyPart(match.queryParams).map(readCondition),
    unknown: unknownMembers(match, HTTP_MATCH),
  };
}

function readGrpcMatch(match: Json): RouteMatchSpec {
  const method = mapping(match.method);
  return {
    path: undefined,
    call: method && {
      type: asText(method.type) ?? 'Exact',
      service: asText(method.service) ?? '',
      method: asText(method.method) ?? '',
    },
    method: undefined,
    headers: everyPart(match.headers).map(readCondition),
    query: [],
    unknown: unknownMembers(match, GRPC_MATCH),
  };
}

function readCondition(condition: Json): Condition {
  return {
    type: asText(condition.type) ?? 'Exact',
    name: asText(condition.name) ?? '',
    value: asText(condition.value) ?? '',
  };
}

const BODIES: Readonly<Record<string, string>> = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  RequestMirror: 'requestMirror',
  CORS: 'cors',
  ExtensionRef: 'extensionRef',
};

export function readFilter(filter: Json): Filter {
  const type = asText(filter.type) ?? '';
  return { type, body: mapping(filter[BODIES[type] ?? '']) ?? {} };
}

export function readBackend(backend: Json): BackendReference {
  return {
    ...readReference(backend, SERVICE),
    port: integer(backend.port),
    weight: integer(backend.weight) ?? 1,
    filters: everyPart(backend.filters).map(readFilter),
  };
}
