// Paths: no spelling reaches the upstream under a weaker route.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseGroup, isDisguised } from '../../src/policy/route-table.ts';
import { readRequestPath } from '../../src/http/uri.ts';
import { HOST, reasonOf, type Rig, startRig, statusOf } from './rig.ts';

/*
 * In scope (C0.10 to C0.15, docs/decisions/0001 and 0013), in any combination: percent-decoding once, before or after splitting into
 * segments; cutting ;params, before or after decoding; \ as /; collapsing //; removing dot segments; ending at ?, # or NUL; UTF-8 that
 * does not check for overlong forms. Out of scope, because such a server is wrong about URIs or files and not about paths: decoding
 * twice (RFC 3986 §2.4), comparing without case (§6.2.2.1), and dropping a trailing slash, dot or space.
 */

/** Decodes once; overlong UTF-8 of a character below U+0080 becomes that character. */
function decode(text: string): string {
  return text
    .replace(/%C[01]%([89AB][0-9A-F])/gi, (_, last: string) => octet(Number.parseInt(last, 16) & 0x3f, /C1/i.test(_)))
    .replace(/%E0%8[01]%([89AB][0-9A-F])/gi, (_, last: string) =>
      octet(Number.parseInt(last, 16) & 0x3f, /%81/i.test(_)),
    )
    .replace(/%F0%80%8[01]%([89AB][0-9A-F])/gi, (_, last: string) =>
      octet(Number.parseInt(last, 16) & 0x3f, /%81/i.test(_)),
    )
    .replace(/%F8%80%80%8[01]%([89AB][0-9A-F])/gi, (_, last: string) =>
      octet(Number.parseInt(last, 16) & 0x3f, /%81/i.test(_)),
    )
    .replace(/%FC%80%80%80%8[01]%([89AB][0-9A-F])/gi, (_, last: string) =>
      octet(Number.parseInt(last, 16) & 0x3f, /%81/i.test(_)),
    )
    .replace(/%([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
const octet = (low: number, upper: boolean) => String.fromCharCode(upper ? low | 0x40 : low);

const cut = (path: string) => path.replace(/;[^/]*/g, '');
const backslashes = (path: string) => path.replaceAll('\\', '/');
const truncated = (path: string) => path.replace(/[#?\0][^]*$/, '');
const resolved = (path: string) => {
  const out: string[] = [];
  for (const segment of path.split('/').filter((each) => each !== '')) {
    if (segment === '..') out.pop();
    else if (segment !== '.') out.push(segment);
  }
  return `/${out.join('/')}`;
};

/** What some server could take a raw path for. */
function readings(raw: string): readonly string[] {
  const orders: readonly (readonly ((path: string) => string)[])[] = [
    [resolved, decode],
    [decode, resolved],
    [cut, decode, resolved],
    [decode, cut, resolved],
    [cut, resolved, decode],
    [decode, backslashes, cut, resolved],
    [backslashes, cut, decode, resolved],
    [decode, truncated, backslashes, cut, resolved],
  ];
  return orders.map((steps) => steps.reduce((path, step) => step(path), raw));
}

const isAdmin = (path: string) => path === '/admin' || path.startsWith('/admin/');

const ROUTES = `- { name: open, match: { path: /* }, upstream: raw, require: public, encoded: [slash], weaker_than_defaults: [require, encoded] }
- { name: admin, match: { path: /admin/* }, upstream: raw, require: dpop }`;

/** The reason of each refusal, or undefined where the path reached the upstream; all over one connection where that stays open. */
async function sendAll(rig: Rig, paths: readonly string[]): Promise<readonly (string | undefined)[]> {
  const reasons: (string | undefined)[] = [];
  let client = await rig.open();
  let sent = 0;
  for (const path of paths) {
    if (client.closed) [client, sent] = [await rig.open(), 0];
    client.send(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
    sent += 1;
    const answer = (await client.answers(sent)).at(-1) ?? assert.fail();
    reasons.push(statusOf(answer) === 200 ? undefined : (reasonOf(answer) ?? answer.start));
    if (/\r\nConnection: close\r\n/i.test(client.text)) [client, sent] = [await rig.open(), 0];
  }
  return reasons;
}

const DISGUISED = [
  '/admin',
  '/admin/',
  '/admin/1',
  '/%61dmin/1',
  '/%61%64%6d%69%6e/1',
  '/admi%6E',
  '/admin;x=1/1',
  '/admin;/1',
  '/admin;x%2F1',
  '/admin?x',
  '/admin/1?x',
  '/admin/%2561',
  '/admin/1;/2',
  '//admin/1',
  '/./admin/1',
  '/x/../admin/1',
  '/x/..;/admin/1',
  '/x/..;y=1/admin/1',
  '/x/%2e%2e/admin/1',
  '/x/%2E./admin/1',
  '/x/.%2e;y/admin/1',
  '/x/..%2Fadmin/1',
  '/x%2F..%2Fadmin/1',
  '/x%2f%2e%2e%2fadmin%2f1',
  '/x/..%5Cadmin/1',
  '/..%5Cadmin/1',
  '/%5Cadmin/1',
  '/\\admin/1',
  '/x\\..\\admin\\1',
  '/x/..%3B/admin/1',
  '/x/..%3By=1/admin/1',
  '/;/admin/1',
  '/;x/admin/1',
  '/%3B/admin/1',
  '/%3Bx/admin/1',
  '/admin%3Bx/1',
  '/admin%3bx%2f1',
  '/admin%2F1',
  '/admin%2f',
  '/%2Fadmin/1',
  '/%2F%2Fadmin%2F1',
  '/%2F;x/admin/1',
  '/admin%2F%2F1',
  '/admin%00/1',
  '/admin%00',
  '/admin/1%00.html',
  '/admin%23/1',
  '/admin#/1',
  '/admin%3F',
  '/admin%3fx/1',
  '/%3B%3Fx/admin/1',
  '/admin%2F%23',
  '/admin%0A/1',
  '/admin%0d%0aX:1',
  '/admin%7F',
  '/%c0%ae%c0%ae/admin/1',
  '/x/%c0%ae%c0%ae/admin/1',
  '/x%c0%afadmin',
  '/%c0%afadmin/1',
  '/%e0%80%afadmin/1',
  '/%f0%80%80%afadmin/1',
  '/%f8%80%80%80%afadmin/1',
  '/%fc%80%80%80%80%afadmin/1',
  '/x/%f8%80%80%80%ae%f8%80%80%80%ae/admin/1',
  '/%C1%A1dmin/1',
  '/%F8%80%80%81%A1dmin/1',
  '/%',
  '/admin%',
  '/admin%2',
  '/admin%u002f1',
  '/admin%zz',
  '/adm\xefn',
  '/admin\x7f',
  '/x/%2e',
  '/.',
  '/..',
  '/...;/../admin',
];

test('no known disguise of /admin reaches the upstream through the public route for everything else', async (t) => {
  const rig = await startRig(t, { routes: ROUTES, plain: true });
  const reasons = await sendAll(rig, DISGUISED);
  for (const [at, path] of DISGUISED.entries()) {
    assert.match(String(reasons[at]), /^(?:request_malformed|credentials_missing)$/, path);
  }
  assert.equal(rig.upstream.text, '');
});

test('what only looks like /admin goes the public way, byte for byte as it was sent', async (t) => {
  const rig = await startRig(t, { routes: ROUTES, plain: true, connections: 1 });
  const harmless = [
    '/',
    '/x',
    '/administrator',
    '/x/admin/1',
    '/ADMIN/1',
    '/%2561dmin/1',
    '/x;a=/admin',
    '/x%2Fadmin/1',
    '/a%3Bb',
    '/x%2F%2Fy',
  ];
  const odd = ['/...', '/.a', '/a.', '/x/', '/%C3%A9', '/%FC', '/*', "/!$&'()*+,=:@~-._", '/x?/../admin', '/x?%00//\\'];
  assert.deepEqual(await sendAll(rig, [...harmless, ...odd]), Array(harmless.length + odd.length).fill(undefined));
  assert.deepEqual(
    rig.upstream.seen,
    [...harmless, ...odd].map((path) => `GET ${path} HTTP/1.1`),
  );
});

const NASTY = [
  '/',
  '/',
  '//',
  '.',
  '..',
  '%2e',
  '%2E%2e',
  '%2F',
  '%2f',
  '%5C',
  '\\',
  ';',
  ';x=1',
  '%3B',
  '%3b',
  '%',
  '%00',
  '#',
  '%23',
  '%3F',
];
const OVERLONG = [
  '%C0%AE',
  '%C0%AF',
  '%E0%80%AE',
  '%E0%80%AF',
  '%F8%80%80%80%AE',
  '%F8%80%80%80%AF',
  '%FC%80%80%80%80%AF',
  '%C1%A1',
];
const WORDS = ['admin', 'admin', 'admin', '%61dmin', 'adm%69n', 'ad', 'min', 'x', 'y', '%25', '%C3%A9'];
const SPELLING = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...WORDS) },
      { weight: 4, arbitrary: fc.constantFrom(...NASTY) },
      { weight: 1, arbitrary: fc.constantFrom(...OVERLONG) },
    ),
    { maxLength: 9 },
  )
  .map((pieces) => `/${pieces.join('')}`);

function assertNotAdmin(path: string): void {
  const as = readings(path.split('?')[0] ?? '').find(isAdmin);
  assert.equal(as, undefined, `${path} goes the public way and can be read as ${as}`);
}

test('for random spellings: what reaches the upstream through the public route does not mean /admin by any reading in scope', async (t) => {
  const rig = await startRig(t, { routes: ROUTES, plain: true });
  let reached = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(SPELLING, { minLength: 40, maxLength: 40 }), async (paths) => {
      const reasons = await sendAll(rig, paths);
      for (const path of paths.filter((_, at) => reasons[at] === undefined)) {
        assertNotAdmin(path);
        reached += 1;
      }
    }),
    { numRuns: 6 },
  );
  assert.ok(reached > 10, `only ${reached} paths reached the upstream: the property said little`);
  rig.upstream.assertClean();
});

test('the same for many more spellings, asked of the compiled policy', async (t) => {
  const { policy } = (await startRig(t, { routes: ROUTES, plain: true })).gateway;
  const routeOf = (raw: string) => {
    const read = readRequestPath(raw);
    if (read === undefined || isDisguised(policy.routeTable, 'public', 'api.example.com', read)) return undefined;
    return chooseGroup(policy.routeTable, 'public', 'api.example.com', read.matchPath)?.routes[0]?.name;
  };
  fc.assert(
    fc.property(SPELLING, (path) => {
      if (routeOf(path) === 'open') assertNotAdmin(path);
    }),
    { numRuns: 15_000 },
  );
});

test('encoded: [slash] still means what it is for: a segment with a slash in it, beside a less specific route', async (t) => {
  const routes = `- { name: issues, match: { path: /projects/*/issues }, upstream: raw, require: public, encoded: [slash], weaker_than_defaults: [require, encoded] }
- { name: rest, match: { path: /* }, upstream: raw, require: dpop }
- { name: exact, match: { path: /projects/x/secret }, upstream: raw, require: dpop }`;
  const rig = await startRig(t, { routes });
  const reasons = await sendAll(rig, [
    '/projects/group%2Fname/issues',
    '/projects/x%2Fsecret/issues',
    '/projects%2Fx/issues',
    '/projects/x%2Fsecret',
  ]);
  assert.deepEqual(reasons, [undefined, undefined, 'request_malformed', 'request_malformed']);
});

test('a path of the longest length is read in time and forwarded whole; a longer one is refused', async (t) => {
  const rig = await startRig(t);
  const longest = '/'.concat('%61;x/'.repeat(1365)).slice(0, 8190).concat('a');
  const [fits] = await (await rig.open(`GET ${longest} HTTP/1.1\r\n${HOST}\r\n`)).answers(1);
  assert.equal(fits && statusOf(fits), 200);
  assert.equal(rig.upstream.seen[0], `GET ${longest} HTTP/1.1`);
  for (const long of [`${longest}aa`, `/${'a/'.repeat(8000)}`, `/x?${'a'.repeat(9000)}`]) {
    const [answer] = await (await rig.open(`GET ${long} HTTP/1.1\r\n${HOST}\r\n`)).answers(1);
    assert.equal(answer && reasonOf(answer), 'uri_too_long');
  }
  assert.equal(rig.upstream.seen.length, 1);
});
