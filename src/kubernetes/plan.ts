// The plan of a data plane's routes: what every rule of every attached route becomes.

import type { Attachment } from './attach.ts';
import type { Backends } from './backends.ts';
import { shortName } from './backends.ts';
import type { Unresolved } from './certificates.ts';
import { planDuration } from './duration.ts';
import { planFilters } from './filters.ts';
import { type Hostname, hostPattern, intersect } from './hostname.ts';
import { nameKey, routeId } from './index.ts';
import type { JudgedListener } from './listeners.ts';
import { type PlannedMatch, planMatch } from './match.ts';
import { mapping } from './json.ts';
import type { AttachedRoute, GatewayObject, HoldfastPolicy, RouteRule } from './objects.ts';
import { type Effective, nameOf, type Policies } from './policies.ts';
import { joinDemands, type WrittenDemand } from './stricter.ts';

type Keys = Readonly<Record<string, unknown>>;

/** A route of the configuration, and where it comes from. */
export interface PlannedRoute {
  readonly source: { readonly route: AttachedRoute; readonly rule: number };
  readonly effective: Effective;
  readonly ports: number[];
  /** The name of the first listener that takes it. */
  readonly listener: string;
  /** Keys of the configuration's route, `match.listeners` left out. */
  readonly match: PlannedMatch & { readonly host?: string };
  readonly name: string;
  readonly keys: Keys;
}

/** What was found about the rules of one route. */
export interface RouteFindings {
  /** By the number of the rule: why it is not served as it is written. */
  readonly unsupported: Map<number, Unresolved>;
  /** Why the route as a whole is not served. */
  refused: Unresolved | undefined;
  unresolved: Unresolved | undefined;
  /** Why requests get 503 instead of being decided. */
  withheld: string | undefined;
  policies: Set<HoldfastPolicy>;
}

/** Why a route is not served at all: by what it is, or because none of its rules can be. */
export function wholeRefusal(route: AttachedRoute, { refused, unsupported }: RouteFindings): Unresolved | undefined {
  if (refused !== undefined) return refused;
  const [first] = unsupported.values();
  return unsupported.size === route.rules.length ? first : undefined;
}

export interface PlanTerms {
  readonly gateway: GatewayObject;
  readonly policies: Policies;
  readonly backends: Backends;
  readonly floor: WrittenDemand;
  /** Public routes to which no policy is attached are served. */
  readonly publicWithoutPolicy: boolean;
  /** Policies that are attached to a route in another way, such as by an annotation. */
  readonly more: (route: AttachedRoute) => readonly HoldfastPolicy[] | string;
}

export interface Plan {
  readonly routes: readonly PlannedRoute[];
  readonly findings: ReadonlyMap<AttachedRoute, RouteFindings>;
}

/** Characters of a route's rules: a data plane's configuration has to fit into one Secret, and others have theirs in it too. */
const RULES = 131_072;
const WITHHELD = 'No policy could be applied to this route. Its status in the cluster says why.\n';

/** Plans all rules in the order in which they take precedence; of two with the same match the first one stays. */
export function planRoutes(attachments: readonly Attachment[], terms: PlanTerms): Plan {
  const findings = new Map<AttachedRoute, RouteFindings>();
  const routes: PlannedRoute[] = [];
  const taken = new Set<string>();
  for (const [route, own] of Map.groupBy(attachments, (attachment) => attachment.route)) {
    const found: RouteFindings = {
      unsupported: new Map(),
      refused: undefined,
      unresolved: undefined,
      withheld: undefined,
      policies: new Set(),
    };
    findings.set(route, found);
    const listeners = own.flatMap((attachment) => attachment.taken);
    const unspeakable = route.rules.flatMap((rule) => rule.matches.map(planMatch)).find(isUnspeakable);
    const trouble = unspeakable?.message ?? tooLong(route);
    if (trouble !== undefined) {
      found.refused = { reason: 'UnsupportedValue', message: trouble };
      continue;
    }
    for (const [number, rule] of route.rules.entries()) {
      routes.push(...planRule({ route, rule, number }, listeners, { terms, found, taken }));
    }
  }
  return { routes, findings };
}

function tooLong({ rules }: AttachedRoute): string | undefined {
  const { length } = JSON.stringify(rules);
  return length <= RULES
    ? undefined
    : `The rules have ${length} characters, expected at most ${RULES}: use several routes.`;
}

function isUnspeakable(match: ReturnType<typeof planMatch>): match is Extract<typeof match, { message: string }> {
  return 'message' in match && match.wider === undefined;
}

interface Rule {
  readonly route: AttachedRoute;
  readonly rule: RouteRule;
  readonly number: number;
}

interface Work {
  readonly terms: PlanTerms;
  readonly found: RouteFindings;
  readonly taken: Set<string>;
}

function planRule(
  { route, rule, number }: Rule,
  listeners: readonly { readonly listener: JudgedListener; readonly hosts: readonly Hostname[] }[],
  { terms, found, taken }: Work,
): readonly PlannedRoute[] {
  const { keys, unsupported } = planKeys(route, rule, { terms, found });
  if (unsupported !== undefined) found.unsupported.set(number, unsupported);
  const planned = new Map<string, PlannedRoute>();
  for (const { listener, hosts } of listeners) {
    if (!listener.serves) continue;
    const joint = effectiveOf(terms, listener, route, rule);
    for (const policy of joint.policies) found.policies.add(policy);
    const demanded = `${joint.policies.map((one) => nameKey(one.meta.namespace, one.meta.name)).join()} ${joint.refusal ?? ''}`;
    for (const [at, spec] of rule.matches.entries()) {
      const match = planMatch(spec);
      const spoken = 'message' in match ? (match.wider ?? { path: '/*' }) : match;
      if ('message' in match) found.unsupported.set(number, { reason: 'UnsupportedValue', message: match.message });
      for (const [which, host] of hosts.entries()) {
        const effective = withOwnResource(joint, terms.gateway, host);
        if (effective.refusal !== undefined) found.withheld ??= effective.refusal;
        const here = `${listener.spec.port} ${host ?? ''} ${JSON.stringify(spoken)}`;
        if (taken.has(here)) continue;
        taken.add(here);
        const same = `${host ?? ''} ${at} ${demanded}`;
        const earlier = planned.get(same);
        if (earlier !== undefined) {
          earlier.ports.push(listener.spec.port);
          continue;
        }
        // A star of an Ingress is one label.
        const pattern = route.kind === 'Ingress' ? host : hostPattern(host);
        planned.set(same, {
          source: { route, rule: number },
          effective,
          ports: [listener.spec.port],
          listener: listener.spec.name,
          match: { ...(pattern !== undefined && { host: pattern }), ...spoken },
          name: shortName(`${route.id}.${number}.${at}.${which}.${planned.size}`),
          keys: 'message' in match ? answer(500) : keys,
        });
      }
    }
  }
  return [...planned.values()];
}

function effectiveOf(terms: PlanTerms, listener: JudgedListener, route: AttachedRoute, rule: RouteRule): Effective {
  const { gateway, policies, floor } = terms;
  const more = terms.more(route);
  if (typeof more === 'string') return { demand: undefined, policies: [], refusal: more };
  const effective = policies.effective(floor, gateway, listener, { route, rule: rule.name, more });
  if (effective.demand?.require !== 'public' || effective.policies.length > 0 || terms.publicWithoutPolicy) {
    return effective;
  }
  const refusal = `No HoldfastPolicy is attached to ${routeId(route)} or its Gateway, and the class does not say withoutPolicy: public.`;
  return { ...effective, demand: undefined, refusal };
}

/** A resource has its document at its host for all clients of that: only the Gateway's own policies may name one at any host. */
function withOwnResource(effective: Effective, { meta }: GatewayObject, host: Hostname): Effective {
  const author = effective.policies.find(({ demand }) => Object.hasOwn(demand, 'resource'));
  if (effective.demand === undefined || author === undefined || author.meta.namespace === meta.namespace) {
    return effective;
  }
  const { identifier } = mapping(effective.demand.resource) ?? {};
  const named = URL.parse(String(identifier))?.hostname;
  if (named !== undefined && host !== undefined && intersect(host, named) === named) return effective;
  const refusal = `HoldfastPolicy ${nameOf(author)}: spec.resource.identifier is at ${named ?? 'no host'}, expected ${host ?? 'a route with hostnames, and one of them'}.`;
  return { ...effective, demand: undefined, refusal };
}

/** What a rule does with its requests. */
function planKeys(
  route: AttachedRoute,
  rule: RouteRule,
  { terms, found }: Pick<Work, 'terms' | 'found'>,
): { readonly keys: Keys; readonly unsupported: Unresolved | undefined } {
  const filters = planFilters(route, rule.filters, terms.backends);
  found.unresolved ??= filters.unresolved;
  if (filters.incompatible !== undefined) {
    return { keys: answer(500), unsupported: { reason: 'IncompatibleFilters', message: filters.incompatible } };
  }
  const backends = rule.backends.map((reference) => ({
    reference,
    resolved: terms.backends.resolve(route, reference),
  }));
  for (const { resolved } of backends) if ('reason' in resolved) found.unresolved ??= resolved;
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
    return { keys: answer(500), unsupported: { reason: 'UnsupportedValue', message: unsupported ?? '' } };
  }
  if (filters.redirects) return { keys: filters.keys, unsupported: undefined };
  const keys = { ...filters.keys, ...planBackends(backends), ...timeouts, ...planRetries(rule) };
  return { keys, unsupported: undefined };
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
function answer(status: number, body?: string): Keys {
  return { respond: { status, ...(body !== undefined && { body }) } };
}

/** A planned route as the configuration writes it. */
export function writeRoute({ name, match, ports, effective, keys }: PlannedRoute): Keys {
  const listeners = ports.map((port) => `p${port}`);
  if (effective.demand === undefined) return withheldRoute({ name, match: { listeners, ...match } });
  const { cors: _, ...rest } = keys;
  return { name, match: { listeners, ...match }, ...rest, ...boundedCors(effective.demand, keys) };
}

/** The origins of a filter are bounded by those of the policies, where these name some. */
function boundedCors(demand: WrittenDemand, { cors }: Keys): WrittenDemand {
  const joined = joinDemands(demand, cors === undefined ? {} : { cors });
  return 'demand' in joined ? joined.demand : demand;
}

/** In place of a route whose policy cannot be applied. */
export function withheldRoute({ name, match }: { readonly name: unknown; readonly match: unknown }): Keys {
  return { name, match, require: 'public', weaker_than_defaults: ['require'], ...answer(503, WITHHELD) };
}
