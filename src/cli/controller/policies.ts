// `holdfast policies`: what holds for the routes of a cluster, and which policies say so.

import { connectCluster } from '../../controller/api.ts';
import { takeSnapshot } from '../../controller/snapshot.ts';
import type { EffectivePolicy } from '../../kubernetes/state.ts';
import { translate } from '../../kubernetes/translate.ts';
import { type CommandLine, UsageError } from '../arguments.ts';
import { EXIT } from '../commands.ts';
import { harmless } from '../layout.ts';
import { type Printed, printFailure } from '../printed.ts';
import { CONTROLLER_NAME } from './options.ts';

const ABOUT = { command: 'policies' } as const;
const ROUTE = /^(?:(?<kind>HTTPRoute|GRPCRoute|Ingress)\/)?(?<namespace>[a-z0-9.-]+)\/(?<name>[a-z0-9.-]+)$/i;

/** Without this kind, what is shown would be weaker than what holds, or nothing. */
const NEEDED = ['HoldfastPolicy', 'HoldfastParameters', 'GatewayClass', 'Gateway', 'HTTPRoute'];

/** Reads the cluster once, and prints what the controller would make of its policies. @throws UsageError */
export async function showPolicies({ operand, options }: CommandLine): Promise<Printed> {
  const json = options.json ?? false;
  const wanted = operand === '' ? undefined : ROUTE.exec(operand)?.groups;
  if (operand !== '' && wanted === undefined) {
    throw new UsageError('ROUTE is not a name; expected NAMESPACE/NAME, or HTTPRoute/NAMESPACE/NAME', ABOUT);
  }
  const cluster = await connectCluster();
  if (typeof cluster === 'string') throw new UsageError(cluster, ABOUT);
  const { state, unread } = await takeSnapshot(cluster.api);
  const missing = unread.filter(({ kind }) => NEEDED.includes(kind));
  if (missing.length > 0) {
    return printFailure(
      EXIT.failed,
      missing.map(({ kind, failure }) => `${kind}: ${failure.message}`).join('; '),
      json,
      `${NEEDS}\n`,
    );
  }
  const controllerName = options['controller-name'] ?? CONTROLLER_NAME;
  const { effective } = translate(state, { controllerName, now: Math.floor(Date.now() / 1000) });
  const shown = effective.filter(({ route }) => wanted === undefined || isMeant(route, wanted));
  if (shown.length === 0 && wanted !== undefined) {
    return printFailure(EXIT.refused, `no Gateway of ${controllerName} serves ${operand}`, json, `${NEXT}\n`);
  }
  const warnings = unread.map(
    ({ kind, failure }) => `${kind} could not be read (${failure.message}): it counts as missing\n`,
  );
  const stdout = json ? `${JSON.stringify(shown, undefined, 2)}\n` : shown.map(describe).join('\n');
  return { exit: EXIT.ok, stdout, stderr: warnings.join('') };
}

const NEEDS =
  'Is this the cluster (kubectl config current-context), are these kinds there (docs/gateway-api.md), and may you list them?';
const NEXT = 'Its status says why: kubectl get httproute NAME -o yaml.';

function isMeant(
  { kind, namespace, name }: EffectivePolicy['route'],
  wanted: Readonly<Record<string, string | undefined>>,
) {
  return namespace === wanted['namespace'] && name === wanted['name'] && (wanted['kind'] ?? kind) === kind;
}

function describe({ gateway, listener, route, rule, ruleName, policies, demand, refusal }: EffectivePolicy): string {
  const which = ruleName === undefined ? `rule ${rule + 1}` : `rule ${rule + 1}, ${ruleName}`;
  const head = `${route.kind} ${route.namespace}/${route.name}, ${which}, on Gateway ${gateway.namespace}/${gateway.name}, listener ${listener}`;
  const lines = [
    `policies  ${policies.length === 0 ? 'none is attached' : policies.join(', ')}`,
    ...(refusal === undefined ? [] : [`refused   ${refusal}`]),
    ...Object.entries(demand ?? {}).map(([key, value]) => `demands   ${key}: ${JSON.stringify(value)}`),
  ];
  return [head, ...lines.map((line) => `  ${line}`)].map((line) => `${harmless(line)}\n`).join('');
}
