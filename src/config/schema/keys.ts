// The keys of the schema as rows, with the facts that it states about each.

import * as z from 'zod';
import { schema } from './schema.ts';

/** A node of a JSON Schema (draft 7), with the facts of values.ts. */
export interface SchemaNode {
  readonly [member: string]: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  /** What the value is, in the words of the error for another one. */
  readonly takes?: string;
  /** The value names a file. */
  readonly file?: true;
  /** A reload cannot change it. */
  readonly restart?: true;
}

export interface Key {
  /** From the top, with dots; `*`: every name or index. */
  readonly key: string;
  readonly node: SchemaNode;
}

/** The contract as it is written in files: defaults not filled in, durations and sizes as text. */
export const WRITTEN = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' }) as SchemaNode;

/** Parents before their children, in the order of the schema. */
export const KEYS: readonly Key[] = keysBelow(WRITTEN, '');

function keysBelow(node: SchemaNode, path: string): Key[] {
  const named = Object.entries(node.properties ?? {});
  const any = [node.additionalProperties, node.items].filter((one) => typeof one === 'object');
  const below = [...named, ...any.map((inner) => ['*', inner] as const)].flatMap(([name, inner]) => {
    const key = path === '' ? name : `${path}.${name}`;
    return [{ key, node: inner }, ...keysBelow(inner, key)];
  });
  // Alternatives share one place.
  return [...below, ...(node.anyOf ?? []).flatMap((one) => keysBelow(one, path))];
}
