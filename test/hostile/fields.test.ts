// Field lines that two parsers read differently, and forged identities.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORBIDDEN, HOP_BY_HOP, MANAGED, REFUSED_LINES } from './attacks/fields.ts';
import { fieldOf, HOST, reasonOf, type Rig, SMUGGLED, startRig, statusOf } from './rig.ts';

const GET = `GET /x HTTP/1.1\r\n${HOST}`;

test('lines that no strict parser takes are refused, and what follows is no request', async (t) => {
  const rig = await startRig(t);
  for (const [what, lines] of Object.entries(REFUSED_LINES)) {
    await t.test(what, async () => {
      const answers = await rig.answersTo(`${GET}${lines}\r\n${SMUGGLED}`);
      assert.deepEqual(answers.map(statusOf), [400]);
      assert.deepEqual(answers.map(reasonOf), ['request_malformed']);
    });
  }
  assert.equal(rig.upstream.text, '');
});

test('a field that imitates a managed one, or a Connection that names one, is field_forbidden on a public route too', async (t) => {
  const rig = await startRig(t);
  for (const line of FORBIDDEN) {
    const client = await rig.open(`${GET}${line}\r\n\r\n`);
    const [answer] = await client.answers(1);
    assert.equal(answer && reasonOf(answer), 'field_forbidden', line);
  }
  assert.equal(rig.upstream.text, '');
});

test('managed and hop-by-hop fields of the client never reach the upstream, wherever and however often they stand', async (t) => {
  const rig = await startRig(t);
  const token = await rig.credentials('POST', '/admin/1');
  const all = [...MANAGED, ...HOP_BY_HOP].join('\r\n');
  for (const [target, credentials] of [
    ['/x', ''],
    ['/admin/1', token],
  ] as const) {
    const bytes = `POST ${target} HTTP/1.1\r\n${all}\r\n${HOST}${all}\r\n${credentials}Content-Length: 0\r\n\r\n`;
    assert.equal(statusOf((await (await rig.open(bytes)).answers(1))[0] ?? assert.fail()), 200);
  }
  rig.upstream.assertClean();
  assert.doesNotMatch(rig.upstream.text, /evil|10\.0\.0\.1|AAAA|Hash=00|\badmin\r\n|DELETE/i);
  assert.deepEqual(
    rig.upstream.requests.map((request) => fieldOf(request, 'x-auth-subject')),
    [[], ['alice']],
  );
});

test('trailers reach nobody: neither managed fields in them nor credentials', async (t) => {
  const rig = await startRig(t);
  const trailers =
    'X-Auth-Subject: admin\r\nAuthorization: Bearer x\r\nDPoP: x\r\nHost: evil.example\r\nX-Plain: x\r\n';
  const client = await rig.open(
    `POST /x HTTP/1.1\r\n${HOST}TE: trailers\r\nTrailer: X-Plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${trailers}\r\n` +
      `POST /admin/1 HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n${await rig.credentials('POST', '/admin/1')}\r\n`,
  );
  const [open, admin] = await client.answers(2);
  assert.equal(open && statusOf(open), 200);
  assert.equal(admin && reasonOf(admin), 'credentials_missing');
  assert.deepEqual(rig.upstream.seen, ['POST /x HTTP/1.1']);
  assert.equal(rig.upstream.requests[0]?.body, 'hello');
  rig.upstream.assertClean();
});

test('trailers without end are cut off at header_size', async (t) => {
  const rig = await startRig(t);
  const client = await rig.open(`POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n`);
  client.send(`X: ${'x'.repeat(1000)}\r\n`.repeat(64));
  assert.match(await client.toEnd(), /^HTTP\/1\.1 431 /);
  await rig.upstream.until(({ connections }) => connections.every(({ ended }) => ended));
  assert.deepEqual(rig.upstream.seen, []);
  rig.upstream.assertClean();
});

/** What the two fields become; each is sent to the strict route with credentials that are good but for this. */
async function present(rig: Rig, change: (authorization: string, dpop: string) => readonly string[]) {
  const [authorization = '', dpop = ''] = (await rig.credentials('GET', '/admin/1')).split('\r\n');
  const lines = change(authorization, dpop).map((line) => `${line}\r\n`);
  const client = await rig.open(`GET /admin/1 HTTP/1.1\r\n${HOST}${lines.join('')}\r\n`);
  return reasonOf((await client.answers(1))[0] ?? assert.fail());
}

test('credentials that stand twice, joined, hidden or half-hidden open nothing', async (t) => {
  const rig = await startRig(t);
  const value = (line: string) => line.slice(line.indexOf(':') + 1).trim();
  const cases: readonly (readonly [string, Parameters<typeof present>[1]])[] = [
    ['credentials_repeated', (a, d) => [a, a, d]],
    ['credentials_repeated', (a, d) => [a, d, a.toLowerCase().slice(0, 13) + a.slice(13)]],
    ['credentials_malformed', (a, d) => [`${a}, ${value(a)}`, d]],
    ['credentials_malformed', (a, d) => ['Authorization:', a, d]],
    ['credentials_malformed', (a, d) => [`Authorization: "${value(a)}"`, d]],
    ['credentials_malformed', (a, d) => [a.replace('DPoP ', 'DPoP\t'), d]],
    ['credentials_malformed', (a, d) => [`${a} x`, d]],
    ['proof_repeated', (a, d) => [a, d, d]],
    ['proof_repeated', (a, d) => [a, `${d}, ${value(d)}`]],
    ['proof_repeated', (a, d) => [a, `${d},`]],
    ['proof_repeated', (a, d) => [a, 'DPoP:', d]],
    ['proof_missing', (a) => [a]],
    ['proof_malformed', (a) => [a, 'DPoP:']],
    ['field_forbidden', (a, d) => [a, d.replace('DPoP', 'D_PoP')]],
    ['field_forbidden', (a, d) => [a, d, 'Connection: dpop']],
    ['credentials_missing', (a, d) => [a.replace('Authorization', 'Proxy-Authorization'), d]],
    ['credentials_missing', (a, d) => [a.replace('Authorization', 'X-Authorization'), d]],
    ['credentials_missing', (a, d) => [`Cookie: ${a}`, d]],
    ['credentials_missing', (_a, d) => [d]],
    ['binding_downgraded', (a, d) => [a.replace('DPoP ', 'Bearer '), d]],
  ];
  for (const [reason, change] of cases) assert.equal(await present(rig, change), reason, String(change));
  assert.equal(rig.upstream.text, '');
});

test('thousands of small fields pass in order, or are refused as a whole; none is lost on the way', async (t) => {
  const rig = await startRig(t);
  const many = Array.from({ length: 3000 }, (_, at) => `x${at}:1\r\n`).join('');
  const client = await rig.open(`${GET}${many}\r\n`);
  await client.answers(1);
  const sent = rig.upstream.requests[0]?.lines.filter(([name]) => /^x\d/.test(name)).map(([name]) => name);
  assert.deepEqual(
    sent,
    Array.from({ length: 3000 }, (_, at) => `x${at}`),
  );
  // Node counts names and values alone, so that a field of two octets has two, not six.
  const tooMany = await rig.answersTo(`${GET}${'x:1\r\n'.repeat(20_000)}\r\n${SMUGGLED}`);
  assert.deepEqual(tooMany.map(reasonOf), ['header_too_large']);
  assert.equal(rig.upstream.seen.length, 1);
});
