// The catalogue of attacks for every proxy in front of Holdfast, as bytes on the wire.

import { hosted, line, MALFORMED, MISDIRECTED, UNKNOWN_METHODS } from '../../hostile/attacks/authority.ts';
import { FORBIDDEN, HOP_BY_HOP, MANAGED, REFUSED_LINES } from '../../hostile/attacks/fields.ts';
import { AMBIGUOUS, BROKEN, CHUNKED, POST } from '../../hostile/attacks/framing.ts';
import { DISGUISED } from '../../hostile/attacks/paths.ts';
import { HOST } from '../../hostile/rig.ts';

export interface Attack {
  readonly group: string;
  readonly name: string;
  /** As latin1. */
  readonly bytes: string;
  /** What proxy mode does with it: refuses, or forwards without what is dangerous in it. */
  readonly proxy: 'refuses' | 'forwards cleaned';
}

const GET = `GET /x HTTP/1.1\r\n${HOST}`;
/** Behind every attack: a request for what only a token opens, and one that ends the connection. */
const HIDDEN = `GET /admin/hidden HTTP/1.1\r\n${HOST}\r\n`;
const LAST = `GET /admin/last HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;

type Entry = readonly [name: string, bytes: string];

function group(name: string, entries: readonly Entry[], proxy: Attack['proxy'] = 'refuses'): readonly Attack[] {
  return entries.map(([what, bytes]) => ({ group: name, name: what, bytes: `${bytes}${HIDDEN}${LAST}`, proxy }));
}

const start = (bytes: string) => JSON.stringify(bytes.replace(`\r\n${HOST}\r\n`, '').slice(0, 60)).slice(1, -1);

export const ATTACKS: readonly Attack[] = [
  ...group(
    'paths',
    DISGUISED.map((path) => [path, line(path)]),
  ),
  ...group(
    'field lines',
    Object.entries(REFUSED_LINES).map(([what, lines]) => [what, `${GET}${lines}\r\n`]),
  ),
  ...group(
    'imitated fields',
    FORBIDDEN.map((field) => [field.replaceAll('\r\n', ' / '), `${GET}${field}\r\n\r\n`]),
  ),
  ...group(
    'managed fields',
    [...MANAGED, ...HOP_BY_HOP.filter((field) => !/^(?:cookie|x-hop)/i.test(field))].map((field) => [
      field,
      `${GET}${field}\r\n\r\n`,
    ]),
    'forwards cleaned',
  ),
  ...group(
    'framing',
    Object.entries(AMBIGUOUS).map(([what, bytes]) => [what, bytes]),
  ),
  ...group(
    'chunked bodies',
    Object.entries(BROKEN).map(([what, body]) => [what, `${POST}${CHUNKED}\r\n${body}`]),
  ),
  ...group(
    'trailers',
    [
      [
        'fields in trailers',
        `${POST}${CHUNKED}\r\n5\r\nhello\r\n0\r\nX-Auth-Subject: admin\r\nHost: evil.example\r\n\r\n`,
      ],
    ],
    'forwards cleaned',
  ),
  ...group('targets and hosts', [
    ...MALFORMED.map((bytes): Entry => [start(bytes), bytes]),
    ...MISDIRECTED.map((host): Entry => [`Host: ${host}`, hosted(host)]),
    ...UNKNOWN_METHODS.map((method): Entry => [`${method} /x HTTP/1.1`, line('/x', HOST, method)]),
    ['TRACE /x HTTP/1.1', line('/x', `${HOST}Cookie: secret\r\n`, 'TRACE')],
    ['CONNECT api.example.com:443', `CONNECT api.example.com:443 HTTP/1.1\r\n${HOST}\r\n`],
  ]),
];
