// The plan of one route: what each of its rules becomes on each listener and host.

import type { TakenHosts } from './attach.ts';
import { type ResolvedBackend, shortName } from './backends.ts';
import type { Unresolved } from './certificates.ts';
import type { Resolve } from './filters.ts';
import { type Hostname, hostPattern, intersect } from './hostname.ts';
import { nameKey, routeId } from './index.ts';
import { mapping } from './json.ts';
import { type PlannedMatch, planMatch } from './match.ts';
import type { AttachedRoute, BackendReference, HoldfastPolicy, RouteRule } from './objects.ts';
import { type Chain, type Effective, joinChain, nameOf, type PolicyNote } from './policies.ts';
import { fixedAnswer, type Keys, planKeys } from './rule-keys.ts';
import type { WrittenDemand } from './stricter.ts';

/** A route of the configuration, and where it comes from. */
export interface PlannedRoute {
  readonly source: { readonly route: AttachedRoute; readonly rule: number };
  readonly effective: Effective;
  readonly ports: readonly number[];
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
  readonly unsupported: ReadonlyMap<number, Unresolved>;
  /** Why the route as a whole is not served. */
  readonly refused: Unresolved | undefined;
  readonly unresolved: Unresolved | undefined;
  /** Why requests get 503 instead of being decided. */
  readonly withheld: string | undefined;
  readonly policies: ReadonlySet<HoldfastPolicy>;
}

/** A match of a rule at one port and host. */
interface Candidate {
  /** Of two candidates with the same place the first one has it. */
  readonly place: string;
  /** Candidates of one rule that can be one route of the configuration with several listeners. */
  readonly joint: string;
  readonly port: number;
  readonly which: string;
  readonly planned: Omit<PlannedRoute, 'ports' | 'name'>;
}

export interface RoutePlan {
  readonly candidates: readonly Candidate[];
  readonly findings: RouteFindings;
  readonly notes: readonly PolicyNote[];
}

/** What a route asks for, by itself. */
export interface RouteAsks {
  readonly refused: Unresolved | undefined;
  /** By `referenceKey`. */
  readonly references: ReadonlyMap<string, BackendReference>;
}

/** Everything that the plan of a route is made of. */
export interface RouteTerms {
  /** Listeners that take the route and serve. */
  readonly hosts: readonly TakenHosts[];
  /** By rule, and there by listener, in the order of `hosts`. */
  readonly chains: readonly (readonly Chain[])[];
  readonly resolved: ReadonlyMap<string, ResolvedBackend | Unresolved>;
  readonly floor: WrittenDemand;
  /** Public routes to which no policy is attached are served. */
  readonly publicWithoutPolicy: boolean;
  /** Namespace of the Gateway. */
  readonly operators: string;
}

/** Characters of a route's rules: a data plane's configuration has to fit into one Secret, and others have theirs in it too. */
const RULES = 131_072;

function referenceKey({ group, kind, namespace, name, port }: BackendReference): string {
  return JSON.stringify([group, kind, namespace, name, port]);
}

export function asksOf({ rules }: AttachedRoute): RouteAsks {
  const references = new Map<string, BackendReference>();
  const unspeakable = rules.flatMap((rule) => rule.matches.map(planMatch)).find(isUnspeakable);
  const message = unspeakable?.message ?? tooLong(rules);
  if (message !== undefined) return { refused: { reason: 'UnsupportedValue', message }, references };
  const nothing = { reason: '', message: '' };
  const note: Resolve = (reference) => {
    references.set(referenceKey(reference), reference);
    return nothing;
  };
  for (const rule of rules) planKeys(rule, note);
  return { refused: undefined, references };
}

function tooLong(rules: AttachedRoute['rules']): string | undefined {
  const { length } = JSON.stringify(rules);
  return length <= RULES
    ? undefined
    : `The rules have ${length} characters, expected at most ${RULES}: use several routes.`;
}

function isUnspeakable(match: ReturnType<typeof planMatch>): match is Extract<typeof match, { message: string }> {
  return 'message' in match && match.wider === undefined;
}

/** The result depends on the arguments alone. */
export function planRoute(route: AttachedRoute, { refused }: RouteAsks, terms: RouteTerms): RoutePlan {
  const work = new RouteWork(route, terms);
  if (refused === undefined) for (const [number, rule] of route.rules.entries()) work.add(rule, number);
  return work.plan(refused);
}

class RouteWork {
  readonly #route: AttachedRoute;
  readonly #terms: RouteTerms;
  readonly #candidates: Candidate[] = [];
  readonly #notes: PolicyNote[] = [];
  readonly #unsupported = new Map<number, Unresolved>();
  readonly #policies = new Set<HoldfastPolicy>();
  #unresolved: Unresolved | undefined;
  #withheld: string | undefined;

  constructor(route: AttachedRoute, terms: RouteTerms) {
    this.#route = route;
    this.#terms = terms;
  }

  plan(refused: Unresolved | undefined): RoutePlan {
    const findings = {
      unsupported: this.#unsupported,
      refused,
      unresolved: this.#unresolved,
      withheld: this.#withheld,
      policies: this.#policies,
    };
    return { candidates: this.#candidates, findings, notes: this.#notes };
  }

  add(rule: RouteRule, number: number): void {
    const { hosts, chains, resolved } = this.#terms;
    const nothing = { reason: 'BackendNotFound', message: '' };
    const { keys, unsupported, unresolved } = planKeys(rule, (one) => resolved.get(referenceKey(one)) ?? nothing);
    this.#unresolved ??= unresolved;
    if (unsupported !== undefined) this.#unsupported.set(number, unsupported);
    const matches = rule.matches.map(planMatch);
    for (const [at, taken] of hosts.entries()) {
      const chain = chains[number]?.[at];
      if (chain !== undefined) this.#addListener({ number, matches, keys }, taken, this.#effective(chain));
    }
  }

  #addListener(
    rule: { readonly number: number; readonly matches: readonly ReturnType<typeof planMatch>[]; readonly keys: Keys },
    { listener, hosts }: TakenHosts,
    joint: Effective,
  ): void {
    const { number, matches, keys } = rule;
    const { port, name } = listener.spec;
    for (const policy of joint.policies) this.#policies.add(policy);
    const demanded = `${joint.policies.map((one) => nameKey(one.meta.namespace, one.meta.name)).join()} ${joint.refusal ?? ''}`;
    for (const [at, match] of matches.entries()) {
      const spoken = 'message' in match ? (match.wider ?? { path: '/*' }) : match;
      if ('message' in match) this.#unsupported.set(number, { reason: 'UnsupportedValue', message: match.message });
      for (const [which, host] of hosts.entries()) {
        const effective = withOwnResource(joint, this.#terms.operators, host);
        this.#withheld ??= effective.refusal;
        // A star of an Ingress is one label.
        const pattern = this.#route.kind === 'Ingress' ? host : hostPattern(host);
        this.#candidates.push({
          place: `${port} ${host ?? ''} ${JSON.stringify(spoken)}`,
          joint: `${number} ${host ?? ''} ${at} ${demanded}`,
          port,
          which: `${at}.${which}`,
          planned: {
            source: { route: this.#route, rule: number },
            effective,
            listener: name,
            match: { ...(pattern !== undefined && { host: pattern }), ...spoken },
            keys: 'message' in match ? fixedAnswer(500) : keys,
          },
        });
      }
    }
  }

  #effective(chain: Chain): Effective {
    const { floor, operators, publicWithoutPolicy } = this.#terms;
    const { effective, note } = joinChain(floor, chain, operators);
    if (note !== undefined) this.#notes.push(note);
    if (effective.demand?.require !== 'public' || effective.policies.length > 0 || publicWithoutPolicy) {
      return effective;
    }
    const refusal = `No HoldfastPolicy is attached to ${routeId(this.#route)} or its Gateway, and the class does not say withoutPolicy: public.`;
    return { ...effective, demand: undefined, refusal };
  }
}

/** A resource has its document at its host for all clients of that: only the Gateway's own policies may name one at any host. */
function withOwnResource(effective: Effective, operators: string, host: Hostname): Effective {
  const author = effective.policies.find(({ demand }) => Object.hasOwn(demand, 'resource'));
  if (effective.demand === undefined || author === undefined || author.meta.namespace === operators) return effective;
  const { identifier } = mapping(effective.demand.resource) ?? {};
  const named = URL.parse(String(identifier))?.hostname;
  if (named !== undefined && host !== undefined && intersect(host, named) === named) return effective;
  const refusal = `HoldfastPolicy ${nameOf(author)}: spec.resource.identifier is at ${named ?? 'no host'}, expected ${host ?? 'a route with hostnames, and one of them'}.`;
  return { ...effective, demand: undefined, refusal };
}

/**
 * The routes of the configuration that candidates become.
 * @param taken places that are not free; those of the candidates are added
 */
export function placeCandidates(candidates: readonly Candidate[], taken: Set<string>): readonly PlannedRoute[] {
  const placed = new Map<string, PlannedRoute & { readonly ports: number[] }>();
  const counts = new Map<number, number>();
  for (const { place, joint, port, which, planned } of candidates) {
    if (taken.has(place)) continue;
    taken.add(place);
    const earlier = placed.get(joint);
    if (earlier !== undefined) {
      earlier.ports.push(port);
      continue;
    }
    const { route, rule } = planned.source;
    const count = counts.get(rule) ?? 0;
    counts.set(rule, count + 1);
    placed.set(joint, { ...planned, ports: [port], name: shortName(`${route.id}.${rule}.${which}.${count}`) });
  }
  return [...placed.values()];
}
