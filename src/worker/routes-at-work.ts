// The routes at work, each made when its first request comes.

import { compileFieldRules } from '../edge/fields/fields.ts';
import type { BodyMemory } from '../edge/forward/body-memory.ts';
import { type ChooseWay, compileChoice, compileRouteAtWork, type WorkTerms } from '../edge/forward/route-at-work.ts';
import type { OpenUpstream } from '../edge/upstream/upstream.ts';
import type { Policy, RequestLimits, Route } from '../policy/policy.ts';
import { sharesOf, type Upstream, usersOf } from '../policy/upstream.ts';

/** Of the thread that serves them. */
interface Surroundings {
  /** Those of the policy. */
  readonly upstreams: ReadonlyMap<Upstream, OpenUpstream>;
  readonly bodies: BodyMemory;
}

type Way = { readonly weight: number; readonly terms: WorkTerms | undefined };

/** The routes of one policy on one listener after the other. */
export class RoutesAtWork {
  readonly #policy: Policy;
  readonly #surroundings: Surroundings;
  readonly #users: ReadonlyMap<Upstream, readonly Route[]>;
  readonly #ways: Made<readonly Way[]>;

  constructor(policy: Policy, surroundings: Surroundings) {
    this.#policy = policy;
    this.#surroundings = surroundings;
    this.#users = usersOf(policy.routes);
    this.#ways = new Made((route) => this.#waysOf(route));
  }

  /** Of a listener with these limits; undefined: of a route that leads nowhere. */
  under(limits: RequestLimits): { get(route: Route): ChooseWay | undefined } {
    return new Made((route) => {
      const ways = this.#ways.get(route);
      if (ways.length === 0) return undefined;
      return compileChoice(
        ways.map(({ weight, terms }) => ({ weight, way: terms && compileRouteAtWork(route, limits, terms) })),
      );
    });
  }

  #waysOf(route: Route): readonly Way[] {
    const { id, managedFields, withoutUpstreamNonce, tracing } = this.#policy;
    const { upstreams, bodies } = this.#surroundings;
    const ruleTerms = { withoutUpstreamNonce: withoutUpstreamNonce.has(route), traced: tracing !== undefined };
    const mirrors = route.mirrors?.flatMap(({ upstream: to, share }) => {
      const upstream = upstreams.get(to);
      if (upstream === undefined) return [];
      const rules = compileFieldRules({ ...route, upstream: to }, id, managedFields, { ...ruleTerms, copied: true });
      return [{ upstream, rules, share }];
    });
    return sharesOf(route).map(({ upstream: to, weight }) => {
      const upstream = to && upstreams.get(to);
      if (to === undefined || upstream === undefined) return { weight, terms: undefined };
      const rules = compileFieldRules({ ...route, upstream: to }, id, managedFields, ruleTerms);
      const shared = (this.#users.get(to)?.length ?? 0) > 1;
      return { weight, terms: { rules, upstream, shared, bodies, mirrors } };
    });
  }
}

/** What is made of each route, once. */
class Made<T> {
  readonly #known = new Map<Route, T>();
  readonly #make: (route: Route) => T;

  constructor(make: (route: Route) => T) {
    this.#make = make;
  }

  get(route: Route): T {
    const known = this.#known.get(route);
    if (known !== undefined) return known;
    const made = this.#make(route);
    this.#known.set(route, made);
    return made;
  }
}
