// A route at work on one listener: its upstream, and all that forwarding needs to know and that no request changes.

import type { ListenerLimits, Route, Timeouts } from '../../policy/policy.ts';
import type { FieldRules } from '../fields/fields.ts';
import type { OpenUpstream } from '../upstream/upstream.ts';

export interface RouteAtWork {
  readonly upstream: OpenUpstream;
  readonly rules: FieldRules;
  readonly timeouts: Timeouts;
  readonly stripPrefix: string | undefined;
  /** Octets of a request's body. */
  readonly bodyLimit: number;
}

/** Octets. A longer Content-Length would be rounded on its way, and the upstream told another one than the client. */
const LONGEST_BODY = Number.MAX_SAFE_INTEGER;

/** Compiled once per policy, route and listener: a route's own limits come before those of the listener. */
export function compileRouteAtWork(
  route: Pick<Route, 'timeouts' | 'stripPrefix' | 'requestBody'>,
  limits: Pick<ListenerLimits, 'requestBody'>,
  rules: FieldRules,
  upstream: OpenUpstream,
): RouteAtWork {
  const { timeouts, stripPrefix } = route;
  const bodyLimit = Math.min(route.requestBody ?? limits.requestBody ?? LONGEST_BODY, LONGEST_BODY);
  return { upstream, rules, timeouts, stripPrefix, bodyLimit };
}
