// Routes and upstreams of a configuration, each held against the schema by itself and once.

import { weakerKeys } from '../config/compile/weaker.ts';
import type { ConfigPath } from '../config/problem.ts';
import { checkConfig } from '../config/schema/check.ts';
import { defaults } from '../config/schema/route.ts';
import type { Config } from '../config/schema/schema.ts';
import { scalarAt } from './json.ts';
import type { Memory } from './memory.ts';

export type Data = Readonly<Record<string, unknown>>;

/** Something that is wrong with configuration data, at its place. */
export interface DataProblem {
  readonly path: ConfigPath;
  readonly message: string;
}

/** A part as it is handed out, and as the schema reads it. */
export interface CheckedPart<T> {
  readonly data: Data;
  /** Undefined where there are problems. */
  readonly config: T | undefined;
  /** Places below the part. */
  readonly problems: readonly DataProblem[];
}

type RouteConfig = Config['routes'][number];
type UpstreamConfig = Config['upstreams'][string];

const LISTENERS = [{ name: 'a', bind: '127.0.0.1:1' }];
/** Of the configuration, which never names other ones. */
const DEFAULTS = defaults.parse({});

/** With `weaker_than_defaults` filled in: what a policy may demand, the floors have decided. */
export function checkRoute(data: Data, memory: Memory): CheckedPart<RouteConfig> {
  return memory.keep(data, 'checked route', [], () => {
    const { config, problems } = checkData({ routes: [data] }, 2);
    const [route] = config?.routes ?? [];
    if (route === undefined) return { data, config: undefined, problems };
    const weaker = weakerKeys(route, DEFAULTS);
    if (sameKeys(weaker, route)) return { data, config: route, problems };
    return {
      data: { ...data, weaker_than_defaults: weaker },
      config: { ...route, weaker_than_defaults: [...weaker] },
      problems,
    };
  });
}

export function checkUpstream(name: string, data: Data, memory: Memory): CheckedPart<UpstreamConfig> {
  return memory.keep(data, 'checked upstream', [name], () => {
    const { config, problems } = checkData({ upstreams: { [name]: data }, routes: [ROUTE] }, 2);
    return { data, config: config?.upstreams[name], problems };
  });
}

const ROUTE = { name: 'none', match: { path: '/*' } };

/** Everything but routes and upstreams, which are empty. */
export function checkBase(base: Data): {
  readonly config: Config | undefined;
  readonly problems: readonly DataProblem[];
} {
  return checkData({ ...base, upstreams: {}, routes: [ROUTE] }, 0);
}

/** @param depth of the part in the configuration */
function checkData(parts: Data, depth: number) {
  const data = { version: 1, listeners: LISTENERS, ...parts };
  const { config, findings } = checkConfig(data, (path) => scalarAt(data, path));
  const problems = findings.map(({ path, message }) => ({ path: path.slice(depth), message }));
  return { config: problems.length === 0 ? config : undefined, problems };
}

function sameKeys(weaker: readonly string[], { weaker_than_defaults: named }: RouteConfig): boolean {
  return weaker.length === named.length && weaker.every((key) => named.some((one) => one === key));
}
