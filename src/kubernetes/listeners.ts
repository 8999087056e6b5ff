// The listeners of a Gateway and of its ListenerSets, judged.

import { authoritiesOf, type Owner, pairOf, type PemPair, type Unresolved } from './certificates.ts';
import { condition } from './condition.ts';
import { type Hostname, isHostname } from './hostname.ts';
import { type ClusterIndex, compareTexts, inPrecedence, nameKey } from './index.ts';
import type { AttachedRoute, FrontendValidation, GatewayObject, ListenerSet, ListenerSpec } from './objects.ts';
import { GATEWAY_GROUP } from './read-common.ts';
import type { StatusCondition } from './state.ts';

export type RouteKind = Exclude<AttachedRoute['kind'], 'Ingress'>;

/** How clients' certificates are looked at on a port. */
export interface ClientValidation {
  readonly ca: string;
  /** Clients without a certificate, or with one of nobody known, are let in too. */
  readonly insecureFallback: boolean;
}

/** A listener as it is judged. Names are unique within the owner. */
export interface JudgedListener {
  readonly owner: { readonly kind: 'Gateway' | 'ListenerSet'; readonly meta: GatewayObject['meta'] };
  readonly spec: ListenerSpec;
  readonly hostname: Hostname;
  readonly kinds: readonly RouteKind[];
  readonly certificates: readonly PemPair[];
  readonly client: ClientValidation | undefined;
  /** Whether requests are taken on it. Routes attach in any case. */
  readonly serves: boolean;
  readonly conditions: readonly StatusCondition[];
}

/** A verdict over one question: what is wrong, or nothing. */
type Verdict = Unresolved | undefined;

const KINDS: readonly RouteKind[] = ['HTTPRoute', 'GRPCRoute'];
/** Ports of pods are those of clients and this many more, so that none needs privileges. */
const SHIFT = 10_000;
const MAX_PORT = 65_535;

/** Where the data plane listens for a port of a listener. */
export function targetPort(port: number): number {
  return port + SHIFT;
}

interface Candidate {
  readonly owner: JudgedListener['owner'];
  readonly spec: ListenerSpec;
}

/** ListenerSets that name a Gateway, by precedence, and whether it admits them. */
export function attachedSets(
  index: ClusterIndex,
  gateway: GatewayObject,
): readonly { readonly set: ListenerSet; readonly admitted: boolean }[] {
  const { namespace, name } = gateway.meta;
  const naming = index.state.listenerSets.filter(
    ({ meta, parentRef }) =>
      parentRef.group === GATEWAY_GROUP &&
      parentRef.kind === 'Gateway' &&
      parentRef.name === name &&
      (parentRef.namespace ?? meta.namespace) === namespace,
  );
  return inPrecedence(naming).map((set) => ({
    set,
    admitted:
      gateway.allowedListeners !== undefined && index.admits(gateway.allowedListeners, namespace, set.meta.namespace),
  }));
}

/**
 * All listeners of a Gateway and of the ListenerSets that it admits, judged. Of those that take the same requests none of the
 * Gateway's serves, and of a ListenerSet's those that came first.
 * @param now seconds since the epoch
 */
export function judgeListeners(index: ClusterIndex, gateway: GatewayObject, now: number): readonly JudgedListener[] {
  const own = gateway.listeners.map((spec): Candidate => ({ owner: { kind: 'Gateway', meta: gateway.meta }, spec }));
  const others = attachedSets(index, gateway)
    .filter(({ admitted }) => admitted)
    .flatMap(({ set }) =>
      set.listeners.map((spec): Candidate => ({ owner: { kind: 'ListenerSet', meta: set.meta }, spec })),
    );
  const taken: Candidate[] = [];
  const conflicts = new Map<Candidate, Unresolved>();
  for (const one of own) {
    const conflict = conflictOf(
      one,
      own.filter((other) => other !== one),
    );
    if (conflict !== undefined) conflicts.set(one, conflict);
    else taken.push(one);
  }
  for (const one of others) {
    const conflict = conflictOf(one, [...taken, ...own]);
    if (conflict !== undefined) conflicts.set(one, conflict);
    else taken.push(one);
  }
  return [...own, ...others].map((one) => judge(index, gateway, one, { conflict: conflicts.get(one), now }));
}

function isSupported({ protocol }: ListenerSpec): boolean {
  return protocol === 'HTTP' || protocol === 'HTTPS';
}

function conflictOf({ spec }: Candidate, others: readonly Candidate[]): Verdict {
  const here = others.filter((other) => other.spec.port === spec.port && isSupported(other.spec));
  if (here.some((other) => other.spec.protocol !== spec.protocol)) {
    const message = `Port ${spec.port} is there with another protocol too, expected one protocol for each port.`;
    return { reason: 'ProtocolConflict', message };
  }
  if (!isSupported(spec) || !here.some((other) => other.spec.hostname === spec.hostname)) return undefined;
  const message = `Port ${spec.port} is there with the same hostname too, expected each hostname once.`;
  return { reason: 'HostnameConflict', message };
}

interface Circumstances {
  readonly conflict: Verdict;
  readonly now: number;
}

function judge(
  index: ClusterIndex,
  gateway: GatewayObject,
  { owner, spec }: Candidate,
  { conflict, now }: Circumstances,
): JudgedListener {
  const from: Owner = { group: GATEWAY_GROUP, kind: owner.kind, namespace: owner.meta.namespace };
  const kinds = kindsOf(spec);
  const pairs = (spec.tls?.certificateRefs ?? []).map((reference) => pairOf(index, from, reference, now));
  const certificates = pairs.filter((pair) => 'cert' in pair);
  const client = spec.protocol === 'HTTPS' ? clientOf(index, gateway, spec.port) : undefined;
  const unaccepted = unacceptedBecause(spec, client);
  const unresolved =
    pairs.find((pair) => 'reason' in pair) ??
    client?.unresolved ??
    (isSupported(spec) ? unknownKinds(spec) : undefined);
  const lacksKey = spec.protocol === 'HTTPS' && certificates.length === 0;
  const serves = conflict === undefined && unaccepted === undefined && !lacksKey && kinds.length > 0;
  return {
    owner,
    spec,
    hostname: spec.hostname,
    kinds,
    certificates,
    client: client?.validation,
    serves,
    conditions: conditionsOf(owner.meta.generation, { conflict, unaccepted, unresolved, serves }),
  };
}

function unacceptedBecause(spec: ListenerSpec, client: ReturnType<typeof clientOf>): Verdict {
  if (!isSupported(spec)) {
    const message = `Protocol ${spec.protocol} is not served, expected HTTP or HTTPS.`;
    return { reason: 'UnsupportedProtocol', message };
  }
  if (spec.port < 1 || spec.port > MAX_PORT - SHIFT) {
    return {
      reason: 'PortUnavailable',
      message: `Port ${spec.port} is not served, expected one up to ${MAX_PORT - SHIFT}.`,
    };
  }
  if (spec.hostname !== undefined && !isHostname(spec.hostname)) {
    return {
      reason: 'UnsupportedValue',
      message: 'The hostname is not a name of a host, expected one such as api.example.com.',
    };
  }
  if (spec.tls !== undefined && spec.tls.mode !== 'Terminate') {
    return { reason: 'UnsupportedValue', message: `TLS mode ${spec.tls.mode} is not served, expected Terminate.` };
  }
  if (client !== undefined && client.validation === undefined) {
    return { reason: 'NoValidCACertificate', message: client.unresolved?.message ?? 'There is no CA certificate.' };
  }
  return undefined;
}

function kindsOf(spec: ListenerSpec): readonly RouteKind[] {
  if (!isSupported(spec)) return [];
  const allowed = spec.allowedKinds;
  if (allowed === undefined || allowed.length === 0) return KINDS;
  return KINDS.filter((kind) => allowed.some((one) => one.group === GATEWAY_GROUP && one.kind === kind));
}

function unknownKinds({ allowedKinds = [] }: ListenerSpec): Verdict {
  const known = (kind: string): boolean => KINDS.some((one) => one === kind);
  const odd = allowedKinds.find(({ group, kind }) => group !== GATEWAY_GROUP || !known(kind));
  if (odd === undefined) return undefined;
  return {
    reason: 'InvalidRouteKinds',
    message: `${odd.kind} is not a kind of route here, expected ${KINDS.join(' or ')}.`,
  };
}

/** Undefined: nothing is asked of clients. Without `validation` no CA can be had, and nobody is let in. */
function clientOf(
  index: ClusterIndex,
  { meta, frontend }: GatewayObject,
  port: number,
): { readonly validation: ClientValidation | undefined; readonly unresolved: Verdict } | undefined {
  const wanted = frontend.perPort.has(port) ? frontend.perPort.get(port) : frontend.default;
  if (wanted === undefined) return undefined;
  const from: Owner = { group: GATEWAY_GROUP, kind: 'Gateway', namespace: meta.namespace };
  const found = wanted.caCertificateRefs.map((reference) => authoritiesOf(index, from, reference));
  const ca = found.flatMap((one) => ('ca' in one ? [one.ca] : []));
  const unresolved = found.find((one) => 'reason' in one) ?? unknownMode(wanted);
  const good = ca.length > 0 && unknownMode(wanted) === undefined;
  const insecureFallback = wanted.mode === 'AllowInsecureFallback';
  return { validation: good ? { ca: ca.join('\n'), insecureFallback } : undefined, unresolved };
}

function unknownMode({ mode }: FrontendValidation): Verdict {
  if (mode === 'AllowValidOnly' || mode === 'AllowInsecureFallback') return undefined;
  const message = `Mode ${mode} is not known, expected AllowValidOnly or AllowInsecureFallback.`;
  return { reason: 'InvalidCACertificateRef', message };
}

function conditionsOf(
  generation: number,
  {
    conflict,
    unaccepted,
    unresolved,
    serves,
  }: {
    readonly conflict: Verdict;
    readonly unaccepted: Verdict;
    readonly unresolved: Verdict;
    readonly serves: boolean;
  },
): readonly StatusCondition[] {
  const held = (type: string, wrong: Verdict, message: string) =>
    condition(type, wrong === undefined, { ...(wrong ?? { reason: type, message }), generation });
  const refused = conflict ?? unaccepted;
  const why = refused ?? unresolved ?? { reason: 'Invalid', message: 'No kind of route can attach.' };
  return [
    held('Accepted', refused, 'The listener is valid.'),
    condition('Conflicted', conflict !== undefined, {
      ...(conflict ?? { reason: 'NoConflicts', message: 'No other listener takes the same requests.' }),
      generation,
    }),
    held('ResolvedRefs', unresolved, 'All references are resolved.'),
    condition('Programmed', serves, {
      reason: serves ? 'Programmed' : (conflict?.reason ?? 'Invalid'),
      message: serves ? 'The listener serves.' : why.message,
      generation,
    }),
  ];
}

/** A name for a listener that no other one has. */
export function listenerId({ owner, spec }: Pick<JudgedListener, 'owner' | 'spec'>): string {
  return `${owner.kind} ${nameKey(owner.meta.namespace, owner.meta.name)} ${spec.name}`;
}

/** Listeners that serve, by port, in order. */
export function servingPorts(listeners: readonly JudgedListener[]): ReadonlyMap<number, readonly JudgedListener[]> {
  const serving = listeners.filter(({ serves }) => serves);
  const sorted = serving.toSorted((a, b) => a.spec.port - b.spec.port || compareTexts(listenerId(a), listenerId(b)));
  return Map.groupBy(sorted, ({ spec }) => spec.port);
}
