// The options of `holdfast controller` alone, as rows of the table of commands.

/** `spec.controllerName` of GatewayClasses, unless it is said otherwise. */
export const CONTROLLER_NAME = 'holdfast.internal/gateway-controller';

export const CONTROLLER_OPTIONS = {
  image: { type: 'string', value: 'IMAGE', about: 'the image of data planes' },
  'image-pull-policy': {
    type: 'string',
    value: 'POLICY',
    completes: ['Always', 'IfNotPresent', 'Never'],
    about: "when nodes pull it; by default Kubernetes' own choice",
  },
  'image-pull-secret': {
    type: 'string',
    multiple: true,
    value: 'NAME',
    about: 'a Secret in the namespace of the controller with which nodes pull it; may be repeated',
  },
  'controller-name': {
    type: 'string',
    value: 'NAME',
    about: `whose GatewayClasses are meant; ${CONTROLLER_NAME} by default`,
  },
  namespace: {
    type: 'string',
    value: 'NAMESPACE',
    about: 'where data planes and the Lease are made; by default that of the pod',
  },
  'secrets-in': {
    type: 'string',
    multiple: true,
    value: 'NAMESPACE',
    about: "a namespace whose Secrets (certificates of listeners) are read; may be repeated; '*' is all of them",
  },
  telemetry: {
    type: 'string',
    value: 'ADDRESS',
    about: 'where /livez, /readyz and /metrics are served; 0.0.0.0:9902 by default',
  },
} as const;
