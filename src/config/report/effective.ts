// The effective configuration for operators: with defaults, without secrets.

import { stringify } from 'yaml';
import { jsonSchema } from '../schema/json-schema.ts';
import { hideContents } from '../content.ts';
import type { ConfigPath } from '../problem.ts';
import { maskAddresses } from './mask.ts';
import type { ReadPolicy } from '../read/read.ts';

/** A node of the JSON Schema. */
interface Node {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
}

/**
 * The configuration as YAML of the contract: included files merged in, every default written out. What came from the environment
 * stands there as `${NAME}`, as in the file; in addresses userinfo and query are left out; of files only the names are there, since
 * their content was never part of it. `defaults` are shown once and not again under each route.
 */
export function effectiveConfig(read: Pick<ReadPolicy, 'data' | 'written'>): string {
  return stringify(complete(jsonSchema(), read.data, [], read), { lineWidth: 0 });
}

function complete(node: Node, data: unknown, path: ConfigPath, read: Pick<ReadPolicy, 'written'>): unknown {
  const value = data ?? node.default;
  if (Array.isArray(value)) {
    const items = node.items ?? alternative(node, ({ items }) => items !== undefined)?.items ?? {};
    return value.map((item, index) => complete(items, item, [...path, index], read));
  }
  if (typeof value === 'object' && value !== null) return completeMapping(node, value, path, read);
  const written = data === undefined ? undefined : read.written(path);
  const shown = written?.includes('${') ? written : value;
  return typeof shown === 'string' ? maskAddresses(hideContents(shown)) : shown;
}

function completeMapping(node: Node, data: object, path: ConfigPath, read: Pick<ReadPolicy, 'written'>): object {
  const shape = node.properties ? node : (alternative(node, ({ properties }) => properties !== undefined) ?? node);
  const { properties = {}, additionalProperties: any = {} } = shape;
  const given = data as Readonly<Record<string, unknown>>;
  const keys = [...Object.keys(properties), ...Object.keys(given).filter((key) => !Object.hasOwn(properties, key))];
  const entries = keys.map((key) => {
    const inner = Object.hasOwn(properties, key) ? properties[key] : any;
    return [key, complete(typeof inner === 'object' ? inner : {}, given[key], [...path, key], read)] as const;
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function alternative({ anyOf = [] }: Node, fits: (node: Node) => boolean): Node | undefined {
  return anyOf.find(fits);
}
