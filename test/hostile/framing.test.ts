// The end of a message, stated twice, wrongly or not at all, with a hidden request.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AMBIGUOUS, BROKEN, CHUNKED, POST } from './attacks/framing.ts';
import { HOST, reasonOf, SMUGGLED, startRig, statusOf } from './rig.ts';

test('a message whose end can be read in two ways is refused, and nothing behind it is a request', async (t) => {
  const rig = await startRig(t);
  for (const [what, bytes] of Object.entries(AMBIGUOUS)) {
    await t.test(what, async () => {
      const answers = await rig.answersTo(bytes + SMUGGLED);
      assert.deepEqual(answers.map(reasonOf), ['request_malformed']);
    });
  }
  assert.equal(rig.upstream.text, '');
});

test('a chunked body that breaks ends its connection, is never ended for the upstream, and hides no request', async (t) => {
  const rig = await startRig(t);
  for (const [what, body] of Object.entries(BROKEN)) {
    await t.test(what, async () => {
      const before = rig.upstream.seen.length;
      const answers = await rig.answersTo(`${POST}${CHUNKED}\r\n${body}${SMUGGLED}`);
      assert.deepEqual(answers.map(statusOf), [400]);
      assert.equal(rig.upstream.seen.length, before);
    });
  }
  await rig.upstream.until(({ connections }) => connections.every(({ ended }) => ended));
  rig.upstream.assertClean();
});

test('chunk extensions without end are cut off', async (t) => {
  const rig = await startRig(t);
  const client = await rig.open(`${POST}${CHUNKED}\r\n5;${'x'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n${SMUGGLED}`);
  assert.match(await client.toEnd(), /^HTTP\/1\.1 400 /);
  assert.deepEqual(rig.upstream.seen, []);
});

test('one body, however it is cut into chunks and packets, is one body for the upstream', async (t) => {
  const rig = await startRig(t);
  const client = await rig.open();
  const bytes = `${POST}${CHUNKED}\r\n1;a=b\r\nh\r\n000004;x\r\nello\r\n0;last\r\nX: y\r\n\r\n`;
  for (const byte of bytes) client.send(byte);
  client.send(`GET /next HTTP/1.1\r\n${HOST}\r\n`);
  await client.answers(2);
  assert.deepEqual(rig.upstream.seen.toSorted(), ['GET /next HTTP/1.1', 'POST /x HTTP/1.1']);
  assert.equal(rig.upstream.requests.find(({ start }) => start.startsWith('POST'))?.body, 'hello');
  rig.upstream.assertClean();
});

for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PUT', 'PROPFIND']) {
  test(`${method} keeps its body as a body: a request hidden in it is none for the upstream`, async (t) => {
    const rig = await startRig(t, { connections: 1 });
    const length = `Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`;
    const chunks = `${CHUNKED}\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;
    const empty = `${CHUNKED}\r\n0\r\n\r\n`;
    for (const framed of [length, chunks, empty]) {
      const client = await rig.open(`${method} /x HTTP/1.1\r\n${HOST}${framed}`);
      assert.deepEqual((await client.answers(1, [method])).map(statusOf), [200]);
    }
    assert.deepEqual(rig.upstream.seen, Array(3).fill(`${method} /x HTTP/1.1`));
    assert.deepEqual(
      rig.upstream.requests.map(({ body }) => body),
      [SMUGGLED, SMUGGLED, ''],
    );
    rig.upstream.assertClean();
  });
}

test('a length that a number cannot hold exactly is refused: rounded up it would be another one for the upstream', async (t) => {
  const routes =
    '- { name: open, match: { path: /* }, upstream: raw, require: public, limits: { request_body: none }, weaker_than_defaults: [require] }';
  const rig = await startRig(t, { routes });
  for (const length of ['9007199254740993', '18446744073709551615']) {
    const client = await rig.open(`${POST}Content-Length: ${length}\r\n\r\nhello`);
    assert.deepEqual((await client.answers(1)).map(reasonOf), ['body_too_large']);
  }
  assert.equal(rig.upstream.text, '');
  await (await rig.open(`${POST}Content-Length: 0005\r\n\r\nhello`)).answers(1);
  assert.equal(rig.upstream.requests[0]?.body, 'hello');
  rig.upstream.assertClean();
});
