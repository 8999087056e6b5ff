// The precedence of gRPC calls: a service comes before a method of any service.

import { shortName } from './backends.ts';
import type { PlannedRoute } from './route-plan.ts';

const OF_SERVICE = /^\/([^/*]+)\/\*$/;
const OF_METHOD = /^\/\*\/([^/*]+)$/;

/** Routes that are added at most: of a thousand services and a thousand methods there would be a million. */
const MOST = 500;

/**
 * The routes, and one more for each call that a match of a service and a match of a method both have: of these the one of the service
 * comes first (GRPCRoute: characters of the service, then those of the method). As paths the other one would, being the longer;
 * and it does beyond 500 such calls.
 */
export function withServicesFirst(routes: readonly PlannedRoute[]): readonly PlannedRoute[] {
  const calls = routes.filter(({ source }) => source.route.kind === 'GRPCRoute');
  const methods = calls.flatMap((one) => {
    const method = OF_METHOD.exec(one.match.path)?.[1];
    return method === undefined ? [] : [{ one, method }];
  });
  if (methods.length === 0) return routes;
  const more: PlannedRoute[] = [];
  for (const service of calls) {
    const name = OF_SERVICE.exec(service.match.path)?.[1];
    if (name === undefined) continue;
    for (const { one, method } of methods) {
      const match = { ...service.match, path: `/${name}/${method}` };
      const ports = service.ports.filter(
        (port) =>
          one.match.host === service.match.host &&
          one.ports.includes(port) &&
          ![...routes, ...more].some((other) => other.ports.includes(port) && isSame(other.match, match)),
      );
      if (ports.length === 0) continue;
      if (more.length === MOST) return [...routes, ...more];
      more.push({ ...service, match, ports, name: shortName(`${service.name}.${method}`) });
    }
  }
  return [...routes, ...more];
}

function isSame(one: PlannedRoute['match'], other: PlannedRoute['match']): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
