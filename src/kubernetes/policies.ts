// HoldfastPolicies: their demands, and the joint one for a route of a Gateway.

import type { Unresolved } from './certificates.ts';
import { type ClusterIndex, compareTexts, inPrecedence, nameKey } from './index.ts';
import type { JudgedListener } from './listeners.ts';
import type { AttachedRoute, GatewayObject, HoldfastPolicy } from './objects.ts';
import { demandProblems } from './policy-check.ts';
import { GATEWAY_GROUP } from './read-common.ts';
import { joinDemands, newField, withDefaults, type WrittenDemand } from './stricter.ts';

/** What is demanded on a route, and by whom. */
export interface Effective {
  /** Undefined: what the policies say cannot be had, so that the route is refused to everyone. */
  readonly demand: WrittenDemand | undefined;
  /** Policies that have a part in it, the Gateway's first. */
  readonly policies: readonly HoldfastPolicy[];
  /** Why there is no demand, for people. */
  readonly refusal: string | undefined;
}

/** What counts for a rule of a route on a listener, before it is joined. */
export interface Chain {
  readonly policies: readonly HoldfastPolicy[];
  readonly refusal: string | undefined;
}

/** What was found about a policy where it is in use. */
export interface PolicyNote {
  readonly policy: HoldfastPolicy;
  readonly finding: Unresolved;
}

interface JoinedChain {
  readonly effective: Effective;
  readonly note: PolicyNote | undefined;
}

const INGRESS_GROUP = 'networking.k8s.io';
const TARGETS: ReadonlyMap<string, readonly string[]> = new Map([
  [GATEWAY_GROUP, ['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute']],
  [INGRESS_GROUP, ['Ingress']],
]);

/** A part of an object: a listener of a Gateway, a rule of a route; undefined: the whole of it. */
export interface Part {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly section: string | undefined;
}

function partKey({ kind, namespace, name, section }: Part): string {
  return `${kind} ${nameKey(namespace, name)} ${section ?? ''}`;
}

/** All policies of a cluster by what they are attached to, and what is found about them on the way. */
export class Policies {
  readonly #byPart = new Map<string, HoldfastPolicy[]>();
  /** Sections that are named of an object, by its part without a section. */
  readonly #sections = new Map<string, Set<string>>();
  /** By namespace: policies that may be meant for anything in it. */
  readonly #aimless: ReadonlyMap<string, readonly HoldfastPolicy[]>;
  /** Names of the listeners of ListenerSets. */
  readonly #ofSets: ReadonlyMap<string, readonly string[]>;
  readonly #invalid = new Map<HoldfastPolicy, string>();
  readonly #above = new Map<JudgedListener, Chain>();
  readonly #found = new Map<HoldfastPolicy, Unresolved>();

  constructor(index: ClusterIndex) {
    const all = inPrecedence(index.state.policies);
    this.#ofSets = new Map(
      index.state.listenerSets.map(({ meta, listeners }) => [
        nameKey(meta.namespace, meta.name),
        listeners.map(({ name }) => name),
      ]),
    );
    this.#aimless = Map.groupBy(
      all.filter(({ targetRefs }) => targetRefs === undefined),
      ({ meta }) => meta.namespace,
    );
    for (const policy of all) {
      const problems =
        policy.targetRefs === undefined
          ? ['targetRefs cannot be read.']
          : index.memory.keep(policy.demand, 'problems', [], () => demandProblems(policy.demand));
      if (problems.length > 0) this.#invalid.set(policy, problems.join('\n'));
      for (const { group, kind, name, sectionName } of policy.targetRefs ?? []) {
        if (!TARGETS.get(group)?.includes(kind)) continue;
        const whole: Part = { kind, namespace: policy.meta.namespace, name, section: undefined };
        const key = partKey({ ...whole, section: sectionName });
        const known = this.#byPart.get(key);
        if (known === undefined) this.#byPart.set(key, [policy]);
        else known.push(policy);
        if (sectionName === undefined) continue;
        const sections = this.#sections.get(partKey(whole)) ?? new Set<string>();
        this.#sections.set(partKey(whole), sections.add(sectionName));
      }
    }
  }

  /** Policies that are attached to an object as a whole, or to a part of it. */
  attachedTo(part: Part): readonly HoldfastPolicy[] {
    return this.#byPart.get(partKey(part)) ?? [];
  }

  /** Sections of an object that a policy names and that are not there. */
  absentSections(whole: Omit<Part, 'section'>, sections: readonly string[]): readonly string[] {
    const named = this.#sections.get(partKey({ ...whole, section: undefined })) ?? [];
    return [...named].filter((section) => !sections.includes(section)).toSorted(compareTexts);
  }

  /** Notes what was found about a policy where it is in use; the first finding stays. */
  note(policy: HoldfastPolicy, finding: Unresolved): void {
    if (!this.#found.has(policy)) this.#found.set(policy, finding);
  }

  /** What is wrong with a policy; undefined: nothing was found. */
  findingOn(policy: HoldfastPolicy): Unresolved | undefined {
    const invalid = this.#invalid.get(policy);
    return invalid === undefined ? this.#found.get(policy) : { reason: 'Invalid', message: invalid };
  }

  /** The policies of the Gateway, the listener, the route and the rule, or why nothing can be said of them. */
  chain(
    gateway: GatewayObject,
    listener: JudgedListener,
    {
      route,
      rule,
      more,
    }: { readonly route: AttachedRoute; readonly rule: string | undefined; readonly more: readonly HoldfastPolicy[] },
  ): Chain {
    const above = this.#above.get(listener) ?? this.#chainOf(gateway, listener);
    this.#above.set(listener, above);
    const own = this.#chainOfRoute(route, rule, more);
    const policies = [...new Set([...above.policies, ...own.policies])];
    const absent = above.refusal ?? own.refusal;
    if (absent !== undefined) return { policies, refusal: absent };
    const aimless = [route.meta.namespace, gateway.meta.namespace].flatMap((one) => this.#aimless.get(one) ?? []);
    const broken = [...aimless, ...policies].find((policy) => this.#invalid.has(policy));
    return { policies, refusal: broken && `HoldfastPolicy ${nameOf(broken)} is not valid.` };
  }

  #chainOf(gateway: GatewayObject, { owner, spec }: JudgedListener): Chain {
    const of = (kind: string, { namespace, name }: GatewayObject['meta'], section?: string) =>
      this.attachedTo({ kind, namespace, name, section });
    const policies = [
      ...of('Gateway', gateway.meta),
      ...(owner.kind === 'ListenerSet' ? of('ListenerSet', owner.meta) : []),
      ...of(owner.kind, owner.meta, spec.name),
    ];
    const { namespace, name } = gateway.meta;
    const names = gateway.listeners.map((one) => one.name);
    const set = owner.kind === 'ListenerSet' ? owner.meta : undefined;
    const inSet = (set && this.#ofSets.get(nameKey(set.namespace, set.name))) ?? [];
    const absent = [
      ...this.absentSections({ kind: 'Gateway', namespace, name }, names),
      ...(set === undefined ? [] : this.absentSections({ ...set, kind: 'ListenerSet' }, inSet)),
    ][0];
    return {
      policies,
      refusal: absent && `A policy of the Gateway or ListenerSet names a listener that is not there: ${absent}.`,
    };
  }

  #chainOfRoute(route: AttachedRoute, rule: string | undefined, more: readonly HoldfastPolicy[]): Chain {
    const whole = { kind: route.kind, namespace: route.meta.namespace, name: route.meta.name };
    const names = route.rules.flatMap((one) => one.name ?? []);
    const absent = this.absentSections(whole, names)[0];
    const policies = [
      ...this.attachedTo({ ...whole, section: undefined }),
      ...(rule === undefined ? [] : this.attachedTo({ ...whole, section: rule })),
      ...more,
    ];
    return { policies, refusal: absent && `A policy of the route names a rule that is not there: ${absent}.` };
  }
}

/**
 * The join of the class's floor and of all policies of a chain. Whatever cannot be said of them refuses the route.
 * @param operators namespace of the Gateway, whose policies may do more
 */
export function joinChain(floor: WrittenDemand, { policies, refusal }: Chain, operators: string): JoinedChain {
  const refuse = (text: string, note?: JoinedChain['note']): JoinedChain => ({
    effective: { demand: undefined, policies, refusal: text },
    note,
  });
  if (refusal !== undefined) return refuse(refusal);
  let demand = floor;
  for (const policy of policies) {
    const isOperators = policy.meta.namespace === operators;
    const odd = isOperators ? undefined : newField(policy.demand, demand);
    if (odd !== undefined) {
      const message = `spec.forward names ${odd}, which clients of other routes may use: expected X-Auth-Subject or another field of the defaults, or one that forward.identity or forward.remove of a policy of the Gateway names.`;
      return refuse(`HoldfastPolicy ${nameOf(policy)}: ${message}`, {
        policy,
        finding: { reason: 'Invalid', message },
      });
    }
    const joined = joinDemands(isOperators ? demand : withDefaults(demand, policy.demand), policy.demand);
    if ('irreconcilable' in joined) {
      const { key, message: why } = joined.irreconcilable;
      const message = `spec.${key} ${why}: it cannot be met together with the policies above it.`;
      const finding = { reason: 'Conflicted', message };
      return refuse(`HoldfastPolicy ${nameOf(policy)}: ${message}`, { policy, finding });
    }
    demand = joined.demand;
  }
  return { effective: { demand, policies, refusal: undefined }, note: undefined };
}

export function nameOf({ meta }: HoldfastPolicy): string {
  return nameKey(meta.namespace, meta.name);
}
