// A route at work on one listener: all that forwarding needs and requests do not change.

import type { PathRewrite } from '../../policy/edits.ts';
import type { RequestLimits, Route, Timeouts } from '../../policy/policy.ts';
import type { FieldRules } from '../fields/fields.ts';
import type { OpenUpstream } from '../upstream/upstream.ts';
import type { BodyMemory } from './body-memory.ts';
import type { RateRules } from './credit.ts';
import type { ResendRules } from './resending.ts';
import type { MirrorWay } from './mirror-way.ts';

export interface RouteAtWork {
  readonly upstream: OpenUpstream;
  readonly rules: FieldRules;
  readonly timeouts: Timeouts;
  /** undefined: it goes as received. */
  readonly path: PathRewrite | undefined;
  /** Octets of a request's body. */
  readonly bodyLimit: number;
  /** What clients have to send and to take per second. */
  readonly upload: RateRules;
  readonly download: RateRules;
  /** By which its requests share the upstream with other routes; undefined: there are no others. */
  readonly share: string | undefined;
  /** Of the worker. */
  readonly bodies: BodyMemory;
  /** undefined: every answer is the client's. */
  readonly resends: ResendRules | undefined;
  /** To which copies go; undefined: to none. */
  readonly mirrors: readonly MirrorWay[] | undefined;
}

/** What a route is put to work with. */
export interface WorkTerms {
  readonly rules: FieldRules;
  readonly upstream: OpenUpstream;
  readonly bodies: BodyMemory;
  /** Whether other routes have the same upstream. */
  readonly shared: boolean;
  readonly mirrors?: readonly MirrorWay[] | undefined;
}

/** Octets. A longer Content-Length would be rounded on its way, and the upstream told another one than the client. */
const LONGEST_BODY = Number.MAX_SAFE_INTEGER;

/** Compiled once per policy, route and listener: a route's own limits come before those of the listener. */
export function compileRouteAtWork(
  route: Pick<Route, 'name' | 'timeouts' | 'path' | 'limits' | 'retries'>,
  limits: RequestLimits,
  { rules, upstream, bodies, shared, mirrors }: WorkTerms,
): RouteAtWork {
  const { timeouts, path, retries } = route;
  const { requestBody, uploadRate, downloadRate, rateGrace: grace } = { ...limits, ...route.limits };
  return {
    upstream,
    rules,
    timeouts,
    path,
    bodyLimit: Math.min(requestBody, LONGEST_BODY),
    upload: { rate: uploadRate, grace },
    download: { rate: downloadRate, grace },
    share: shared ? route.name : undefined,
    bodies,
    resends: retries && { ...retries, codes: new Set(retries.codes) },
    mirrors,
  };
}

/** @returns where the next request goes; undefined: nowhere */
export type ChooseWay = () => RouteAtWork | undefined;

/**
 * The ways of a route, each with its weight. By chance and not in turn: what a client asks for in a pattern would always meet the
 * same one. None takes the share of another, whatever becomes of its requests (docs/decisions/0111).
 * @param random from 0 to below 1
 */
export function compileChoice(
  ways: readonly { readonly weight: number; readonly way: RouteAtWork | undefined }[],
  random = Math.random,
): ChooseWay {
  const [only] = ways;
  if (ways.length === 1 && only !== undefined && only.weight > 0) return () => only.way;
  const sum = ways.reduce((total, { weight }) => total + weight, 0);
  return () => {
    let left = random() * sum;
    return ways.find(({ weight }) => {
      left -= weight;
      return left < 0;
    })?.way;
  };
}
