// Compilation of protected resources, checked against listeners and issuers.

import { sharedPattern } from '../../http/host-pattern.ts';
import { hostOf, readOrigin } from '../../http/uri.ts';
import type { Listener, ResourceRules, Route } from '../../policy/policy.ts';
import { metadataKey } from '../../policy/protected-resource.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';
import { type Compilation, listed } from './compilation.ts';

type ResourceConfig = NonNullable<Config['routes'][number]['resource']>;

/** Parameters that are written as they are: name in the document → key. */
const WRITTEN = {
  resource_name: 'name',
  resource_documentation: 'documentation',
  resource_policy_uri: 'policy_uri',
  resource_tos_uri: 'tos_uri',
} as const;

export function compileResource(config: ResourceConfig): ResourceRules {
  const written = Object.entries(WRITTEN).flatMap(([parameter, key]) => {
    const value = config[key];
    return value === undefined ? [] : [[parameter, value] as const];
  });
  return {
    identifier: config.identifier,
    scopesSupported: config.scopes_supported,
    written: Object.fromEntries(written),
    signedBy: config.signed_metadata && (config.signed_metadata.issuer ?? config.identifier),
  };
}

/**
 * Problems: an identifier at an origin that no listener of its route has, so that its document could never be fetched; two routes
 * that write different things about one resource, or spell it in two ways. Warnings: tokens asked for by the identifier (RFC 8707) that no issuer of the
 * route makes for it.
 */
export function checkResources(
  compilation: Compilation,
  listeners: readonly Listener[],
  routes: ReadonlyMap<Route, ConfigPath>,
): void {
  const seen = new Map<string, readonly [ResourceRules, ConfigPath]>();
  for (const [route, at] of routes) {
    const { resource, demand, match } = route;
    if (resource === undefined) continue;
    const here = [...at, 'resource'];
    const origins = listeners
      .filter(({ name }) => match.listeners?.includes(name) ?? true)
      .flatMap((listener) => listener.origins);
    checkOrigin(compilation, here, resource.identifier, origins);
    const others = demand.issuers.filter(({ audience }) => !audience.includes(resource.identifier));
    if (others.length > 0) {
      compilation.warning(
        [...here, 'identifier'],
        `is not an audience of ${listed(others.map(({ name }) => name))}: a token that a client asks for by it (RFC 8707) is refused`,
      );
    }
    const document = metadataKey(resource.identifier);
    const [before, place] = seen.get(document) ?? [];
    if (before === undefined || place === undefined) seen.set(document, [resource, here]);
    else if (before.identifier === resource.identifier) checkAgreement(compilation, here, [resource, before], place);
    else {
      compilation.problem(
        [...here, 'identifier'],
        `has its document where that of ${before.identifier} is (${compilation.placeOf([...place, 'identifier'])}), expected one spelling`,
      );
    }
  }
}

function checkOrigin(compilation: Compilation, at: ConfigPath, identifier: string, origins: Listener['origins']): void {
  const origin = readOrigin(/^https:\/\/[^/?#]+/i.exec(identifier)?.[0] ?? '');
  const host = hostOf(origin?.authority ?? '');
  const port = origin?.authority.slice(host.length);
  const fits = origins.some(({ scheme, authority }) => {
    const [hosts, itsPort] = [hostOf(authority), authority.slice(hostOf(authority).length)];
    return scheme === origin?.scheme && (itsPort === port || itsPort === ':*') && sharedPattern(hosts, host) === host;
  });
  if (fits) return;
  const known = listed(origins.map(({ scheme, authority }) => `${scheme}://${authority}`));
  compilation.problem([...at, 'identifier'], `is at no origin of a listener of this route, expected one at ${known}`);
}

function checkAgreement(
  compilation: Compilation,
  at: ConfigPath,
  [resource, before]: readonly [ResourceRules, ResourceRules],
  place: ConfigPath,
): void {
  for (const [parameter, key] of Object.entries(WRITTEN)) {
    const [value, other] = [resource.written[parameter], before.written[parameter]];
    if (value === undefined || other === undefined || value === other) continue;
    compilation.problem(
      [...at, key],
      `differs from what another route says of the same resource (${compilation.placeOf([...place, key])}), expected it once`,
    );
  }
}
