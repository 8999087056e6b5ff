// The JSON Schema of the configuration, for editors and for schema/holdfast.schema.json.

import { type SchemaNode, WRITTEN } from './keys.ts';

/** May all be in included files, which an editor does not see. */
const INCLUDABLE = ['issuers', 'upstreams', 'routes'];

type Json = Record<string, unknown> & { description?: string };

/**
 * The contract as JSON Schema (draft 7, which editors know): what is written in a file, defaults and descriptions included.
 * Keys that are not built yet say so. A scalar may also be text with `${NAME}` in it, of which nothing is known beforehand.
 * NOT in it: what keys mean together, and bounds that only the schema's own functions know.
 */
export function jsonSchema(): object {
  const generated = structuredClone(WRITTEN) as unknown as Json;
  spellFacts(generated);
  admitEnvironment(generated);
  const { $schema, required, ...rest } = generated;
  const definitions = { environment: { type: 'string', pattern: '\\$\\{' } };
  const inMainFile = (required as string[]).filter((key) => !INCLUDABLE.includes(key));
  return { $schema, title: 'Holdfast configuration', ...rest, required: inMainFile, definitions };
}

/** What the schema states about a key is for people a sentence of its description. */
function spellFacts(node: Json): void {
  const { file: _file, restart, ...rest } = node as Json & SchemaNode;
  const description = `${rest.description ?? ''}${restart ? ' A change needs a restart.' : ''}`;
  for (const fact of ['takes', 'file', 'restart']) delete node[fact];
  if (description !== '') node.description = description;
  for (const inner of children(node)) spellFacts(inner);
}

const ENVIRONMENT = { $ref: '#/definitions/environment' };
/** What is said about a key, in contrast to its value. */
const ABOUT = new Set(['description', 'default']);

function admitEnvironment(node: Json): void {
  for (const inner of children(node)) admitEnvironment(inner);
  if (Array.isArray(node.anyOf)) {
    if (node.anyOf.some(isScalar)) node.anyOf.push(ENVIRONMENT);
    return;
  }
  if (!isScalar(node)) return;
  const scalar: Json = {};
  for (const key of Object.keys(node).filter((name) => !ABOUT.has(name))) {
    scalar[key] = node[key];
    delete node[key];
  }
  node.anyOf = [scalar, ENVIRONMENT];
}

/** Values further in; alternatives are looked through, since they share one place. */
function children(node: Json): readonly Json[] {
  const inner = [...Object.values((node.properties as Json | undefined) ?? {}), node.items, node.additionalProperties];
  const alternatives = (node.anyOf as Json[] | undefined) ?? [];
  return [
    ...(inner.filter((one) => typeof one === 'object' && one !== null) as Json[]),
    ...alternatives.flatMap(children),
  ];
}

function isScalar(node: Json): boolean {
  return 'const' in node || 'enum' in node || ['string', 'number', 'integer', 'boolean'].includes(String(node.type));
}
