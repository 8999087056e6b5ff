// Lists of managed fields for proxies that ask Holdfast: what each removes from its client's requests.

import { FOREIGN_PREFIXES } from '../../src/policy/foreign-fields.ts';
import { compileManagedFields } from '../../src/policy/managed-fields.ts';

const SOURCE = 'Made by npm run generate from src/policy: fields by which a client could pass for somebody else.';

/** Needed for the question, or written by the proxy itself. */
const OF_THE_FRONT = new Set(['dpop', 'client-cert']);
/** Members of X-Forwarded-* that products know, for proxies that cannot remove by prefix. */
const FORWARDED = 'port prefix server ssl scheme method uri path by user email groups preferred-username access-token'
  .split(' ')
  .map((name) => `x-forwarded-${name}`);

const names = () => [...compileManagedFields([], []).names].filter((name) => !OF_THE_FRONT.has(name)).toSorted();
/** Of proxies that write `X-Forwarded-*` after removing. */
const known = () => [...new Set([...names(), ...FORWARDED])].toSorted();

/** For nginx, which drops names with an underscore by itself. */
export const nginxFields = () =>
  `# ${SOURCE}\n${known()
    .filter((name) => !name.includes('_'))
    .map((name) => `proxy_set_header ${name} "";\n`)
    .join('')}`;

/** For holdfast.lua of HAProxy. */
export const haproxyFields = () => `${[...names(), ...FOREIGN_PREFIXES.map((prefix) => `${prefix}*`)].join('\n')}\n`;

const identity = 'issuer subject client scope binding thumbprint'.split(' ').map((name) => `x-auth-${name}`);

export const caddyFields = () =>
  `# ${SOURCE}\n${[...names(), ...identity, 'client-cert', ...FOREIGN_PREFIXES.map((prefix) => `${prefix}*`)]
    .map((name) => `request_header -${name}\n`)
    .join('')}`;

export const traefikFields = () =>
  `# ${SOURCE}\nhttp:\n  middlewares:\n    managed-fields:\n      headers:\n        customRequestHeaders:\n${[
    ...known(),
    'client-cert',
  ]
    .map((name) => `          ${name}: ""\n`)
    .join('')}`;
