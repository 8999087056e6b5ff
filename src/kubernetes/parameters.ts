// The parameters of a GatewayClass: a shared configuration, and the floor of all demands.

import type { ClusterIndex } from './index.ts';
import { SHARED_KEYS } from './configuration.ts';
import type { GatewayClass, HoldfastParameters } from './objects.ts';
import { demandProblems } from './policy-check.ts';
import { HOLDFAST_GROUP } from './read-common.ts';
import { withFiles } from './shared-files.ts';
import type { WrittenDemand } from './stricter.ts';

/** What holds for all Gateways of a class. */
export interface ClassTerms {
  readonly parameters: HoldfastParameters | undefined;
  readonly floor: WrittenDemand;
  readonly publicWithoutPolicy: boolean;
  /** Why nothing of the class can be served, for people. */
  readonly trouble: string | undefined;
}

/** Without parameters that say something else, every route demands the holder. */
const FLOOR: WrittenDemand = { require: 'sender-constrained' };

/** NOT checked: values of the shared configuration, which are compiled together with the rest. */
export function classTerms(index: ClusterIndex, { parametersRef }: GatewayClass): ClassTerms {
  const failed = (trouble: string): ClassTerms => ({
    parameters: undefined,
    floor: FLOOR,
    publicWithoutPolicy: false,
    trouble,
  });
  if (parametersRef === undefined) {
    return { parameters: undefined, floor: FLOOR, publicWithoutPolicy: false, trouble: undefined };
  }
  const { group, kind, namespace = '', name } = parametersRef;
  if (group !== HOLDFAST_GROUP || kind !== 'HoldfastParameters') {
    return failed(`parametersRef names a ${kind} of ${group}, expected a HoldfastParameters of ${HOLDFAST_GROUP}.`);
  }
  const parameters = index.state.parameters.find(({ meta }) => meta.namespace === namespace && meta.name === name);
  if (parameters === undefined) return failed(`HoldfastParameters ${namespace}/${name} does not exist.`);
  const { memory } = index;
  const foreign = Object.keys(parameters.configuration).filter((key) => !SHARED_KEYS.some((one) => one === key));
  const problems = [
    ...foreign.map((key) => `spec.configuration.${key} is not taken here, expected one of ${SHARED_KEYS.join(', ')}.`),
    ...memory
      .keep(parameters.floor, 'problems', [], () => demandProblems(parameters.floor))
      .map((problem) => problem.replace(/^spec/, 'spec.floor')),
  ];
  const filled = withFiles(index, parameters);
  if ('problems' in filled) problems.push(...filled.problems);
  if (problems.length > 0 || 'problems' in filled) return failed(problems.join('\n'));
  return {
    parameters: { ...parameters, configuration: filled.configuration },
    floor: memory.keep(parameters, 'floor', [], () => ({ ...FLOOR, ...parameters.floor })),
    publicWithoutPolicy: parameters.withoutPolicy === 'public',
    trouble: undefined,
  };
}
