// The configuration of one data plane, compiled before it is handed out.

import { mapInSteps, type InSteps } from '../long-work.ts';
import type { ConfigPath } from '../config/problem.ts';
import type { Kept } from '../config/kept.ts';
import { checkRoute, checkUpstream, type Data, type DataProblem } from './checked-parts.ts';
import { type CheckedParts, compileProblems } from './compile-check.ts';
import { hostPattern } from './hostname.ts';
import { type JudgedListener, servingPorts, targetPort } from './listeners.ts';
import type { Memory } from './memory.ts';
import type { HoldfastParameters } from './objects.ts';
import { inlineFile } from './shared-files.ts';
import { unwritableKeys, POLICY_KEYS } from './policy-check.ts';
import type { PlannedRoute } from './route-plan.ts';
import { escaped, escapedOnce, withheldRoute, writtenOnce } from './write-route.ts';

/** A planned route that the compiler refuses, and why. */
export interface RefusedRoute {
  readonly planned: PlannedRoute;
  /** Of the policy, with `spec.` in front; undefined: of the route itself. */
  readonly policyKey: string | undefined;
  readonly message: string;
}

export interface Configured {
  /** Undefined: what the class's parameters say does not compile. */
  readonly configuration: object | undefined;
  readonly refused: readonly RefusedRoute[];
  /** Why there is none, for people. */
  readonly problems: readonly string[];
}

export interface ConfigurationTerms {
  readonly upstreams: Readonly<Record<string, Data>>;
  readonly parameters: HoldfastParameters | undefined;
  /** Seconds since the epoch. */
  readonly now: number;
  readonly memory: Memory;
  readonly kept: Kept;
}

/** Operators' ports: probes come from outside of the pod, the rest stays inside. */
const TELEMETRY = { bind: '0.0.0.0:9902' };
/** Where nothing is served, the process still has something to bind, which no one reaches. */
const IDLE = { name: 'none', bind: '127.0.0.1:10000' };
const NOT_FOUND: Data = { respond: { status: 404 }, require: 'public', weaker_than_defaults: ['require'] };
const NOTHING: Data = { name: 'none', match: { path: '/*' }, ...NOT_FOUND };
/** Keys of parameters that become keys of the configuration. */
export const SHARED_KEYS = [
  'workers',
  'request_id',
  'log',
  'problem_base',
  'tracing',
  'drain',
  'issuers',
  'replay',
  'nonce',
  'rate_limits',
] as const;
/** What does not compile hides other things that do not: so often it is tried again without. */
const ROUNDS = 8;

/**
 * Puts a configuration together and compiles it. A route that does not compile is answered 503 in its place, or left out where
 * another route has this place; a certificate or a backend that does not is left out. If what is left still does not compile,
 * there is no configuration.
 */
export function* configure(
  listeners: readonly JudgedListener[],
  planned: readonly PlannedRoute[],
  terms: ConfigurationTerms,
): InSteps<Configured> {
  const { upstreams, parameters, now, memory, kept } = terms;
  const ports = servingPorts(listeners);
  const routes = yield* mapInSteps(planned, (one) => writtenOnce(one, memory));
  const draft = new Draft(planned, memory, {
    routes,
    base: { version: 1, telemetry: TELEMETRY, ...sharedKeys(parameters) },
    listeners: ports.size === 0 ? [IDLE] : [...ports].map(([port, here]) => writeListener(port, here)),
    upstreams,
    isolated: [...ports].flatMap(([port, here]) => isolatingRoutes(port, here, planned)),
  });
  yield* draft.refuseUnwritable();
  let problems: readonly DataProblem[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const parts = yield* draft.parts();
    problems = yield* compileProblems(parts, { now, kept });
    if (problems.length === 0) {
      return { configuration: yield* written(parts, memory), refused: draft.refused, problems: [] };
    }
    const changes = problems.map((problem) => draft.without(problem));
    if (!changes.includes(true)) break;
  }
  const texts = problems.map(({ path, message }) => `${path.join('.')} ${message}`);
  return { configuration: undefined, refused: draft.refused, problems: texts };
}

function* written({ base, upstreams, routes }: CheckedParts, memory: Memory): InSteps<object> {
  return {
    ...(escaped(base) as object),
    upstreams: Object.fromEntries(upstreams.map(([name, { data }]) => [name, escapedOnce(data, memory)])),
    routes: yield* mapInSteps(routes, ({ data }) => escapedOnce(data, memory)),
  };
}

interface ListenerData extends Data {
  readonly tls?: { readonly certificates: readonly Data[]; readonly sni_hosts?: readonly string[] };
}

/** What a draft begins with. */
interface DraftFrame {
  /** As they are written, in the order of the planned ones. */
  readonly routes: readonly Data[];
  readonly base: Data;
  readonly listeners: readonly ListenerData[];
  readonly upstreams: Readonly<Record<string, Data>>;
  readonly isolated: readonly Data[];
}

/** A configuration from which parts are taken that do not compile. */
class Draft {
  readonly #planned: readonly PlannedRoute[];
  readonly #memory: Memory;
  readonly #frame: DraftFrame;
  /** Undefined: left out. */
  readonly #routes: (Data | undefined)[];
  readonly #refused = new Map<number, RefusedRoute>();
  /** Refused since the parts were made last. */
  readonly #touched = new Set<number>();
  /** Of the parts that were made last: which planned route is at which place. */
  #places: readonly number[] = [];
  #listeners: readonly ListenerData[];
  readonly #upstreams: Map<string, Data>;
  readonly #bad = new Set<unknown>();

  constructor(planned: readonly PlannedRoute[], memory: Memory, frame: DraftFrame) {
    this.#planned = planned;
    this.#memory = memory;
    this.#frame = frame;
    this.#listeners = frame.listeners;
    this.#upstreams = new Map(Object.entries(frame.upstreams));
    this.#routes = [...frame.routes];
  }

  *refuseUnwritable(): InSteps<void> {
    yield* mapInSteps(this.#frame.routes.entries(), ([index, route]) => {
      const odd = this.#memory.keep(route, 'unwritable', [], () => unwritableKeys(route, [])[0]);
      if (odd !== undefined) this.#refuse(index, { policyKey: undefined, message: `${odd} is not possible as a key` });
    });
  }

  get refused(): readonly RefusedRoute[] {
    return [...this.#refused.values()];
  }

  *parts(): InSteps<CheckedParts> {
    const kept = [...this.#routes.entries()].filter((entry): entry is [number, Data] => entry[1] !== undefined);
    this.#places = kept.map(([index]) => index);
    this.#touched.clear();
    const routes = [...kept.map(([, route]) => route), ...this.#frame.isolated];
    this.#listeners = this.#listeners.map((listener) => withoutBad(listener, this.#bad));
    return {
      base: { ...this.#frame.base, listeners: this.#listeners },
      upstreams: yield* mapInSteps(
        this.#upstreams,
        ([name, data]) => [name, checkUpstream(name, data, this.#memory)] as const,
      ),
      routes: yield* mapInSteps(routes.length > 0 ? routes : [NOTHING], (route) => checkRoute(route, this.#memory)),
    };
  }

  /** Takes out what a problem is about. @returns false: it is about nothing that could be taken out */
  without({ path, message }: DataProblem): boolean {
    const [section, which, ...inner] = path;
    if (section === 'routes' && typeof which === 'number') {
      const index = this.#places[which];
      return index !== undefined && this.#refuse(index, { ...placeIn(inner), message });
    }
    if (section === 'upstreams' && typeof which === 'string') return this.#withoutTargets(which);
    if (section === 'listeners' && typeof which === 'number' && inner[1] === 'certificates') {
      return this.#withoutCertificate(which, inner[2]);
    }
    return false;
  }

  #refuse(index: number, found: Omit<RefusedRoute, 'planned'>): boolean {
    const planned = this.#planned[index];
    const route = this.#routes[index];
    if (planned === undefined || route === undefined) return false;
    // Several problems of one round are about the route as it was: it is answered 503 for all of them.
    if (this.#touched.has(index)) return true;
    this.#touched.add(index);
    if (this.#refused.has(index)) this.#routes[index] = undefined;
    else {
      this.#refused.set(index, { planned, ...found });
      this.#routes[index] = this.#memory.keep(planned, 'withheld', [], () =>
        withheldRoute({ name: planned.name, match: plainest(planned) }),
      );
    }
    return true;
  }

  #withoutTargets(name: string): boolean {
    if (sizeOf(this.#upstreams.get(name)) === 1) return false;
    this.#upstreams.set(name, { targets: [] });
    return true;
  }

  /** The last one stays: a listener without any does not compile, and the certificates before are better than none. */
  #withoutCertificate(listener: number, which: unknown): boolean {
    const certificates = this.#listeners[listener]?.tls?.certificates ?? [];
    const left = certificates.filter((one) => !this.#bad.has(one));
    if (typeof which !== 'number' || left.length < 2) return false;
    this.#bad.add(certificates[which]);
    return true;
  }
}

function withoutBad(listener: ListenerData, bad: ReadonlySet<unknown>): ListenerData {
  if (listener.tls === undefined) return listener;
  const certificates = listener.tls.certificates.filter((one) => !bad.has(one));
  return { ...listener, tls: { ...listener.tls, certificates } };
}

function sizeOf(value: unknown): number {
  return Object.keys(value ?? {}).length;
}

function sharedKeys(parameters: HoldfastParameters | undefined): Data {
  const given = parameters?.configuration ?? {};
  return Object.fromEntries(SHARED_KEYS.flatMap((key) => (Object.hasOwn(given, key) ? [[key, given[key]]] : [])));
}

/** @param path below the route */
function placeIn(path: ConfigPath): { readonly policyKey: string | undefined } {
  const ofPolicy = POLICY_KEYS.some((one) => one === path[0]);
  return { policyKey: ofPolicy ? `spec.${path.join('.')}` : undefined };
}

/** What is left of a match that may itself be what is wrong: its path, for all requests that it could have meant. */
function plainest({ match, ports }: PlannedRoute): Data {
  const { host, path } = match;
  return { listeners: ports.map((port) => `p${port}`), ...(host !== undefined && { host }), path };
}

/**
 * A hostname of a listener is its own, though it may have no route: requests for it are not for a listener with a wider one.
 */
function isolatingRoutes(
  port: number,
  here: readonly JudgedListener[],
  planned: readonly PlannedRoute[],
): readonly Data[] {
  if (here.length < 2) return [];
  const hosts = new Set(planned.filter(({ ports }) => ports.includes(port)).map(({ match }) => match.host));
  return here.flatMap(({ hostname }, index) => {
    const host = hostPattern(hostname);
    if (host === undefined || hosts.has(host)) return [];
    return [{ name: `none.p${port}.${index}`, match: { listeners: [`p${port}`], host, path: '/*' }, ...NOT_FOUND }];
  });
}

function writeListener(port: number, here: readonly JudgedListener[]): ListenerData {
  const secure = here.some(({ spec }) => spec.protocol === 'HTTPS');
  const usual = port === 443;
  const client = here.find((one) => one.client !== undefined)?.client;
  return {
    name: `p${port}`,
    bind: `0.0.0.0:${targetPort(port)}`,
    // A port in Host says nothing about where a plain request was sent; over TLS htu is held to the port that clients call.
    origins: secure ? (usual ? ['https://*'] : [`https://*:${port}`, 'https://*']) : ['http://*:*'],
    fall_through: true,
    ...(secure ? { tls: tlsOf(here) } : { insecure_plain_http: true }),
    ...(client !== undefined && {
      client_certificate: client.insecureFallback
        ? { request: 'optional', verify: 'possession' }
        : { request: 'required', verify: 'chain', ca_file: inlineFile(client.ca) },
    }),
  };
}

/** The hostname of a listener has separate connections, as the API has it for listeners of one port. */
function tlsOf(here: readonly JudgedListener[]): NonNullable<ListenerData['tls']> {
  const hosts = [...new Set(here.flatMap(({ hostname }) => hostPattern(hostname) ?? []))];
  return { certificates: certificatesOf(here), ...(here.length > 1 && hosts.length > 0 && { sni_hosts: hosts }) };
}

/**
 * Each once, for the hostnames of its listeners: whom a name in a certificate belongs to, the certificate does not know. Those of
 * the Gateway come first; the first of all is the default.
 */
function certificatesOf(here: readonly JudgedListener[]): readonly Data[] {
  const ordered = here.toSorted((a, b) => Number(b.owner.kind === 'Gateway') - Number(a.owner.kind === 'Gateway'));
  const hosts = new Map<string, { readonly key: string; readonly names: Set<string | undefined> }>();
  for (const { certificates, hostname } of ordered) {
    for (const { cert, key } of certificates) {
      const one = hosts.get(cert) ?? { key, names: new Set() };
      hosts.set(cert, { ...one, names: one.names.add(hostPattern(hostname)) });
    }
  }
  return [...hosts].map(([cert, { key, names }]) => ({
    cert: inlineFile(cert),
    key_file: inlineFile(key),
    ...(!names.has(undefined) && { names: [...names] }),
  }));
}
