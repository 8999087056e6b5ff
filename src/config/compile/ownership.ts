// Ownership of included files: one owner per issuer, host and path, and upstream.

import { dirname, resolve, sep } from 'node:path';
import type { Route } from '../../policy/policy.ts';
import { type Upstream, upstreamsOf } from '../../policy/upstream.ts';
import { metadataKey } from '../../policy/protected-resource.ts';
import type { Issuer } from '../../token/issuer.ts';
import type { ConfigPath } from '../problem.ts';
import { FILE_KEYS } from '../schema/marked-keys.ts';
import { select } from '../schema/select.ts';
import { type Compilation, listed } from './compilation.ts';
import { compileGrants, type Grant, grantFor, meets, rivalOf } from './grant.ts';
import { issuerKey, targetKey } from './same.ts';

interface Compiled {
  readonly issuers: ReadonlyMap<string, Issuer>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly routes: ReadonlyMap<Route, ConfigPath>;
}

/**
 * Holds included files to what they were given. Problems, each with both places: an `iss` or an upstream's target that another
 * file has; a route outside of the hosts and paths that the main file gives to its file, or inside of what it gives to others; an
 * upstream of another file, without a grant or with tokens of issuers that are not the main file's; fields to the upstream other
 * than those of the defaults; a protected resource at a place that was not given, or of another file; a secret's file that another file names, or that is not below the folder of the included one; an
 * issuer that would hold back readiness.
 * The main file owns everything, and may have routes inside of what it gives.
 * NOT checked: names of hosts that lead to the same upstream, and links among files.
 */
export function checkOwnership(compilation: Compilation, { issuers, upstreams, routes }: Compiled): void {
  if (compilation.read.config.include.length === 0) return;
  checkIssuers(compilation, issuers);
  checkTargets(compilation, upstreams);
  checkSecrets(compilation);
  const grants = compileGrants(compilation, routes);
  for (const [route, at] of routes) {
    const entry = compilation.read.includedBy(at);
    if (entry === undefined) continue;
    checkPlace(compilation, { route, at, entry }, grants, routes);
    checkUpstreams(compilation, { route, at, entry });
    checkForward(compilation, at);
    checkResource(compilation, { route, at, entry }, grants, routes);
  }
  checkGivenUpstreams(compilation, upstreams);
}

const fileOf = ({ read }: Compilation, at: ConfigPath) => read.position(at).file;

/** The first of several that another file has, where one of the two is included: the later one is in the wrong. */
function ownedElsewhere(
  compilation: Compilation,
  at: ConfigPath,
  earlier: readonly ConfigPath[],
): ConfigPath | undefined {
  return earlier.find((other) => fileOf(compilation, other) !== fileOf(compilation, at));
}

function checkIssuers(compilation: Compilation, issuers: ReadonlyMap<string, Issuer>): void {
  const owners = new Map<string, ConfigPath[]>();
  for (const [name, { issuer }] of issuers) {
    const at = ['issuers', name, 'issuer'];
    const same = owners.get(issuerKey(issuer)) ?? [];
    const other = ownedElsewhere(compilation, at, same);
    if (other !== undefined) {
      compilation.problem(
        at,
        `is the iss of issuer ${other[1]} (${compilation.placeOf(other)}) in another file, and anyone with its keys speaks for ` +
          'it, expected another issuer, or the name of that one in the routes',
      );
    }
    owners.set(issuerKey(issuer), [...same, at]);
    checkReadiness(compilation, name);
  }
}

function checkReadiness(compilation: Compilation, name: string): void {
  const at = ['issuers', name, 'required_for_ready'];
  const { read } = compilation;
  const entry = read.includedBy(at);
  if (entry === undefined || read.written(at) === undefined || !read.config.issuers[name]?.required_for_ready) return;
  compilation.problem(
    at,
    `lets the issuer of an included file (${compilation.placeOf(['include', entry])}) hold back the whole gateway, expected false`,
  );
}

function checkTargets(compilation: Compilation, upstreams: ReadonlyMap<string, Upstream>): void {
  const owners = new Map<string, ConfigPath[]>();
  for (const [name, { targets }] of upstreams) {
    for (const target of targets) {
      const at = ['upstreams', name, 'targets'];
      const same = owners.get(targetKey(target)) ?? [];
      const other = ownedElsewhere(compilation, at, same);
      if (other !== undefined) {
        compilation.problem(
          at,
          `has a target of upstream ${other[1]} (${compilation.placeOf(other)}) in another file, expected other targets, or ` +
            `upstreams: [${other[1]}] for this file in include`,
        );
      }
      owners.set(targetKey(target), [...same, at]);
    }
  }
}

/** Keys whose files hold what only their owner may show or sign with. */
const SECRETS = FILE_KEYS.filter((key) => /(?:key|secret|password)_files?(?:\.\*)?$/.test(key));

/** A secret that an included file names goes to places that it names as well. */
function checkSecrets(compilation: Compilation): void {
  const { read } = compilation;
  const secrets = SECRETS.flatMap((key) => select(read.config, key)).flatMap(([at]) => {
    const { path, inline } = compilation.fileAt(at) ?? {};
    return path === undefined || inline ? [] : [{ at, path, file: fileOf(compilation, at) }];
  });
  for (const { at, path, file } of secrets) {
    const entry = read.includedBy(at);
    if (entry === undefined) continue;
    const other = secrets.find((one) => one.path === path && one.file !== file);
    if (other !== undefined) {
      compilation.problem(at, `is a secret of another file (${compilation.placeOf(other.at)}), expected another file`);
    } else if (!path.startsWith(`${dirname(resolve(file))}${sep}`)) {
      const place = compilation.placeOf(['include', entry]);
      compilation.problem(at, `is not below the folder of this included file (${place}), expected a file that is`);
    }
  }
}

interface IncludedRoute {
  readonly route: Route;
  readonly at: ConfigPath;
  readonly entry: number;
}

function checkPlace(
  compilation: Compilation,
  { route, at, entry }: IncludedRoute,
  grants: readonly Grant[],
  routes: ReadonlyMap<Route, ConfigPath>,
): void {
  const { host, listeners: on } = route.match;
  // Reported where routes are compiled.
  if (host === undefined) return;
  const { listeners } = compilation.read.config;
  const isFinal = listeners.some(({ name, fall_through: falls }) => falls && (on?.includes(name) ?? true));
  const here = { host, path: route.match.path, isFinal };
  const own = grantFor(here, grants, entry);
  const rival = own && rivalOf(here, own, grants);
  if (rival !== undefined) {
    // With a host it is looked for first, whatever the path of the wildcard (route-table.ts).
    const meeting = host === rival.host ? 'is inside of' : 'comes before';
    compilation.problem(
      [...at, 'match'],
      `${meeting} ${rival.written}, which ${rival.entry === undefined ? 'is a route of the main file' : 'is given to others'} ` +
        `(${compilation.placeOf(rival.at)}), expected a path outside of it`,
    );
  }
  if (own !== undefined) return;
  const [taken, place] =
    [...routes].find(
      ([other, where]) => fileOf(compilation, where) !== fileOf(compilation, at) && meets(route.match, other.match),
    ) ?? [];
  const takes = taken && place ? ` and takes requests of route ${taken.name} (${compilation.placeOf(place)})` : '';
  compilation.problem(
    [...at, 'match'],
    `is not given to this file (${compilation.placeOf(['include', entry])})${takes}, expected ${expectedOf(grants, entry, here)}`,
  );
}

function expectedOf(grants: readonly Grant[], entry: number, { host, path }: { host: string; path: string }): string {
  const own = grants.filter((grant) => grant.entry === entry).map(({ written }) => written);
  if (own.length > 0) return `a host and path within ${listed(own)}`;
  return `{ files: …, routes: ["${host}${path}"] } there, or no route here`;
}

/** A route sends to the upstreams of its own file, and to those that it was given. */
function checkUpstreams(compilation: Compilation, included: IncludedRoute): void {
  // An unknown name was reported before.
  for (const { name } of upstreamsOf(included.route)) checkUpstream(compilation, included, name);
}

function checkUpstream(compilation: Compilation, { route, at, entry }: IncludedRoute, name: string): void {
  const { read } = compilation;
  const upstream = ['upstreams', name];
  if (fileOf(compilation, upstream) === fileOf(compilation, at)) return;
  const given = read.config.include[entry]?.upstreams.includes(name) ?? false;
  if (!given) {
    compilation.problem(
      [...at, keyOf(route, name)],
      `is an upstream of another file (${compilation.placeOf(upstream)}), expected one of this file, or ` +
        `upstreams: [${name}] for it in include (${compilation.placeOf(['include', entry])})`,
    );
    return;
  }
  for (const { name: issuer } of [...route.demand.issuers, ...(route.shadow?.issuers ?? [])]) {
    if (read.includedBy(['issuers', issuer]) === undefined) continue;
    compilation.problem(
      [...at, 'issuers'],
      `sends tokens of issuer ${issuer} (${compilation.placeOf(['issuers', issuer])}) to an upstream of the main file ` +
        `(${compilation.placeOf(upstream)}), expected issuers of the main file`,
    );
    return;
  }
}

/** The key by which a route names an upstream. */
function keyOf({ split, mirrors }: Route, name: string): string {
  if (mirrors?.some(({ upstream }) => upstream.name === name)) return 'mirror';
  return split === undefined ? 'upstream' : 'upstreams';
}

/** `host` and `authorization` are about the upstream of the route; all others are read, or managed, by others too. */
const DEFAULTS_ONLY = ['token_exchange', 'identity', 'encoding', 'remove', 'client_certificate', 'assertion'] as const;

function checkForward(compilation: Compilation, at: ConfigPath): void {
  const forward = compilation.read.config.routes[Number(at[1])]?.forward ?? {};
  for (const key of DEFAULTS_ONLY) {
    if (forward[key] === undefined) continue;
    const place = compilation.placeOf(['defaults', 'forward', key]);
    compilation.problem(
      [...at, 'forward', key],
      `is not taken from an included file, expected no ${key}: that of defaults.forward counts (${place})`,
    );
  }
}

/** The document of a resource names issuers of all its routes (RFC 9728 §2): clients of others would be sent to those of this file. */
function checkResource(
  compilation: Compilation,
  { route, at, entry }: IncludedRoute,
  grants: readonly Grant[],
  routes: ReadonlyMap<Route, ConfigPath>,
): void {
  const { resource } = route;
  const url = URL.parse(resource?.identifier ?? '');
  if (resource === undefined || url === null) return;
  const here = [...at, 'resource', 'identifier'];
  const path = url.pathname.replace(/\/$/, '');
  const places = [`${path}/*`, path].filter((one) => one !== '').map((one) => ({ host: url.hostname, path: one }));
  const given = places.some((place) => {
    const own = grantFor(place, grants, entry);
    return own !== undefined && rivalOf(place, own, grants) === undefined;
  });
  if (!given) {
    const place = compilation.placeOf(['include', entry]);
    compilation.problem(here, `is at a place that is not given to this file (${place}), expected one that is`);
  }
  const [, other] =
    [...routes].find(
      ([one, where]) => documentOf(one) === documentOf(route) && fileOf(compilation, where) !== fileOf(compilation, at),
    ) ?? [];
  if (other === undefined) return;
  const place = compilation.placeOf([...other, 'resource', 'identifier']);
  compilation.problem(here, `is the resource of another file (${place}), expected another identifier`);
}

/** Where the document of a route's resource is, in one spelling; undefined: it has none. */
function documentOf({ resource }: Route): string | undefined {
  return resource && metadataKey(resource.identifier).toLowerCase();
}

function checkGivenUpstreams(compilation: Compilation, upstreams: ReadonlyMap<string, Upstream>): void {
  const { read } = compilation;
  const own = [...upstreams.keys()].filter((name) => read.includedBy(['upstreams', name]) === undefined);
  for (const [entry, { upstreams: given }] of read.config.include.entries()) {
    for (const [index, name] of given.entries()) {
      if (own.includes(name)) continue;
      compilation.problem(
        ['include', entry, 'upstreams', index],
        `is not an upstream of the main file, expected one of: ${listed(own)}`,
      );
    }
  }
}
