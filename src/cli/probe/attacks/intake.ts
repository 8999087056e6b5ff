// Attacks on the reading of a request: disguised paths, odd lines, two framings.

import { type Attack, refusals, type RefusalRow } from '../attack.ts';
import type { Reply } from '../reply.ts';
import { ANONYMOUS } from '../request.ts';
import type { Meaning, ProbeStage } from '../stage.ts';

/** A host that does not exist (RFC 6761 §6.4). */
const ELSEWHERE = 'probe.invalid';

/** Is this the protected content? A status alone may be that of a public path. */
function meaningOfPath(stage: ProbeStage, reply: Reply): Meaning {
  if ('kind' in reply || reply.status >= 300 || stage.settings.marker !== undefined) return stage.meaningOf(reply);
  // Without a text that both answers to the good request have in common, no one can tell.
  if (stage.fixed === undefined) return 'unclear';
  return reply.content === stage.fixed ? 'reached' : 'refused';
}

/** A redirect leads away; it is not followed. */
const REFUSED = [301, 302, 303, 307, 308, 400, 401, 403, 404];

const disguised = (id: string, what: string, target: (path: string, host: string) => string): RefusalRow => ({
  id: `path-${id}`,
  what: `no token, ${what}`,
  section: 'RFC 3986 §6.2.2',
  departure: ({ settings: { path, query, host } }) => ({ ...ANONYMOUS, target: target(path, host) + query }),
});

/** The first letter of the path percent-encoded. */
const encoded = (path: string) => path.replace(/[a-z0-9]/i, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
/** The last slash but the first one percent-encoded. */
const slashed = (path: string) => path.replace(/(?<=.)\/(?=[^/]*$)/, '%2F');

const PATHS: readonly RefusalRow[] = [
  disguised('slashes', 'two slashes at the beginning', (path) => `/${path}`),
  disguised('dot', '/./ at the beginning', (path) => `/.${path}`),
  disguised('dots', 'behind /probe/..', (path) => `/probe/..${path}`),
  disguised('encoded-dots', 'behind /probe/%2e%2e', (path) => `/probe/%2e%2e${path}`),
  disguised('overlong-dots', 'behind /probe/%c0%ae%c0%ae', (path) => `/probe/%c0%ae%c0%ae${path}`),
  disguised('letter', 'a letter percent-encoded', encoded),
  disguised('slash', 'a slash percent-encoded', slashed),
  disguised('twice', 'a letter percent-encoded twice', (path) => encoded(path).replace('%', '%25')),
  disguised('parameters', 'a parameter behind the first segment', (path) => path.replace(/^\/[^/]+/, '$&;probe')),
  disguised('backslash', 'a backslash instead of the first slash', (path) => `/\\${path.slice(1)}`),
  disguised('case', 'in capitals', (path) => path.toUpperCase()),
  disguised('end-slash', 'a slash at the end', (path) => `${path}/`),
  disguised('end-dot', '/. at the end', (path) => `${path}/.`),
  disguised('end-space', '%20 at the end', (path) => `${path}%20`),
  disguised('end-nul', '%00 at the end', (path) => `${path}%00`),
  disguised('end-hash', '%23 at the end', (path) => `${path}%23`),
  disguised('end-suffix', '.json at the end', (path) => `${path}.json`),
  disguised('absolute', 'in absolute form', (path, host) => `https://${host}${path}`),
  disguised('absolute-other', 'in absolute form of another host', (path) => `http://${ELSEWHERE}${path}`),
];

/** Between a public path and the protected one. */
const BRIDGES: readonly (readonly [id: string, bridge: string])[] = [
  ['dots', '/..'],
  ['encoded-dots', '/%2e%2e'],
  ['half-encoded-dots', '/.%2e'],
  ['encoded-slash', '/..%2f'],
  ['parameters', '/..;'],
  ['backslash', '/..\\'],
  ['encoded-backslash', '/..%5c'],
  ['overlong', '/%c0%ae%c0%ae'],
];

/** As many steps up as the public path has segments. */
const bridged =
  (bridge: string) =>
  ({ settings: { publicPath = '', path, query } }: ProbeStage) => {
    const up = bridge.repeat(publicPath.split('/').length - 1);
    const rest = /(?:%2f|%5c|\\)$/.test(bridge) ? path.slice(1) : path;
    return { ...ANONYMOUS, target: publicPath + up + rest + query };
  };

const REWRITING = ['X-Original-URL', 'X-Rewrite-URL', 'X-Original-URI', 'X-Envoy-Original-Path', 'X-Forwarded-Uri'];

export const PATH_ATTACKS: readonly Attack[] = refusals(
  'paths',
  { needs: ['refusal'], statuses: REFUSED, expected: 'refused', mayClose: true, meaning: meaningOfPath },
  [
    ...PATHS,
    ...BRIDGES.map(
      ([id, bridge]): RefusalRow => ({
        id: `public-${id}`,
        what: `no token, from the public path by ${bridge}`,
        section: 'RFC 3986 §6.2.2',
        needs: ['public path'],
        statuses: [200, ...REFUSED],
        expected: 'refused or public',
        departure: bridged(bridge),
      }),
    ),
    {
      id: 'public-rewritten',
      what: 'no token, the protected path in fields such as X-Original-URL',
      section: 'RFC 9110 §7.1',
      needs: ['public path'],
      statuses: [200, ...REFUSED],
      expected: 'refused or public',
      departure: ({ settings: { publicPath = '', path } }) => ({
        ...ANONYMOUS,
        target: publicPath === '' ? '/' : publicPath,
        fields: REWRITING.map((name) => [name, path] as const),
      }),
    },
  ],
);

/** Good credentials in a request that is not well formed: two servers read two requests. */
const LINES: readonly RefusalRow[] = [
  {
    id: 'two-hosts',
    what: 'two Host lines',
    section: 'RFC 9112 §3.2',
    departure: ({ settings }) => ({ hosts: [settings.host, ELSEWHERE] }),
  },
  { id: 'no-host', what: 'no Host line', section: 'RFC 9112 §3.2', departure: () => ({ hosts: [] }) },
  {
    id: 'bad-host',
    what: 'a Host that is not a host',
    section: 'RFC 9112 §3.2',
    departure: ({ settings }) => ({ hosts: [`${settings.host}/probe@${ELSEWHERE}`] }),
  },
  {
    id: 'other-host',
    what: 'another Host',
    section: 'RFC 9110 §7.4',
    statuses: [400, 401, 403, 404, 421],
    expected: 'refused (may pass)',
    permitted: true,
    departure: () => ({ hosts: [ELSEWHERE] }),
  },
  {
    id: 'space-before-colon',
    what: 'a space between name and colon',
    section: 'RFC 9112 §5.1',
    departure: () => ({ raw: 'X-Probe : 1\r\n' }),
  },
  {
    id: 'folded-line',
    what: 'a folded line',
    section: 'RFC 9112 §5.2',
    permitted: true,
    departure: () => ({ raw: 'X-Probe: 1\r\n 2\r\n' }),
  },
  {
    id: 'bare-lf',
    what: 'a line that ends with LF alone',
    section: 'RFC 9112 §2.2',
    permitted: true,
    departure: () => ({ raw: 'X-Probe: 1\n' }),
  },
  {
    id: 'bare-cr',
    what: 'a CR inside of a value',
    section: 'RFC 9112 §2.2',
    permitted: true,
    departure: () => ({ raw: 'X-Probe: 1\r2\r\n' }),
  },
  {
    id: 'nul',
    what: 'a NUL inside of a value',
    section: 'RFC 9110 §5.5',
    permitted: true,
    departure: () => ({ raw: 'X-Probe: 1\0\r\n' }),
  },
  {
    id: 'target-space',
    what: 'a space in the path',
    section: 'RFC 9112 §3.2',
    permitted: true,
    departure: ({ settings }) => ({ target: `${settings.path} probe` }),
  },
];

export const LINE_ATTACKS: readonly Attack[] = refusals('lines', { statuses: [400], mayClose: true }, LINES);

/**
 * Where this message ends does not depend on how it is read: by length and by chunks it has the same five bytes of content, so that
 * nothing is left over for the next request of somebody else. Only a server that takes content of a GET for a new request goes wrong.
 */
const CONTENT = '0\r\n\r\n';
const LENGTH = `Content-Length: ${CONTENT.length}\r\n`;

const framed = (
  [id, what, section]: readonly [id: string, what: string, section: string],
  raw: string,
  permitted = false,
): RefusalRow => ({ id: `framing-${id}`, what, section, permitted, departure: () => ({ raw, body: CONTENT }) });

const FRAMINGS: readonly RefusalRow[] = [
  framed(
    ['both', 'Content-Length and Transfer-Encoding', 'RFC 9112 §6.3'],
    `${LENGTH}Transfer-Encoding: chunked\r\n`,
    true,
  ),
  framed(['lengths', 'Content-Length twice', 'RFC 9112 §6.3'], LENGTH + LENGTH, true),
  framed(['signed', 'a Content-Length with a sign', 'RFC 9112 §6.3'], 'Content-Length: +5\r\n'),
  framed(['not-last', 'chunked, but not last', 'RFC 9112 §6.3'], `${LENGTH}Transfer-Encoding: chunked, identity\r\n`),
  framed(['unknown', 'a coding that no server knows', 'RFC 9112 §6.1'], `${LENGTH}Transfer-Encoding: xchunked\r\n`),
  framed(['space', 'a space behind Transfer-Encoding', 'RFC 9112 §5.1'], `${LENGTH}Transfer-Encoding : chunked\r\n`),
  framed(
    ['control', 'a control character before chunked', 'RFC 9110 §5.5'],
    `${LENGTH}Transfer-Encoding: \x0bchunked\r\n`,
  ),
];

export const FRAMING_ATTACKS: readonly Attack[] = refusals(
  'framing',
  { needs: ['framing'], statuses: [400, 501], mayClose: true },
  FRAMINGS,
);

/** Also content of a GET, which the RFC rules out. */
export const FORM_ATTACKS: readonly Attack[] = refusals('token', { needs: ['framing'], mayClose: true }, [
  {
    id: 'token-in-form',
    what: 'the token in a form',
    section: 'RFC 6750 §2.2',
    statuses: [400, 401],
    departure: ({ credentials }) => {
      const body = `access_token=${credentials.token.text}`;
      const raw = `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n`;
      return { authorization: [], raw, body };
    },
  },
]);
