// Several requests on one connection, none of which is taken for another.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { echo, HOST, perRequest, reasonOf, SMUGGLED, startRig, statusOf } from './rig.ts';

const get = (target: string, more = '') => `GET ${target} HTTP/1.1\r\n${HOST}${more}\r\n`;
const post = (target: string, body: string, more = '') =>
  `POST ${target} HTTP/1.1\r\n${HOST}${more}Content-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (target: string, body: string, more = '') =>
  `POST ${target} HTTP/1.1\r\n${HOST}${more}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

/** Ways to be refused before or after the body is looked at, each with a body that is a request. */
const REFUSED: Readonly<Record<string, (body: string) => string>> = {
  'no credentials': (body) => post('/admin/1', body),
  'no credentials, chunked': (body) => chunked('/admin/1', body),
  'bad credentials': (body) => post('/admin/1', body, 'Authorization: DPoP x\r\nDPoP: x\r\n'),
  'a forged field': (body) => post('/x', body, 'X_Auth_Subject: admin\r\n'),
  'another host': (body) => post('/x', body).replace('api.', 'other.'),
  'a malformed path': (body) => post('//x', body),
  'a body over the limit': (body) => post('/small/1', body.padEnd(200, 'x')),
  'a chunked body over the limit': (body) => chunked('/small/1', body.padEnd(200, 'x')),
  'another expectation': (body) => post('/x', body, 'Expect: 200-ok\r\n'),
  'an expectation and a bad token': (body) =>
    post('/admin/1', body, 'Authorization: DPoP e30.e30.AA\r\nDPoP: x\r\nExpect: 100-continue\r\n'),
  'an expectation and no credentials': (body) => post('/admin/1', body, 'Expect: 100-continue\r\n'),
  TRACE: (body) => post('/x', body).replace('POST', 'TRACE'),
  'a target for this server alone': (body) => post('*', body).replace('POST', 'OPTIONS'),
};

test('the body of a refused request is never a request, in one packet or byte by byte; what follows is answered on its own, or the connection ends', async (t) => {
  const rig = await startRig(t);
  for (const [what, write] of Object.entries(REFUSED)) {
    for (const slowly of [false, true]) {
      await t.test(`${what}${slowly ? ', byte by byte' : ''}`, async () => {
        const before = rig.upstream.seen.length;
        const client = await rig.open();
        const bytes = write(SMUGGLED) + get('/after', 'Connection: close\r\n');
        for (const part of slowly ? bytes : [bytes]) client.send(part);
        await client.toEnd();
        const statuses = [...client.text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => status);
        assert.ok(Number(statuses[0]) >= 400 || statuses[0] === '204', client.text);
        const after = rig.upstream.seen.slice(before);
        assert.deepEqual(after, statuses.length === 2 ? ['GET /after HTTP/1.1'] : []);
        assert.ok(statuses.length === 1 || statuses[1] === '200');
      });
    }
  }
  await rig.upstream.until(({ connections }) =>
    connections.every(({ ended, text }) => ended || !text.includes('/small/')),
  );
  rig.upstream.assertClean();
});

test('fifty pipelined requests are answered in their order, whichever the upstream answers first', async (t) => {
  const rig = await startRig(t, { connections: 100 });
  const targets = Array.from({ length: 50 }, (_, at) => (at % 5 === 4 ? `/admin/${at}` : `/x${at}`));
  rig.upstream.script = () => {};
  const client = await rig.open(targets.map((target) => get(target)).join(''));
  await rig.upstream.until(({ seen }) => seen.length === 40);
  for (const connection of rig.upstream.connections.toReversed()) echo(connection, 1);
  const answers = await client.answers(50);
  for (const [at, answer] of answers.entries()) {
    if (at % 5 === 4) assert.equal(reasonOf(answer), 'credentials_missing');
    else assert.equal(answer.body, `you sent GET /x${at} HTTP/1.1 with 0 bytes`);
  }
  rig.upstream.assertClean();
});

test('credentials of one request say nothing about the next one on the same connection', async (t) => {
  const rig = await startRig(t);
  const credentials = await rig.credentials('GET', '/admin/1');
  const client = await rig.open(get('/admin/1', credentials) + get('/admin/2'));
  const [good, without] = await client.answers(2);
  const [, , again] = await client.send(get('/admin/1', credentials)).answers(3);
  assert.equal(good && statusOf(good), 200);
  assert.equal(without && reasonOf(without), 'credentials_missing');
  assert.equal(again && reasonOf(again), 'proof_replayed');
  assert.deepEqual(rig.upstream.seen, ['GET /admin/1 HTTP/1.1']);
});

test('nothing behind Connection: close is a request, however it is spelled', async (t) => {
  const rig = await startRig(t);
  for (const close of ['close', 'Close', 'keep-alive, close', 'x, close', 'close\r\nConnection: keep-alive']) {
    const answers = await rig.answersTo(get('/x', `Connection: ${close}\r\n`) + SMUGGLED);
    assert.deepEqual(answers.map(statusOf), [200], close);
  }
  const old = await rig.answersTo(`GET /x HTTP/1.0\r\n${HOST}\r\n${SMUGGLED}`);
  assert.deepEqual(old.map(statusOf), [200]);
  assert.deepEqual(rig.upstream.seen, Array(6).fill('GET /x HTTP/1.1'));
});

test('a client that sends requests without end and waits for none is cut off, and so is one behind its last request', async (t) => {
  const rig = await startRig(t, { connections: 200 });
  rig.upstream.script = () => {};
  for (const last of ['', 'Upgrade: x\r\n']) {
    const client = await rig.open(get('/slow', last) + get('/x').repeat(2000));
    assert.equal(await client.toEnd(), '');
  }
  assert.ok(rig.upstream.seen.length <= 101, `${rig.upstream.seen.length} requests were forwarded`);
});

test('100 Continue is sent for a permitted request alone, and only then does a body come', async (t) => {
  const rig = await startRig(t);
  const expect = 'Expect: 100-continue\r\nContent-Length: 5\r\n\r\n';
  for (const [target, reason] of [
    ['/admin/1', 'credentials_missing'],
    ['//x', 'request_malformed'],
  ]) {
    const client = await rig.open(`POST ${target} HTTP/1.1\r\n${HOST}${expect}`);
    await client.until(({ text }) => text.includes(`"reason":"${reason}"`));
    assert.doesNotMatch(client.text, /100 Continue/);
  }
  const large = await rig.open(`POST /small/1 HTTP/1.1\r\n${HOST}${expect.replace('5', '65')}`);
  await large.until(({ text }) => text.includes('body_too_large'));
  assert.doesNotMatch(large.text, /100 Continue/);
  assert.equal(rig.upstream.text, '');

  const credentials = await rig.credentials('POST', '/admin/1');
  const client = await rig.open(`POST /admin/1 HTTP/1.1\r\n${HOST}${credentials}${expect}`);
  await client.until(({ text }) => text === 'HTTP/1.1 100 Continue\r\n\r\n');
  assert.equal(statusOf((await client.send('hello').answers(1))[0] ?? assert.fail()), 200);
  assert.equal(rig.upstream.requests[0]?.body, 'hello');
  rig.upstream.assertClean();
});

test('every other expectation is refused, beside 100-continue too', async (t) => {
  const rig = await startRig(t);
  for (const lines of [
    '200-ok',
    '100-continue, 200-ok',
    '100-continue\r\nExpect: 100-continue',
    '"100-continue"',
    '100-continue;x',
    '',
  ]) {
    const client = await rig.open(get('/x', `Expect: ${lines}\r\n`));
    assert.deepEqual((await client.answers(1)).map(reasonOf), ['expectation_failed'], lines);
  }
  assert.equal(rig.upstream.text, '');
});

const UPGRADES = ['websocket', 'h2c', 'TLS/1.0', 'websocket, h2c', 'HTTP/2.0', 'x'];

test('an Upgrade that opens no WebSocket is not forwarded, keeps its body, and is the last request of its connection', async (t) => {
  const rig = await startRig(t);
  for (const value of UPGRADES) {
    const upgrade = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${value}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n`;
    // A GET for a WebSocket alone is forwarded as one: test/hostile/upgrade.test.ts.
    const plain = value === 'websocket' ? [] : [get('/x', upgrade)];
    for (const bytes of [...plain, post('/x', 'hello', upgrade), chunked('/x', 'hello', upgrade)]) {
      const before = rig.upstream.seen.length;
      const answers = await rig.answersTo(bytes + SMUGGLED + SMUGGLED);
      assert.deepEqual(answers.map(statusOf), [200], value);
      assert.equal(rig.upstream.seen.length, before + 1);
      assert.equal(rig.upstream.requests.at(-1)?.body, bytes.includes('hello') ? 'hello' : '');
    }
    const [refused, ...others] = await rig.answersTo(get('/admin/1', upgrade) + SMUGGLED);
    assert.equal(refused && reasonOf(refused), 'credentials_missing');
    assert.deepEqual(others, []);
  }
  assert.doesNotMatch(rig.upstream.text, /upgrade|http2-settings|smuggled/i);
  rig.upstream.assertClean();
});

test('a client that leaves in the middle of its body is one request in the log, gone, and no malformed one beside it', async (t) => {
  const rig = await startRig(t);
  const client = await rig.open(`POST /x HTTP/1.1\r\n${HOST}Content-Length: 90000\r\n\r\n${'x'.repeat(70_000)}half`);
  await rig.upstream.until(({ text }) => text.endsWith('half'));
  client.socket.end();
  await rig.gateway.logged({ outcome: 'client_gone' });
  await rig.upstream.until(({ connections }) => connections.every(({ ended }) => ended));
  assert.deepEqual(
    rig.gateway.log.filter(({ msg }) => msg === 'request').map(({ outcome }) => outcome),
    ['client_gone'],
  );
  assert.equal(await rig.gateway.count('holdfast_rejections_total'), 0);
  rig.upstream.assertClean();
});

test('a body that breaks after its answer has come is not answered a second time', async (t) => {
  const rig = await startRig(t);
  rig.upstream.script = ({ socket, text }) => {
    if (text.includes('first')) socket.write('HTTP/1.1 413 x\r\nContent-Length: 5\r\n\r\nearly');
  };
  const client = await rig.open(`POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n`);
  await client.until(({ text }) => text.endsWith('early'));
  client.send(`zz\r\n${SMUGGLED}`);
  assert.equal((await client.toEnd()).split('HTTP/1.1 ').length, 2);
  rig.upstream.script = perRequest(echo);
  await (await rig.open(get('/next'))).answers(1);
  assert.ok(!rig.upstream.seen.includes('GET /smuggled HTTP/1.1'));
});
