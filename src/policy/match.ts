// The match of a route: which requests it is for, by their fields and query, too.

import { withoutBlanks } from '../http/blanks.ts';
import type { RequestFacts } from '../request-facts.ts';

export interface RouteMatch {
  /** Names; undefined: every listener. */
  readonly listeners: readonly string[] | undefined;
  /** Authority without port as written: `api.example.com`, `*.example.com` or `**.example.com`; undefined: every host. */
  readonly host: string | undefined;
  /** `/orders/*`, normalised like a request path. */
  readonly path: string;
  /** Includes HEAD where GET is named and implies it; undefined: every method but TRACE and CONNECT. */
  readonly methods: readonly string[] | undefined;
  /** Each field has exactly this value; names lower-cased. Absent: whatever the fields. */
  readonly headers?: readonly MatchCondition[] | undefined;
  /** Each parameter has exactly this value. Absent: whatever the query. */
  readonly query?: readonly MatchCondition[] | undefined;
}

/** What a route asks of one field, or of one parameter of the query. */
export interface MatchCondition {
  readonly name: string;
  readonly value: string;
}

/** Fields and query of one request, as far as conditions ask for them: each is read once, and only when it is asked for. */
export class AskedParts {
  readonly #request: Pick<RequestFacts, 'message' | 'query'>;
  readonly #fields = new Map<string, string | undefined>();
  #parameters: URLSearchParams | undefined;

  constructor(request: Pick<RequestFacts, 'message' | 'query'>) {
    this.#request = request;
  }

  /** All lines of one name, joined (RFC 9110 §5.3); undefined: there is none. @param name lower-cased */
  field(name: string): string | undefined {
    if (!this.#fields.has(name)) this.#fields.set(name, joinedLines(this.#request.message.rawHeaders, name));
    return this.#fields.get(name);
  }

  /** The first parameter of this name, decoded as application/x-www-form-urlencoded; undefined: there is none. */
  parameter(name: string): string | undefined {
    // A question mark in front would be cut off, although it is part of the first name.
    this.#parameters ??= new URLSearchParams(`&${this.#request.query ?? ''}`);
    return this.#parameters.get(name) ?? undefined;
  }
}

function joinedLines(rawHeaders: readonly string[], name: string): string | undefined {
  let joined: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const here = rawHeaders[at] ?? '';
    if (here.length !== name.length || here.toLowerCase() !== name) continue;
    const value = withoutBlanks(rawHeaders[at + 1] ?? '');
    joined = joined === undefined ? value : `${joined}, ${value}`;
  }
  return joined;
}

/** Whether a match asks for anything beside listener, host, path and method. */
export function hasConditions({ headers = [], query = [] }: RouteMatch): boolean {
  return headers.length + query.length > 0;
}

/** The condition that a request does not meet, the first one in the order of writing; undefined: it meets all. */
export function unmetCondition(match: RouteMatch, parts: AskedParts): UnmetCondition | undefined {
  const field = match.headers?.find(({ name, value }) => parts.field(name) !== value);
  if (field !== undefined) return { ...field, of: 'fields', received: parts.field(field.name) };
  const parameter = unmetParameter(match, parts);
  return parameter && { ...parameter, of: 'query', received: parts.parameter(parameter.name) };
}

export interface UnmetCondition extends MatchCondition {
  readonly of: 'fields' | 'query';
  /** undefined: the request has no such field or parameter. */
  readonly received: string | undefined;
}

/** As `unmetCondition`, where the fields are not known. */
export function unmetParameter({ query }: RouteMatch, parts: AskedParts): MatchCondition | undefined {
  return query?.find(({ name, value }) => parts.parameter(name) !== value);
}

/**
 * Which of two matches with one host and path is tried first: the one that names methods, then the one with more fields, then the
 * one with more parameters; 0: the one that was written first.
 */
export function compareMatches(one: RouteMatch, two: RouteMatch): number {
  const [ours, theirs] = [one, two].map(({ methods, headers = [], query = [] }) => [
    methods === undefined ? 0 : 1,
    headers.length,
    query.length,
  ]);
  const place = [0, 1, 2].find((at) => ours?.[at] !== theirs?.[at]) ?? 0;
  return (theirs?.[place] ?? 0) - (ours?.[place] ?? 0);
}

/** The same text for matches that ask the same of fields and query, in whatever order. */
export function conditionsKey({ headers = [], query = [] }: RouteMatch): string {
  if (headers.length + query.length === 0) return '';
  const sorted = (list: readonly MatchCondition[]) =>
    list.map(({ name, value }) => JSON.stringify([name, value])).toSorted();
  return JSON.stringify([sorted(headers), sorted(query)]);
}

/** What a match asks for, without the values: `x-env`, `?version`. */
export function askedNames({ headers = [], query = [] }: RouteMatch): readonly string[] {
  return [...headers.map(({ name }) => name), ...query.map(({ name }) => `?${name}`)];
}

/** The conditions of a match in words: `x-env: canary`, `?version=2`. */
export function describeConditions({ headers = [], query = [] }: RouteMatch): readonly string[] {
  return [
    ...headers.map(({ name, value }) => `${name}: ${value}`),
    ...query.map(({ name, value }) => `?${name}=${value}`),
  ];
}
