// The configuration of one data plane, compiled before it is handed out.

import type { ConfigPath } from '../config/problem.ts';
import { weakerKeys } from '../config/compile/weaker.ts';
import type { Config } from '../config/schema/schema.ts';
import { compileProblems, type DataProblem } from './compile-check.ts';
import { hostPattern } from './hostname.ts';
import { type JudgedListener, servingPorts, targetPort } from './listeners.ts';
import type { HoldfastParameters } from './objects.ts';
import { inlineFile } from './shared-files.ts';
import { unwritableKeys, POLICY_KEYS } from './policy-check.ts';
import { type PlannedRoute, withheldRoute, writeRoute } from './plan.ts';

type Data = Record<string, unknown>;

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

/** Operators' ports: probes come from outside of the pod, the rest stays inside. */
const TELEMETRY = { bind: '0.0.0.0:9902' };
/** Where nothing is served, the process still has something to bind, which no one reaches. */
const IDLE = { name: 'none', bind: '127.0.0.1:10000' };
const NOT_FOUND = { respond: { status: 404 }, require: 'public', weaker_than_defaults: ['require'] };
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
 * @param now seconds since the epoch
 */
export function configure(
  listeners: readonly JudgedListener[],
  planned: readonly PlannedRoute[],
  {
    upstreams,
    parameters,
    now,
  }: {
    readonly upstreams: Readonly<Record<string, unknown>>;
    readonly parameters: HoldfastParameters | undefined;
    readonly now: number;
  },
): Configured {
  const ports = servingPorts(listeners);
  const isolated = [...ports].flatMap(([port, here]) => isolatingRoutes(port, here, planned));
  const draft = new Draft(planned, {
    version: 1,
    telemetry: TELEMETRY,
    ...sharedKeys(parameters),
    listeners: ports.size === 0 ? [IDLE] : [...ports].map(([port, here]) => writeListener(port, here)),
    upstreams: { ...upstreams },
  });
  let problems: readonly DataProblem[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const data = draft.data(isolated);
    problems = compileOnce(data, now);
    if (problems.length === 0) {
      return { configuration: escaped(data) as object, refused: draft.refused, problems: [] };
    }
    const changes = problems.map((problem) => draft.without(problem));
    if (!changes.includes(true)) break;
  }
  const texts = problems.map(({ path, message }) => `${path.join('.')} ${message}`);
  return { configuration: undefined, refused: draft.refused, problems: texts };
}

interface ListenerData extends Data {
  readonly tls?: { readonly certificates: readonly Data[] };
}

interface DraftData extends Data {
  readonly routes: Data[];
}

/** A configuration from which parts are taken that do not compile. */
class Draft {
  readonly #planned: readonly PlannedRoute[];
  readonly #base: Data;
  /** Undefined: left out. */
  readonly #routes: (Data | undefined)[];
  readonly #refused = new Map<number, RefusedRoute>();
  /** Refused since the data was made last. */
  readonly #touched = new Set<number>();
  /** Of the data that was made last: which planned route is at which place. */
  #places: readonly number[] = [];
  #listeners: readonly ListenerData[];
  readonly #bad = new Set<unknown>();

  constructor(planned: readonly PlannedRoute[], base: Data & { readonly listeners: readonly ListenerData[] }) {
    this.#planned = planned;
    this.#base = base;
    this.#listeners = base.listeners;
    this.#routes = planned.map(writeRoute);
    for (const [index, route] of this.#routes.entries()) {
      const odd = unwritableKeys(route, [])[0];
      if (odd !== undefined) this.#refuse(index, { policyKey: undefined, message: `${odd} is not possible as a key` });
    }
  }

  get refused(): readonly RefusedRoute[] {
    return [...this.#refused.values()];
  }

  data(isolated: readonly Data[]): DraftData {
    const kept = [...this.#routes.entries()].filter((entry): entry is [number, Data] => entry[1] !== undefined);
    this.#places = kept.map(([index]) => index);
    this.#touched.clear();
    const routes = [...kept.map(([, route]) => route), ...isolated];
    this.#listeners = this.#listeners.map((listener) => withoutBad(listener, this.#bad));
    return {
      ...this.#base,
      listeners: this.#listeners,
      routes: routes.length > 0 ? routes : [{ name: 'none', match: { path: '/*' }, ...NOT_FOUND }],
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
      this.#routes[index] = withheldRoute({ name: planned.name, match: plainest(planned) });
    }
    return true;
  }

  #withoutTargets(name: string): boolean {
    const upstreams = this.#base.upstreams as Data;
    if (sizeOf(upstreams[name]) === 1) return false;
    upstreams[name] = { targets: [] };
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
  return { ...listener, tls: { certificates: listener.tls.certificates.filter((one) => !bad.has(one)) } };
}

function sizeOf(value: unknown): number {
  return Object.keys(value ?? {}).length;
}

/** Compiles, with `weaker_than_defaults` filled in: what a policy may demand, the floors have decided. */
function compileOnce(data: DraftData, now: number): readonly DataProblem[] {
  const { config, problems } = compileProblems(data, now);
  if (config === undefined) return problems;
  let changed = false;
  for (const [index, route] of config.routes.entries()) {
    const weaker = weakerKeys(route, config.defaults);
    const written = data.routes[index];
    if (written === undefined || sameKeys(weaker, route)) continue;
    written.weaker_than_defaults = weaker;
    changed = true;
  }
  return changed ? compileProblems(data, now).problems : problems;
}

function sameKeys(weaker: readonly string[], { weaker_than_defaults: named }: Config['routes'][number]): boolean {
  return weaker.length === named.length && weaker.every((key) => named.some((one) => one === key));
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
    ...(secure ? { tls: { certificates: certificatesOf(here) } } : { insecure_plain_http: true }),
    ...(client !== undefined && {
      client_certificate: client.insecureFallback
        ? { request: 'optional', verify: 'possession' }
        : { request: 'required', verify: 'chain', ca_file: inlineFile(client.ca) },
    }),
  };
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

/** Texts in which a `${` stands for itself, as configuration files write it. */
function escaped(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', () => '$${');
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, escaped(inner)]));
}
