// The end of a message, stated twice, wrongly or not at all, with a hidden request.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST, reasonOf, SMUGGLED, startRig, statusOf } from './rig.ts';

const POST = `POST /x HTTP/1.1\r\n${HOST}`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const NO_CHUNKS = '0\r\n\r\n';

const MALFORMED: Readonly<Record<string, string>> = {
  'CL.TE': `${POST}Content-Length: ${SMUGGLED.length + 5}\r\n${CHUNKED}\r\n${NO_CHUNKS}`,
  'TE.CL': `${POST}${CHUNKED}Content-Length: 4\r\n\r\n${NO_CHUNKS}`,
  'CL.0 with TE in HTTP/1.0': `POST /x HTTP/1.0\r\n${HOST}${CHUNKED}\r\n${NO_CHUNKS}`,
  'two lengths': `${POST}Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`,
  'two equal lengths': `${POST}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`,
  'a length of a length': `${POST}Content-Length: 0, 0\r\n\r\n`,
  'a signed length': `${POST}Content-Length: +0\r\n\r\n`,
  'a negative length': `${POST}Content-Length: -1\r\n\r\n`,
  'a hexadecimal length': `${POST}Content-Length: 0x0\r\n\r\n`,
  'a length with a space in it': `${POST}Content-Length: 1 0\r\n\r\n`,
  'a length with a fraction': `${POST}Content-Length: 0.0\r\n\r\n`,
  'a length with an exponent': `${POST}Content-Length: 1e1\r\n\r\n`,
  'a length with a separator': `${POST}Content-Length: 1_0\r\n\r\n`,
  'a length of other digits': `${POST}Content-Length: \xd9\xa0\r\n\r\n`,
  'an empty length': `${POST}Content-Length: \r\n\r\n`,
  'a length over 2⁶⁴': `${POST}Content-Length: 18446744073709551616\r\n\r\n`,
  'a length with a space before the colon': `${POST}Content-Length : ${SMUGGLED.length}\r\n\r\n`,
  'a folded length': `${POST}Content-Length:\r\n 0\r\n\r\n`,
  identity: `${POST}Transfer-Encoding: identity\r\n\r\n`,
  xchunked: `${POST}Transfer-Encoding: xchunked\r\n\r\n${NO_CHUNKS}`,
  'chunked and identity': `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${NO_CHUNKS}`,
  'identity and chunked': `${POST}Transfer-Encoding: identity, chunked\r\n\r\n${NO_CHUNKS}`,
  'chunked twice': `${POST}${CHUNKED}${CHUNKED}\r\n${NO_CHUNKS}`,
  'chunked twice in one line': `${POST}Transfer-Encoding: chunked, chunked\r\n\r\n${NO_CHUNKS}`,
  'chunked beside nonsense': `${POST}${CHUNKED}Transfer-Encoding: cow\r\n\r\n${NO_CHUNKS}`,
  'nonsense before chunked': `${POST}Transfer-Encoding: cow\r\n${CHUNKED}\r\n${NO_CHUNKS}`,
  'a tab within the value': `${POST}Transfer-Encoding: \tchunked,\r\n\r\n${NO_CHUNKS}`,
  'a vertical tab before chunked': `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n${NO_CHUNKS}`,
  'quotes around chunked': `${POST}Transfer-Encoding: 'chunked'\r\n\r\n${NO_CHUNKS}`,
  'a parameter of chunked': `${POST}Transfer-Encoding: chunked;q=1\r\n\r\n${NO_CHUNKS}`,
  'a folded coding': `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n${NO_CHUNKS}`,
  'a coding with a space before the colon': `${POST}Transfer-Encoding : chunked\r\n\r\n${NO_CHUNKS}`,
  'a coding behind a bare LF': `${POST}X: y\nTransfer-Encoding: chunked\r\n\r\n${NO_CHUNKS}`,
  'a coding behind a bare CR': `${POST}X: y\rTransfer-Encoding: chunked\r\n\r\n${NO_CHUNKS}`,
  'an empty coding': `${POST}Transfer-Encoding: \r\n\r\n${NO_CHUNKS}`,
  'chunked without a body in GET, with a length': `GET /x HTTP/1.1\r\n${HOST}${CHUNKED}Content-Length: 9\r\n\r\n${NO_CHUNKS}`,
};

test('a message whose end can be read in two ways is refused, and nothing behind it is a request', async (t) => {
  const rig = await startRig(t);
  for (const [what, bytes] of Object.entries(MALFORMED)) {
    await t.test(what, async () => {
      const answers = await rig.answersTo(bytes + SMUGGLED);
      assert.deepEqual(answers.map(reasonOf), ['request_malformed']);
    });
  }
  assert.equal(rig.upstream.text, '');
});

/** Bodies that break; the upstream may have seen their beginning, never an end. */
const BROKEN: Readonly<Record<string, string>> = {
  'a chunk size that is no number': 'x\r\n',
  'a chunk size with a sign': '+5\r\nhello\r\n0\r\n\r\n',
  'a hexadecimal prefix': '0x5\r\nhello\r\n0\r\n\r\n',
  'a chunk size over 2⁶⁴': '10000000000000005\r\nhello\r\n0\r\n\r\n',
  'an empty chunk size': '\r\nhello\r\n0\r\n\r\n',
  'white space before a chunk size': ' 5\r\nhello\r\n0\r\n\r\n',
  'a chunk size that ends in a bare LF': '5\nhello\r\n0\r\n\r\n',
  'a chunk size that ends in a bare CR': '5\rhello\r\n0\r\n\r\n',
  'a chunk extension that ends in a bare LF': '5;a=b\nhello\r\n0\r\n\r\n',
  'a NUL in a chunk extension': '5;a=\0\r\nhello\r\n0\r\n\r\n',
  'a chunk longer than it says': '5\r\nhello!\r\n0\r\n\r\n',
  'a chunk that ends in a bare LF': '5\r\nhello\n0\r\n\r\n',
  'a last chunk that ends in a bare LF': '5\r\nhello\r\n0\n\n',
  'a trailer with a bare LF': '5\r\nhello\r\n0\r\nX: y\n\r\n',
  'a folded trailer': '5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n',
  'a length in the trailers': '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n',
  'a coding in the trailers': '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n',
  'a trailer that is no field': `0\r\n${SMUGGLED.slice(0, 24)}\r\n\r\n`,
};

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
