// The CustomResourceDefinitions of policies and parameters, from the schema.

import { stringify } from 'yaml';
import { type SchemaNode, WRITTEN } from '../../src/config/schema/keys.ts';
import { SHARED_KEYS } from '../../src/kubernetes/configuration.ts';
import { POLICY_KEYS } from '../../src/kubernetes/policy-check.ts';
import { HOLDFAST_GROUP } from '../../src/kubernetes/read-common.ts';

type Node = Readonly<Record<string, unknown>>;

const text: Node = { type: 'string' };
/** Of what is not known here the API server would take out the rest without a word; kept, the controller can say what it is. */
const OPEN = { 'x-kubernetes-preserve-unknown-fields': true } as const;
const CONDITIONS: Node = {
  type: 'array',
  maxItems: 8,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
  items: {
    type: 'object',
    required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
    properties: {
      type: text,
      status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
      reason: text,
      message: text,
      observedGeneration: { type: 'integer', format: 'int64' },
      lastTransitionTime: { type: 'string', format: 'date-time' },
    },
  },
};

/** Facts of a JSON Schema (draft 7) that a structural schema of Kubernetes has too. */
const KEPT = ['type', 'enum', 'minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems'];
/** Go's expressions know no looking around, and read \0 in another way. */
const FOREIGN_PATTERN = /\(\?[=!<]|\\0/;

/** A node without its keys that name files: a policy is read far from any. @returns undefined: it is one, or needs one */
function structural(node: SchemaNode): Node | undefined {
  if (node.file === true) return undefined;
  const said = node.description === undefined ? {} : { description: node.description };
  if (node.anyOf !== undefined) return alternatives(node.anyOf, said);
  const kept = Object.fromEntries(Object.entries(node).filter(([key]) => KEPT.includes(key)));
  const { pattern, const: only } = node;
  const items = node.items && structural(node.items);
  if (node.items !== undefined && items === undefined) return undefined;
  const isMapping = node.type === 'object';
  const values = typeof node.additionalProperties === 'object' ? structural(node.additionalProperties) : undefined;
  const properties = node.properties && members(node);
  if (properties === undefined && node.properties !== undefined) return undefined;
  return {
    ...said,
    ...kept,
    ...(only !== undefined && { type: typeof only === 'number' ? 'integer' : typeof only, enum: [only] }),
    ...(typeof pattern === 'string' && !FOREIGN_PATTERN.test(pattern) && { pattern }),
    ...(items && { items }),
    ...(isMapping && values && { additionalProperties: values }),
    ...(isMapping && properties && { ...OPEN, properties }),
  };
}

/** @returns undefined: a member that has to be there cannot be */
function members(node: SchemaNode): Readonly<Record<string, Node>> | undefined {
  const required = (node.required as readonly string[] | undefined) ?? [];
  const found = Object.entries(node.properties ?? {}).map(([key, inner]) => [key, structural(inner)] as const);
  if (found.some(([key, inner]) => inner === undefined && required.includes(key))) return undefined;
  return Object.fromEntries(found.filter((entry): entry is readonly [string, Node] => entry[1] !== undefined));
}

/** A choice among words is one of texts; other alternatives a structural schema cannot tell apart. */
function alternatives(anyOf: readonly SchemaNode[], said: Node): Node {
  const words = anyOf
    .filter((one) => one.const !== false)
    .flatMap((one) =>
      typeof one.const === 'string' ? [one.const] : ((one.enum as readonly unknown[]) ?? [undefined]),
    );
  const isChoice = words.every((word) => typeof word === 'string');
  return isChoice ? { ...said, type: 'string', enum: [...new Set(words)] } : { ...said, ...OPEN };
}

function keysOf(node: SchemaNode | undefined, keys: readonly string[]): Readonly<Record<string, Node>> {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const written = node?.properties?.[key];
      if (written === undefined) throw new Error(`the schema has no key ${key}`);
      const made = structural(written);
      return made === undefined ? [] : [[key, made] as const];
    }),
  );
}

const demand = (): Readonly<Record<string, Node>> => keysOf(WRITTEN.properties?.routes?.items, POLICY_KEYS);

const TARGET: Node = {
  type: 'object',
  required: ['group', 'kind', 'name'],
  properties: {
    group: { type: 'string', enum: ['gateway.networking.k8s.io', 'networking.k8s.io'] },
    kind: { type: 'string', enum: ['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute', 'Ingress'] },
    name: { type: 'string', minLength: 1, maxLength: 253 },
    sectionName: {
      description: 'A listener of the Gateway or ListenerSet, or a rule of the route; absent: the whole of it.',
      type: 'string',
      minLength: 1,
      maxLength: 253,
    },
  },
};

/** What looks at a token has no meaning where no one looks at any. Keys of several types, such as scope, CEL does not see. */
const LOOKS_AT_TOKENS = ['issuers', 'audience', 'dpop', 'signature', 'acr', 'max_auth_age'];

/** Rules that a schema can say (CEL); names with an underscore are as they are there. */
const VALIDATIONS = [
  {
    rule: `!(has(self.require) && self.require == 'public') || !(${LOOKS_AT_TOKENS.map((key) => `has(self.${key})`).join(' || ')})`,
    message: `require: public looks at no token, expected none of ${LOOKS_AT_TOKENS.join(', ')} beside it`,
  },
  {
    rule: "!(has(self.require) && self.require == 'token' && has(self.signature))",
    message: 'signature needs a key to which the token is bound, and require: token takes unbound ones',
  },
];

const FLOOR_NOTE = 'Keys mean what they do on a route of the configuration (docs/configuration.md).';

/** `helm/holdfast-controller/crds/…`: policies, attached by targetRefs. */
export function policyDefinition(): string {
  const spec: Node = {
    type: 'object',
    description: `What is demanded of requests for the targets. What Gateway, listener, route and rule demand holds together. ${FLOOR_NOTE}`,
    required: ['targetRefs'],
    ...OPEN,
    'x-kubernetes-validations': VALIDATIONS,
    properties: { targetRefs: { type: 'array', minItems: 1, maxItems: 16, items: TARGET }, ...demand() },
  };
  const ancestor: Node = {
    type: 'object',
    required: ['ancestorRef', 'controllerName', 'conditions'],
    properties: { ancestorRef: { type: 'object', ...OPEN }, controllerName: text, conditions: CONDITIONS },
  };
  const status: Node = {
    type: 'object',
    properties: {
      ancestors: { type: 'array', maxItems: 16, items: ancestor },
      routes: { description: 'Rules on listeners that it affects.', type: 'integer' },
      effective: {
        description: 'What holds for the first of them, joined with the policies above.',
        type: 'array',
        maxItems: 16,
        items: { type: 'object', ...OPEN },
      },
    },
  };
  return definition({ kind: 'HoldfastPolicy', plural: 'holdfastpolicies', short: 'hfp', spec, status });
}

/** Parameters of GatewayClasses. */
export function parametersDefinition(): string {
  const spec: Node = {
    type: 'object',
    properties: {
      floor: {
        type: 'object',
        description: `What every route of the class demands at least; require is sender-constrained where it is left out. ${FLOOR_NOTE}`,
        ...OPEN,
        'x-kubernetes-validations': VALIDATIONS,
        properties: demand(),
      },
      withoutPolicy: {
        type: 'string',
        enum: ['refuse', 'public'],
        description:
          'Where the floor is public: what becomes of routes to which no policy is attached. refuse, the default, answers 503.',
      },
      configuration: {
        type: 'object',
        description:
          'Keys of the configuration that all Gateways of the class share: issuers, replay, rate_limits and others.',
        ...OPEN,
        properties: Object.fromEntries(SHARED_KEYS.map((key) => [key, { ...OPEN, ...described(key) }])),
      },
      service: { type: 'object', description: 'The Service of each data plane.', ...OPEN },
      deployment: { type: 'object', description: 'The Deployment of each data plane.', ...OPEN },
    },
  };
  return definition({ kind: 'HoldfastParameters', plural: 'holdfastparameters', short: 'hfparams', spec });
}

function described(key: string): Node {
  const description = WRITTEN.properties?.[key]?.description;
  return description === undefined ? {} : { description };
}

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly short: string;
  readonly spec: Node;
  readonly status?: Node;
}

function definition({ kind, plural, short, spec, status }: Definition): string {
  const version = {
    name: 'v1alpha1',
    served: true,
    storage: true,
    ...(status && { subresources: { status: {} } }),
    ...(status && {
      additionalPrinterColumns: [
        { name: 'Accepted', type: 'string', jsonPath: '.status.ancestors[0].conditions[?(@.type=="Accepted")].reason' },
        { name: 'Routes', type: 'integer', jsonPath: '.status.routes' },
        { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      ],
    }),
    schema: {
      openAPIV3Schema: {
        type: 'object',
        required: ['spec'],
        properties: {
          apiVersion: text,
          kind: text,
          metadata: { type: 'object' },
          spec,
          ...(status && { status }),
        },
      },
    },
  };
  const object = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${HOLDFAST_GROUP}`,
      labels: { 'gateway.networking.k8s.io/policy': kind === 'HoldfastPolicy' ? 'Inherited' : 'none' },
    },
    spec: {
      group: HOLDFAST_GROUP,
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase(), shortNames: [short], categories: ['gateway-api'] },
      versions: [version],
    },
  };
  if (kind !== 'HoldfastPolicy') Reflect.deleteProperty(object.metadata, 'labels');
  return `# Made by scripts/generate.ts from the schema of the configuration; do not edit.\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
