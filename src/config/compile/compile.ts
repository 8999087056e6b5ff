// Compilation of a configuration: a whole policy, or every problem that was found.

import { createHash } from 'node:crypto';
import { allAtOnce, mapInSteps, type InSteps } from '../../long-work.ts';
import type { RateLimit } from '../../rate/limit.ts';
import type { Issuer } from '../../token/issuer.ts';
import { Compilation } from './compilation.ts';
import { compileIssuers } from './issuer.ts';
import { checkEdits, warnOfOpenFields } from './edits.ts';
import { checkPorts, compileListeners } from './listener.ts';
import { checkOwnership } from './ownership.ts';
import { checkChosen, checkReach, publicBesideNonces } from './reach.ts';
import { compileLog } from './log.ts';
import { warnOfLoops } from './loop.ts';
import { checkMatchedFields } from './match.ts';
import { fitConnections, type Machine } from './memory.ts';
import { compileRateLimits, warnOfUnusedLimits } from './rate-limit.ts';
import { compileRedis } from './redis.ts';
import { compileRequestId } from './request-id.ts';
import { checkResources } from './resource.ts';
import { compileSigners } from './signed-metadata.ts';
import { compileRoutes } from './route.ts';
import { warnOfSpellings } from './spelling.ts';
import { compileTracing } from './tracing.ts';
import { warnOfChoices } from './way-around.ts';
import { compileUpstreams } from './upstream.ts';
import { compileManagedFields } from '../../policy/managed-fields.ts';
import { compileMetadata } from '../../policy/protected-resource.ts';
import type { ConfigPath, Problem } from '../problem.ts';
import type { ReadPolicy } from '../read/read.ts';
import { type Upstream, usersOf } from '../../policy/upstream.ts';
import { routeTableInSteps } from '../../policy/route-table.ts';
import type { Listener, ManagedFields, Policy, Route, RouteTable } from '../../policy/policy.ts';

/** Proofs per second and worker for which `replay.capacity: auto` has room. */
const PROOFS_PER_SECOND = 6000;
/** `workers: auto` takes no more cores than this: beyond it other things are the limit. */
const AUTO_WORKERS = 4;
const NONCE_SECRET_BYTES = 32;

export type Compiled =
  | { readonly policy: Policy; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[] };

/**
 * Compiles what was read into a frozen policy. Problems, all at once, are what the parts of a configuration cannot mean
 * together, and what would weaken the gateway without a key that names the risk. Warnings are for people who read `check`.
 * @param now seconds since the epoch: certificates have to be valid
 * @param machine what this process may use, for `workers: auto` and `connections: auto`
 * NOT checked: single values (schema.ts), and anything beyond the files: no address is bound, no issuer or upstream called.
 */
export function compilePolicy(read: ReadPolicy, now: number, machine?: Machine): Compiled {
  return allAtOnce(policyInSteps(read, now, machine));
}

/** The same in steps. */
export function* policyInSteps(read: ReadPolicy, now: number, machine: Machine = { cores: 1 }): InSteps<Compiled> {
  const compilation = new Compilation(read, now);
  checkPorts(compilation);
  const { listeners, issuers, upstreams, rateLimits, routes } = yield* compileParts(compilation);
  checkOwnership(compilation, { issuers, upstreams, routes });
  yield* checkReach(compilation, listeners, routes);
  checkResources(compilation, listeners, routes);
  yield;
  const signers = compileSigners(compilation);
  const routeTable = yield* compileTable(compilation, listeners, routes);
  const secrets = compileSecrets(compilation);
  const retention = longest(routes, ({ maxAge, clockTolerance }) => maxAge + clockTolerance);
  const clockTolerance = longest(routes, (window) => window.clockTolerance);
  const redis = compileRedis(compilation, { retention, clockTolerance });
  const requestId = compileRequestId(compilation);
  yield;
  checkMatchedFields(compilation, routes, listeners, requestId);
  yield;
  const told = { log: compileLog(compilation), tracing: compileTracing(compilation) };
  const managedFields = compileManaged(compilation, listeners, routes, requestId);
  yield;
  if (compilation.problems.length > 0) return { problems: compilation.problems };
  const { config } = read;
  const workers = config.workers === 'auto' ? Math.min(machine.cores, AUTO_WORKERS) : config.workers;
  const capacity =
    config.replay.capacity === 'auto' ? roomFor(routes, config.nonce.lifetime, workers) : config.replay.capacity;
  const sizes = { workers, capacity, parts: routes.size + upstreams.size };
  const policy: Policy = {
    id: idOf(read),
    workers,
    listeners: fitConnections(compilation, listeners, sizes, machine.memory),
    admin: config.admin.bind,
    telemetry: config.telemetry,
    ...told,
    ...(config.problem_base !== undefined && { problemBase: config.problem_base }),
    drain: config.drain,
    ...withAwaited([...issuers.values()], [...routes.keys()]),
    replay: { capacity, retention, redis },
    nonce: { secrets, lifetime: config.nonce.lifetime },
    upstreams: [...upstreams.values()],
    routes: [...routes.keys()],
    routeTable,
    withoutUpstreamNonce: publicBesideNonces(listeners, routes),
    resourceMetadata: compileMetadata([...routes.keys()], signers),
    managedFields,
  };
  yield;
  yield* mapInSteps(policy.routes, deepFreeze);
  return withWarnings(deepFreeze(policy), compilation, { listeners, routes, routeTable, rateLimits });
}

/** Warnings are looked for when someone asks for them. */
function withWarnings(policy: Policy, compilation: Compilation, sound: Sound): Compiled {
  let isWarned = false;
  return {
    policy,
    get warnings() {
      if (!isWarned) warn(compilation, sound);
      isWarned = true;
      return compilation.warnings;
    },
  };
}

const NO_LIMITS = {};

/** Everything that has a name. */
interface CompiledParts {
  readonly listeners: readonly Listener[];
  readonly issuers: ReadonlyMap<string, Issuer>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly rateLimits: ReadonlyMap<string, RateLimit>;
  readonly routes: ReadonlyMap<Route, ConfigPath>;
}

/** Upstreams and routes that did not change are the objects that they were (`ReadPolicy.kept`). */
function* compileParts(compilation: Compilation): InSteps<CompiledParts> {
  const listeners = compileListeners(compilation);
  const around = aroundRoutes(compilation.read);
  const issuers = compilation.keep(around.issuers, ['issuers'], [around], () => compileIssuers(compilation));
  const upstreams = yield* compileUpstreams(compilation);
  const limits = around.rate_limits ?? NO_LIMITS;
  const rateLimits = compilation.keep(limits, ['rate_limits'], [around], () => compileRateLimits(compilation));
  const names = listeners.map(({ name }) => name);
  const routes = yield* compileRoutes(compilation, { around, listeners: names, issuers, upstreams, rateLimits });
  return { listeners, issuers, upstreams, rateLimits, routes };
}

/** All but upstreams and routes, and the same object for as long as it says the same. */
function aroundRoutes({ config, kept }: ReadPolicy): Omit<ReadPolicy['config'], 'upstreams' | 'routes'> {
  const { upstreams: _upstreams, routes: _routes, ...rest } = config;
  return kept?.surroundings(rest) ?? rest;
}

/** The text of all files, and what of the environment went into it, in some digits. */
function idOf({ text, substitutions }: ReadPolicy): string {
  const filled = JSON.stringify(substitutions.map((one) => one.text));
  return createHash('sha256').update(text).update(filled).digest('hex').slice(0, 8);
}

function* compileTable(
  compilation: Compilation,
  listeners: readonly Listener[],
  routes: ReadonlyMap<Route, ConfigPath>,
): InSteps<RouteTable> {
  const compiled = yield* routeTableInSteps([...routes.keys()], listeners);
  if ('table' in compiled) {
    yield* checkChosen(compilation, listeners, routes, compiled.table);
    return compiled.table;
  }
  for (const { route, other, why } of compiled.ambiguities) {
    const { line, file } = compilation.read.position(routes.get(other) ?? []);
    compilation.problem(
      [...(routes.get(route) ?? []), 'match'],
      `is ambiguous with route ${other.name} (${file}:${line}): ${why}; expected different listeners, hosts, paths, methods, fields or parameters`,
    );
  }
  return new Map();
}

/** Every field that only the gateway may set, which no edit of a route names. */
function compileManaged(
  compilation: Compilation,
  listeners: readonly Listener[],
  routes: ReadonlyMap<Route, ConfigPath>,
  requestId: string | undefined,
): ManagedFields {
  const managed = compileManagedFields([...routes.keys()], listeners, requestId);
  checkEdits(compilation, listeners, routes, managed);
  return managed;
}

function compileSecrets(compilation: Compilation): readonly Uint8Array[] {
  const names = compilation.read.config.nonce.secret_files ?? [];
  return names.map((_, index) => {
    const at = ['nonce', 'secret_files', index];
    const file = compilation.fileAt(at);
    // Reported by read.ts, unless the configuration is only checked.
    if (file === undefined) return new Uint8Array();
    const text = file.content.toString('latin1');
    const secret = Buffer.from(text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ''), 'latin1');
    if (secret.length < NONCE_SECRET_BYTES) {
      compilation.problem(
        at,
        `has too few bytes, expected a secret of at least ${NONCE_SECRET_BYTES}, white space at its ends not counted`,
      );
    }
    return secret;
  });
}

/** Room for every proof that has to be remembered at once (C4.26): by its iat or by the expiry of its nonce, plus tolerance. */
function roomFor(routes: ReadonlyMap<Route, ConfigPath>, nonceLifetime: number, workers: number): number {
  const retention = longest(routes, ({ maxAge, clockTolerance }) => Math.max(maxAge, nonceLifetime) + clockTolerance);
  return Math.ceil(PROOFS_PER_SECOND * retention * workers);
}

/** Seconds, as proofs and message signatures have them. */
type Window = Pick<Route['demand']['dpop'], 'maxAge' | 'clockTolerance'>;

function longest(routes: ReadonlyMap<Route, ConfigPath>, seconds: (window: Window) => number): number {
  let most = 0;
  for (const { demand } of routes.keys()) {
    most = Math.max(most, seconds(demand.dpop), demand.signature ? seconds(demand.signature) : 0);
  }
  return most;
}

/** What has been compiled without a problem. */
interface Sound {
  readonly listeners: readonly Listener[];
  readonly routes: ReadonlyMap<Route, ConfigPath>;
  readonly routeTable: RouteTable;
  readonly rateLimits: ReadonlyMap<string, RateLimit>;
}

/** What takes longer than compiling, and is for people alone. */
function warn(compilation: Compilation, { listeners, routes, routeTable, rateLimits }: Sound): void {
  warnOfSpellings(compilation, listeners, routes, routeTable);
  warnOfChoices(compilation, listeners, routes, routeTable);
  warnOfLoops(compilation, listeners, routes, routeTable);
  warnOfOpenFields(compilation, routes);
  warnOfUnusedLimits(compilation, rateLimits, [...routes.keys()]);
  const { config } = compilation.read;
  for (const [{ name, demand }, at] of routes) {
    if (demand.requirement === 'token') {
      compilation.warning(
        [...at, 'require'],
        `lets unbound tokens pass on route ${name}: anyone who steals one can use it`,
      );
    }
    if (demand.requirement !== 'public' && demand.dpop.nonce === 'on-skew') {
      compilation.warning(
        [...at, 'dpop', 'nonce'],
        'is a clock aid for clients and no protection: only required stops proofs made in advance (RFC 9449 §11.3)',
      );
    }
  }
  const used = [...routes.keys()];
  for (const name of Object.keys(config.issuers)) {
    if (!used.some((route) => looksAt(route, name))) compilation.warning(['issuers', name], 'is used by no route');
  }
  const reached = new Set([...usersOf(used).keys()].map(({ name }) => name));
  for (const name of Object.keys(config.upstreams)) {
    if (!reached.has(name)) compilation.warning(['upstreams', name], 'is used by no route');
  }
}

/** The issuers, and which of them hold readiness back: one that no route looks at does not. */
function withAwaited(issuers: readonly Issuer[], routes: readonly Route[]): Pick<Policy, 'issuers' | 'awaitedIssuers'> {
  const looked = issuers.filter((one) => one.requiredForReady && routes.some((route) => looksAt(route, one.name)));
  return { issuers, awaitedIssuers: new Set(looked.map(({ name }) => name)) };
}

/** Whether tokens of this issuer count on a route, for its demand or for its shadow. */
function looksAt({ demand, shadow }: Route, issuer: string): boolean {
  return [...demand.issuers, ...(shadow?.issuers ?? [])].some(({ name }) => name === issuer);
}

/** Freezes plain objects, lists and what maps hold; bytes cannot be frozen, and the entries of maps and sets are read-only by type. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  if (value instanceof Map) for (const one of value.values()) deepFreeze(one);
  else for (const one of Object.values(value)) deepFreeze(one);
  return Object.freeze(value);
}
