// Compilation of upstreams: their targets, and the refusal of plain http over a network.

import { mapInSteps, type InSteps } from '../../long-work.ts';
import { hostOf, readAuthority } from '../../http/uri.ts';
import type { Compilation } from './compilation.ts';
import { isLoopback } from '../../http/address.ts';
import { authoritiesAt, keyPairAt } from './pem.ts';
import type { ConfigPath } from '../problem.ts';
import type { Target, Upstream } from '../../policy/upstream.ts';
import type { Config } from '../schema/schema.ts';

type UpstreamConfig = Config['upstreams'][string];

/**
 * All upstreams by name. Problems: a target that is no host or is there twice, http beyond loopback without `insecure_plain_http`,
 * `tls` where no target is https (but where there is none at all), unreadable certificates. Warnings: `health` with one target, from which requests cannot turn
 * away. NOT checked: that a target exists or is not ourselves, and that names of targets do not lead to the same address.
 */
export function* compileUpstreams(compilation: Compilation): InSteps<ReadonlyMap<string, Upstream>> {
  const entries = Object.entries(compilation.read.config.upstreams);
  const compiled = yield* mapInSteps(entries, ([name, config]) => {
    const compile = () => compileUpstream(compilation, name, config);
    return [name, compilation.keep(config, ['upstreams', name], [name], compile)] as const;
  });
  return new Map(compiled);
}

function compileUpstream(compilation: Compilation, name: string, config: UpstreamConfig): Upstream {
  const at = ['upstreams', name];
  const targets = config.targets.map((target, index) =>
    compileTarget(compilation, [...at, 'targets', index], config, target),
  );
  checkTargetsDiffer(compilation, at, targets);
  if (config.health !== undefined && targets.length === 1) {
    compilation.warning(
      [...at, 'health'],
      'decides nothing, because there is no other target and an unhealthy one is called all the same; it is logged and counted',
    );
  }
  if (config.targets.length === 0)
    compilation.warning([...at, 'targets'], 'is empty: every request is refused (upstream_without_targets)');
  const secure = targets.some((target) => target?.origin.startsWith('https:'));
  if (config.tls !== undefined && !secure && config.targets.length > 0) {
    compilation.problem([...at, 'tls'], 'is never used because no target is https, expected https targets or no tls');
  }
  if (config.insecure_close_delimited && (config.http2 || (!secure && config.targets.length > 0))) {
    const why =
      'is never used because no target is https of HTTP/1.1, where alone such answers are refused; expected without it';
    compilation.problem([...at, 'insecure_close_delimited'], why);
  }
  const pair = keyPairAt(compilation, [...at, 'tls']);
  return {
    name,
    targets: targets.filter((target) => target !== undefined),
    http2: config.http2,
    connections: config.connections,
    tunnels: config.tunnels,
    balance: config.balance,
    health: config.health && {
      path: config.health.path,
      interval: config.health.interval,
      unhealthyAfter: config.health.unhealthy_after,
      healthyAfter: config.health.healthy_after,
    },
    circuit: config.circuit,
    closeDelimited: config.insecure_close_delimited,
    retries: config.retries,
    tls: {
      ca: authoritiesAt(compilation, [...at, 'tls', 'ca_file']),
      cert: pair?.cert,
      key: pair?.key,
      serverName: config.tls?.server_name,
      subjectAltNames: config.tls?.subject_alt_names,
    },
  };
}

/** One that is there twice would get twice as much as the others, and be its own other target. */
function checkTargetsDiffer(compilation: Compilation, at: ConfigPath, targets: readonly (Target | undefined)[]): void {
  const before = new Set<string>();
  for (const [index, target] of targets.entries()) {
    if (target === undefined) continue;
    const name = `${target.socketPath} ${target.origin}`;
    if (before.has(name)) {
      compilation.problem([...at, 'targets', index], 'is listed before, expected each target once');
    }
    before.add(name);
  }
}

function compileTarget(
  compilation: Compilation,
  at: ConfigPath,
  config: UpstreamConfig,
  written: string,
): Target | undefined {
  if (written.startsWith('unix:')) return { origin: 'http://localhost', socketPath: written.slice('unix:'.length) };
  const scheme = written.startsWith('https:') ? 'https' : 'http';
  const authority = readAuthority(written.slice(`${scheme}://`.length), scheme);
  if (authority === undefined) {
    compilation.problem(at, 'is not a valid host with an optional port, expected one such as http://127.0.0.1:9000');
    return undefined;
  }
  if (scheme === 'http' && !isLoopback(hostOf(authority)) && !config.insecure_plain_http) {
    compilation.problem(
      at,
      'is http beyond loopback, where identity fields and tokens can be read and changed, ' +
        'expected https, a loopback address, unix:/path, or insecure_plain_http: true on the upstream',
    );
  }
  return { origin: `${scheme}://${authority}`, socketPath: undefined };
}
