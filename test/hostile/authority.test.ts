// Every form of a request target and of Host, and what is not HTTP/1.1.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hosted, line, MALFORMED, MISDIRECTED, UNKNOWN_METHODS } from './attacks/authority.ts';
import { fieldOf, HOST, reasonOf, SMUGGLED, startRig, statusOf } from './rig.ts';

/** One spelling each; the first request that the upstream sees is for what stands on the right, always under our one Host. */
const ACCEPTED: readonly (readonly [string, string])[] = [
  [line('https://api.example.com/x'), 'GET /x'],
  [line('HTTPS://API.EXAMPLE.COM:443/x'), 'GET /x'],
  [line('https://api.example.com:/x?y=//z/..'), 'GET /x?y=//z/..'],
  [line('https://api.example.com'), 'GET /'],
  [line('https://api.example.com?/admin/1'), 'GET /?/admin/1'],
  [hosted('API.example.com:443'), 'GET /x'],
  [hosted('api.example.com:'), 'GET /x'],
  [hosted('  api.example.com:0443\t'), 'GET /x'],
  [`\r\n\r\n${line('/x')}`, 'GET /x'],
  [line('/x', HOST, 'PURGE'), 'PURGE /x'],
];

test('whatever the spelling, the upstream gets origin-form and the one Host that was checked', async (t) => {
  const rig = await startRig(t, { connections: 1 });
  for (const [bytes, expected] of ACCEPTED) {
    await (await rig.open(bytes)).answers(1);
    assert.equal(rig.upstream.seen.at(-1), `${expected} HTTP/1.1`, bytes);
  }
  rig.upstream.assertClean();
  for (const request of rig.upstream.requests) {
    assert.deepEqual(fieldOf(request, 'host'), ['api.example.com']);
    assert.deepEqual(fieldOf(request, 'x-forwarded-host'), ['api.example.com']);
  }
});

test('targets and authorities that could mean another host, and what is no HTTP/1.1, are refused and hide no request', async (t) => {
  const rig = await startRig(t);
  for (const bytes of MALFORMED) {
    await t.test(JSON.stringify(bytes.replace(`\r\n${HOST}\r\n`, '').slice(0, 60)), async () => {
      const answers = await rig.answersTo(bytes + SMUGGLED);
      assert.deepEqual(answers.map(reasonOf), ['request_malformed']);
    });
  }
  assert.equal(rig.upstream.text, '');
});

test('methods that are not known, in any case of letters, are refused as such and hide no request', async (t) => {
  const rig = await startRig(t);
  for (const method of UNKNOWN_METHODS) {
    const answers = await rig.answersTo(line('/x', HOST, method) + SMUGGLED);
    assert.deepEqual(answers.map(reasonOf), ['method_unknown'], method);
    assert.deepEqual(answers.map(statusOf), [501], method);
  }
  assert.equal(rig.upstream.text, '');
});

test('a host that is not ours is misdirected, in whatever spelling it comes near', async (t) => {
  const rig = await startRig(t);
  for (const host of MISDIRECTED) {
    const client = await rig.open(hosted(host));
    assert.deepEqual((await client.answers(1)).map(reasonOf), ['misdirected'], host);
  }
  assert.equal(rig.upstream.text, '');
});

test('TRACE, CONNECT and what is meant for this server alone go no further', async (t) => {
  const rig = await startRig(t);
  const trace = await rig.open(line('/x', `${HOST}Cookie: secret\r\n`, 'TRACE'));
  const [traced] = await trace.answers(1);
  assert.equal(traced && statusOf(traced), 405);
  assert.doesNotMatch(trace.text, /secret/);
  for (const target of ['api.example.com:443', '127.0.0.1:22', '/x', '*']) {
    const answers = await rig.answersTo(`CONNECT ${target} HTTP/1.1\r\n${HOST}\r\n${SMUGGLED}`);
    assert.equal(answers.length, 1, target);
    assert.match(String(answers[0]?.start), / 40[05] /);
  }
  for (const own of [
    line('*', HOST, 'OPTIONS'),
    line('https://api.example.com', HOST, 'OPTIONS'),
    line('/x', `${HOST}Max-Forwards: 0\r\n`, 'OPTIONS'),
  ]) {
    assert.deepEqual((await (await rig.open(own)).answers(1)).map(statusOf), [204]);
  }
  assert.equal(rig.upstream.text, '');
});

test('an old protocol that the parser knows is HTTP/1.1 for the upstream, or nothing', async (t) => {
  const rig = await startRig(t);
  for (const [start, status] of [
    ['SOURCE /admin/1 ICE/1.0', 401],
    ['OPTIONS /admin/1 RTSP/1.0', 401],
    ['GET /admin/1 HTTP/1.0', 401],
    ['DESCRIBE /admin/1 RTSP/1.0', 501],
  ] as const) {
    const answers = await rig.answersTo(`${start}\r\n${HOST}Connection: close\r\n\r\n`);
    assert.deepEqual(answers.map(statusOf), [status], start);
  }
  assert.equal(rig.upstream.text, '');
});
