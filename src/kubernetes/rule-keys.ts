// The keys of the configuration that a rule of a route becomes.

import type { Unresolved } from './certificates.ts';
import { planDuration } from './duration.ts';
import { planFilters, type Resolve } from './filters.ts';
import { mappings } from './json.ts';
import type { RouteRule } from './objects.ts';

export type Keys = Readonly<Record<string, unknown>>;

export interface RuleKeys {
  readonly keys: Keys;
  /** Why requests of the rule get 500. */
  readonly unsupported: Unresolved | undefined;
  /** The first reference that leads to nothing. */
  readonly unresolved: Unresolved | undefined;
}

/** What a rule does with its requests. */
export function planKeys(rule: RouteRule, resolve: Resolve): RuleKeys {
  const filters = planFilters(rule.filters, resolve);
  let { unresolved } = filters;
  if (filters.incompatible !== undefined) {
    const unsupported = { reason: 'IncompatibleFilters', message: filters.incompatible };
    return { keys: fixedAnswer(500), unsupported, unresolved };
  }
  const backends = rule.backends.map((reference) => ({ reference, resolved: resolve(reference) }));
  for (const { resolved } of backends) if ('reason' in resolved) unresolved ??= resolved;
  const timeouts = planTimeouts(rule);
  const filtered = rule.backends.some((reference) => reference.filters.length > 0);
  const unsupported =
    filters.unsupported ??
    (filtered ? 'Filters of one backend are not supported, expected them on the rule.' : undefined) ??
    (rule.unknown.length > 0
      ? `The rule has members that are not known here: ${rule.unknown.join(', ')}.`
      : undefined) ??
    (timeouts === undefined ? 'The timeouts of the rule are not durations such as 10s or 1m30s.' : undefined);
  if (unsupported !== undefined || timeouts === undefined) {
    return {
      keys: fixedAnswer(500),
      unsupported: { reason: 'UnsupportedValue', message: unsupported ?? '' },
      unresolved,
    };
  }
  if (filters.redirects) return { keys: filters.keys, unsupported: undefined, unresolved };
  const keys = { ...filters.keys, ...planBackends(backends), ...timeouts, ...planRetries(rule) };
  return { keys, unsupported: undefined, unresolved };
}

type Resolved = {
  readonly reference: RouteRule['backends'][number];
  readonly resolved: { readonly upstream: string } | Unresolved;
};

/** Shares of backends that do not exist lead nowhere, and are answered 500; so is everything where there is no backend. */
function planBackends(backends: readonly Resolved[]): Keys {
  const shares = backends.map(({ reference, resolved }) => ({
    ...('upstream' in resolved && { name: resolved.upstream }),
    weight: Math.max(0, reference.weight),
  }));
  const [only] = shares;
  if (only === undefined) return { upstreams: [{}] };
  if (shares.length === 1 && only.name !== undefined && only.weight > 0) return { upstream: only.name };
  return { upstreams: merged(shares) };
}

/** Several shares of one upstream are one. */
function merged(shares: readonly { readonly name?: string; readonly weight: number }[]): readonly object[] {
  const sums = new Map<string | undefined, number>();
  for (const { name, weight } of shares) sums.set(name, (sums.get(name) ?? 0) + weight);
  return [...sums].map(([name, weight]) => ({ ...(name !== undefined && { name }), weight }));
}

function planTimeouts({ timeouts }: RouteRule): Keys | undefined {
  const read = (written: string | undefined) => (written === undefined ? undefined : planDuration(written));
  const [total, head] = [read(timeouts.request), read(timeouts.backendRequest)];
  const failed =
    (timeouts.request !== undefined && total === undefined) ||
    (timeouts.backendRequest !== undefined && head === undefined);
  if (failed) return undefined;
  const planned = {
    ...(total !== undefined && { total }),
    ...(head !== undefined && head !== 'none' && { response_header: head }),
  };
  return Object.keys(planned).length === 0 ? {} : { timeouts: planned };
}

/** Attempts that the configuration takes at most. */
const ATTEMPTS = 10;

/** Without codes it is about connections alone, which are tried again in any case. */
function planRetries({ retry }: RouteRule): Keys {
  if (retry === undefined || retry.codes.length === 0) return {};
  if (retry.attempts !== undefined && retry.attempts < 1) return {};
  const backoff = retry.backoff === undefined ? undefined : planDuration(retry.backoff);
  return {
    retries: {
      codes: retry.codes,
      ...(retry.attempts !== undefined && { attempts: Math.min(ATTEMPTS, retry.attempts) }),
      ...(backoff !== undefined && backoff !== 'none' && { backoff }),
    },
  };
}

/** An answer of the gateway itself, which needs no credentials. */
export function fixedAnswer(status: number, body?: string): Keys {
  return { respond: { status, ...(body !== undefined && { body }) } };
}

/** Upstreams that keys of a route name. */
export function upstreamsNamed({ upstream, upstreams, mirror }: Keys): readonly string[] {
  const shares = [...mappings(upstreams).map(({ name }) => name), ...mappings(mirror).map((one) => one.upstream)];
  return [upstream, ...shares].filter((name) => typeof name === 'string');
}
