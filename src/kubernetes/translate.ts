// The translation of a cluster into configurations of data planes and statuses of objects.

import { condition } from './condition.ts';
import type { ClusterState, Settings, Translation } from './state.ts';

/**
 * Translates everything that Gateways of our classes serve. The result depends on the arguments alone.
 * @returns in an order that does not depend on that of the objects: equal states give equal translations
 * NOT checked: whether anything that runs has taken the configurations.
 */
export function translate(state: ClusterState, settings: Settings): Translation {
  const classes = state.gatewayClasses.filter(({ controllerName }) => controllerName === settings.controllerName);
  return {
    dataPlanes: [],
    statuses: classes.map(({ meta }) => ({
      group: 'gateway.networking.k8s.io',
      kind: 'GatewayClass',
      namespace: '',
      name: meta.name,
      status: {
        conditions: [
          condition('Accepted', undefined, {
            reason: 'Pending',
            message: 'Not translated yet.',
            generation: meta.generation,
          }),
        ],
      },
    })),
    events: [],
  };
}
