// Paths: no spelling reaches the upstream under a weaker route.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseGroup, isDisguised } from '../../src/policy/route-table.ts';
import { readRequestPath } from '../../src/http/uri.ts';
import { DISGUISED, isAdmin, readings } from './attacks/paths.ts';
import { makeFacts } from '../support/facts.ts';
import { HOST, reasonOf, type Rig, startRig, statusOf } from './rig.ts';

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
    if (read === undefined || isDisguised(policy.routeTable, makeFacts(read))) return undefined;
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
