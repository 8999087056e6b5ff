// The filters of a rule as keys of a route of the configuration.

import { asText, everyPart, integer, type Json, mapping, texts } from './json.ts';
import type { ResolvedBackend } from './backends.ts';
import type { Unresolved } from './certificates.ts';
import type { BackendReference, Filter } from './objects.ts';
import { readBackend } from './read-route.ts';

/** The backend that a reference of the route leads to. */
export type Resolve = (reference: BackendReference) => ResolvedBackend | Unresolved;

/** Keys of a route, and what was wrong. */
export interface PlannedFilters {
  readonly keys: Readonly<Record<string, unknown>>;
  /** Requests are answered by a redirect and go to no backend. */
  readonly redirects: boolean;
  /** Why requests of the rule get 500. Complete sentence. */
  readonly unsupported: string | undefined;
  readonly incompatible: string | undefined;
  readonly unresolved: Unresolved | undefined;
}

type Planned =
  | { readonly keys: Readonly<Record<string, unknown>>; readonly unresolved?: Unresolved | undefined }
  | { readonly unsupported: string };

/**
 * NOT checked: which fields may be set, and values of names, statuses and origins (config/schema): such a rule does not compile.
 */
export function planFilters(filters: readonly Filter[], resolve: Resolve): PlannedFilters {
  const planned = filters.map((filter) => planFilter(filter, resolve));
  const found = planned.filter((one) => 'keys' in one);
  const keys: Record<string, unknown> = {};
  for (const one of found) {
    for (const [key, value] of Object.entries(one.keys)) {
      // Several mirrors are several copies; of other filters the API takes one each.
      keys[key] =
        key === 'mirror' && Array.isArray(keys[key]) ? [...(keys[key] as object[]), ...(value as object[])] : value;
    }
  }
  const types = filters.map(({ type }) => type);
  const both = types.includes('RequestRedirect') && types.includes('URLRewrite');
  const twice = types.find((type, at) => types.indexOf(type) < at && type !== 'RequestMirror');
  return {
    keys,
    redirects: types.includes('RequestRedirect'),
    unsupported:
      planned.flatMap((one) => ('unsupported' in one ? [one.unsupported] : []))[0] ??
      (twice === undefined ? undefined : `Filter ${twice} is there twice, expected once.`),
    incompatible: both ? 'RequestRedirect and URLRewrite exclude each other.' : undefined,
    unresolved: found.find((one) => one.unresolved !== undefined)?.unresolved,
  };
}

function planFilter({ type, body }: Filter, resolve: Resolve): Planned {
  if (type === 'RequestHeaderModifier') return { keys: { request_fields: planFields(body) } };
  if (type === 'ResponseHeaderModifier') return { keys: { response_fields: planFields(body) } };
  if (type === 'RequestRedirect') return planRedirect(body);
  if (type === 'URLRewrite') return planRewrite(body);
  if (type === 'RequestMirror') return planMirror(body, resolve);
  if (type === 'CORS') return planCors(body);
  return { unsupported: `A filter of type ${type === '' ? '(none)' : type} is not supported.` };
}

function planFields(body: Json): object {
  const pairs = (list: unknown) => Object.fromEntries(firstOfEachName(everyPart(list)));
  const fields = { set: pairs(body.set), add: pairs(body.add), remove: texts(body.remove) };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => Object.keys(value).length > 0));
}

/** Of several entries for one name, in any case, the first counts. */
function firstOfEachName(entries: readonly Json[]): readonly (readonly [string, string])[] {
  const found = new Map<string, readonly [string, string]>();
  for (const entry of entries) {
    const [name, value] = [asText(entry.name) ?? '', asText(entry.value) ?? ''];
    const key = name.toLowerCase();
    if (!found.has(key)) found.set(key, [name, value]);
  }
  return [...found.values()];
}

function planRedirect(body: Json): Planned {
  const path = planPath(body.path);
  if (path === undefined) return { unsupported: 'The path of the RequestRedirect is not supported.' };
  const { scheme, hostname: host, port } = body;
  return {
    keys: { redirect: { ...defined({ scheme, host, port }), ...path, status: integer(body.statusCode) ?? 302 } },
  };
}

function planRewrite(body: Json): Planned {
  const path = planPath(body.path);
  if (path === undefined) return { unsupported: 'The path of the URLRewrite is not supported.' };
  const rewrite = { ...defined({ host: body.hostname }), ...path };
  // The API takes one that changes nothing.
  return { keys: Object.keys(rewrite).length === 0 ? {} : { rewrite } };
}

/** `{}` where nothing is said about the path; undefined: it is said in a way that is not known. */
function planPath(value: unknown): { readonly path?: string; readonly prefix?: string } | undefined {
  if (value === undefined) return {};
  const { type, replaceFullPath: full, replacePrefixMatch: prefix } = mapping(value) ?? {};
  if (type === 'ReplaceFullPath' && typeof full === 'string') return { path: full === '' ? '/' : full };
  if (type !== 'ReplacePrefixMatch' || typeof prefix !== 'string') return undefined;
  return { prefix: prefix.replace(/\/+$/, '') || '/' };
}

function planMirror(body: Json, resolve: Resolve): Planned {
  const backend = resolve(readBackend(mapping(body.backendRef) ?? {}));
  const percent = mirrored(body);
  if (percent === undefined) return { unsupported: 'The share of the RequestMirror is not supported.' };
  // A copy for a backend that is not there is dropped; the request itself is not concerned.
  if ('reason' in backend) return { keys: {}, unresolved: backend };
  return { keys: { mirror: [{ upstream: backend.upstream, ...(percent !== 100 && { percent }) }] } };
}

/** In percent. */
function mirrored({ percent, fraction }: Json): number | undefined {
  if (fraction === undefined) return percent === undefined ? 100 : integer(percent);
  const { numerator, denominator = 100 } = mapping(fraction) ?? {};
  if (typeof numerator !== 'number' || typeof denominator !== 'number' || denominator <= 0) return undefined;
  return Math.min(100, (100 * numerator) / denominator);
}

/** Methods and fields of preflights are answered by what the route takes: what the filter names is not needed. */
function planCors(body: Json): Planned {
  const maxAge = body.maxAge === undefined ? 5 : integer(body.maxAge);
  const origins = texts(body.allowOrigins);
  if (maxAge === undefined || origins.some((origin) => origin.includes('*'))) {
    return { unsupported: 'A CORS filter for origins with "*" is not supported, expected each origin by name.' };
  }
  const expose = texts(body.exposeHeaders);
  const credentials = body.allowCredentials === true;
  return { keys: { cors: { origins, ...(expose.length > 0 && { expose }), max_age: `${maxAge}s`, credentials } } };
}

function defined(members: Json): Json {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== ''));
}
