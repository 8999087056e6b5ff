// The check of one policy by itself, in the words of the configuration's own schema.

import { checkConfig } from '../config/schema/check.ts';
import { FILE_KEYS } from '../config/schema/marked-keys.ts';
import { select } from '../config/schema/select.ts';
import { formatPath } from '../config/problem.ts';
import { mapping, scalarAt } from './json.ts';
import type { WrittenDemand } from './stricter.ts';

/** Keys of a route that a policy may have: what is demanded of requests, and what the upstream is told of their senders. */
export const POLICY_KEYS = [
  'require',
  'issuers',
  'audience',
  'dpop',
  'signature',
  'forward',
  'scope',
  'claims',
  'acr',
  'max_auth_age',
  'shadow',
  'cors',
  'resource',
  'rate_limit',
  'encoded',
  'limits',
] as const;

const KEYS: ReadonlySet<string> = new Set(POLICY_KEYS);
/** Characters of a policy: it is written out for every rule that it is about. */
const SIZE = 16_384;
/** Place of the policy in the configuration that is checked. */
const AT = ['routes', 0];

/**
 * Everything that is wrong with a policy by itself, as lines for people: `spec.dpop.max_age is …, expected …`.
 * NOT checked: what its keys mean together with others, and whether the names in it exist.
 */
export function demandProblems(demand: WrittenDemand): readonly string[] {
  const { length } = JSON.stringify(demand);
  if (length > SIZE) return [`spec has ${length} characters, expected at most ${SIZE}.`];
  const foreign = Object.keys(demand).filter((key) => !KEYS.has(key));
  const route = { name: 'policy', match: { path: '/*' }, ...demand };
  const data = { version: 1, listeners: [{ name: 'a', bind: '127.0.0.1:1' }], routes: [route] };
  const { findings } = checkConfig(data, (path) => scalarAt(data, path));
  return [
    ...foreign.map((key) => `spec.${key} is not a key of a policy, expected one of ${POLICY_KEYS.join(', ')}.`),
    ...findings.map(({ path, message }) => `${shownPath(path)} ${message}.`),
    ...fileKeys(data).map((path) => `${shownPath(path)} names a file, which a policy may not.`),
    ...unwritableKeys(demand, ['spec']).map((path) => `${path} is not possible as a key.`),
  ];
}

/** `spec.dpop.max_age` of a place in the route. */
function shownPath(path: readonly (string | number)[]): string {
  return formatPath(['spec', ...path.slice(AT.length)]);
}

function fileKeys(data: object): readonly (readonly (string | number)[])[] {
  return FILE_KEYS.filter((key) => key.startsWith('routes.')).flatMap((key) => select(data, key).map(([path]) => path));
}

/** Keys that a configuration file cannot have: a `${` would be read as one of the environment. */
export function unwritableKeys(value: unknown, path: readonly (string | number)[]): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => unwritableKeys(item, [...path, index]));
  return Object.entries(mapping(value) ?? {}).flatMap(([key, inner]) =>
    key === '__proto__' || key.includes('${') ? [formatPath([...path, key])] : unwritableKeys(inner, [...path, key]),
  );
}
