// Every form of a request target and of Host, and what is not HTTP/1.1.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldOf, HOST, reasonOf, SMUGGLED, startRig, statusOf } from './rig.ts';

const line = (target: string, host = HOST, method = 'GET') => `${method} ${target} HTTP/1.1\r\n${host}\r\n`;
const hosted = (host: string) => line('/x', `Host: ${host}\r\n`);

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

const MALFORMED: readonly string[] = [
  line('http://api.example.com/x'),
  line('https://other.example.com/x'),
  line('https://api.example.com./x'),
  line('https://api.example.com:8443/x'),
  line('https://user@api.example.com/x'),
  line('https://api.example.com@evil.example/x'),
  line('https://api.example.com%2f@evil.example/x'),
  line('https://api.example.com\\@evil.example/x'),
  line('https://api%2eexample.com/x'),
  line('https://api.example.com:443:443/x'),
  line('https:///x'),
  line('https:/x'),
  line('https:api.example.com/x'),
  line('//api.example.com/x'),
  line('//evil.example/x', 'Host: evil.example\r\n'),
  line('ftp://api.example.com/x'),
  line('file:///etc/passwd'),
  line('javascript:alert(1)'),
  line('api.example.com:443'),
  line('api.example.com'),
  line('*'),
  line('*', HOST, 'POST'),
  line('*/x', HOST, 'OPTIONS'),
  line('?x'),
  line('#x'),
  line('/x#y'),
  line('https://api.example.com#/x'),
  line('https://api.example.com/x#y'),
  line('https://api.example.com/..//x'),
  line('https://evil.example/x', 'Host: evil.example:bad\r\n'),
  hosted(''),
  hosted(':443'),
  hosted('user@api.example.com'),
  hosted('api.example.com/x'),
  hosted('api.example.com?x'),
  hosted('api.example.com#x'),
  hosted('api.example.com:65536'),
  hosted('api.example.com:-1'),
  hosted('api.example.com:443:443'),
  hosted('api.example.com 443'),
  hosted('api%2eexample.com'),
  hosted('[::1%25eth0]'),
  hosted('[::1'),
  hosted('::1'),
  hosted('"api.example.com"'),
  hosted('\xe4pi.example.com'),
  'GET /x HTTP/1.1\r\n\r\n',
  'GET /x HTTP/1.0\r\n\r\n',
  'GET /x\r\n',
  `GET /x HTTP/2.0\r\n${HOST}\r\n`,
  `GET /x HTTP/3\r\n${HOST}\r\n`,
  `GET /x HTTP/1.10\r\n${HOST}\r\n`,
  `GET /x HTTP/01.1\r\n${HOST}\r\n`,
  `GET /x http/1.1\r\n${HOST}\r\n`,
  `GET /x HTTP/1.1 \r\n${HOST}\r\n`,
  `GET /x HTTP /1.1\r\n${HOST}\r\n`,
  `GET /x y HTTP/1.1\r\n${HOST}\r\n`,
  `GET\t/x\tHTTP/1.1\r\n${HOST}\r\n`,
  `GET /x\x0bHTTP/1.1\r\n${HOST}\r\n`,
  ` GET /x HTTP/1.1\r\n${HOST}\r\n`,
  `GET /x HTTP/1.1\r${HOST}\r\n`,
  `GE T /x HTTP/1.1\r\n${HOST}\r\n`,
  `G\0ET /x HTTP/1.1\r\n${HOST}\r\n`,
  `GET/x HTTP/1.1\r\n${HOST}\r\n`,
  `GET /x HTTP/1.1${HOST}\r\n`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'EHLO api.example.com\r\n',
  '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n',
  '\0\0\0\0\r\n\r\n',
  'PROXY TCP4 10.0.0.1 10.0.0.2 1 443\r\n',
  '{"jsonrpc":"2.0"}\r\n\r\n',
];

/** Request lines that are good but for their method. */
const UNKNOWN = /^(?:gET|EVIL|DESCRIBE) \/x HTTP\/1\.1\r\n/;

test('targets and authorities that could mean another host, and what is no HTTP/1.1, are refused and hide no request', async (t) => {
  const rig = await startRig(t);
  for (const bytes of MALFORMED) {
    await t.test(JSON.stringify(bytes.replace(`\r\n${HOST}\r\n`, '').slice(0, 60)), async () => {
      const answers = await rig.answersTo(bytes + SMUGGLED);
      assert.deepEqual(answers.map(reasonOf), [UNKNOWN.test(bytes) ? 'method_unknown' : 'request_malformed']);
    });
  }
  assert.equal(rig.upstream.text, '');
});

test('methods that are not known, in any case of letters, are refused as such and hide no request', async (t) => {
  const rig = await startRig(t);
  for (const method of ['gET', 'EVIL', 'DESCRIBE']) {
    const answers = await rig.answersTo(line('/x', HOST, method) + SMUGGLED);
    assert.deepEqual(answers.map(reasonOf), ['method_unknown'], method);
    assert.deepEqual(answers.map(statusOf), [501], method);
  }
  assert.equal(rig.upstream.text, '');
});

test('a host that is not ours is misdirected, in whatever spelling it comes near', async (t) => {
  const rig = await startRig(t);
  const hosts = [
    'api.example.com.',
    'api.example.com:80',
    'xapi.example.com',
    'example.com',
    'api.example.com,evil.example',
  ];
  for (const host of [...hosts, '127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', 'api.example.com;x', "api.example.com'"]) {
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
