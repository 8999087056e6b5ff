// An upstream that lies, and clients that break off: the next client is safe.

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import {
  type Client,
  echo,
  fieldOf,
  HOST,
  perRequest,
  reasonOf,
  type Rig,
  type Script,
  startRig,
  statusOf,
} from './rig.ts';

const get = (target: string, more = '') => `GET ${target} HTTP/1.1\r\n${HOST}${more}\r\n`;
const OK = (body: string, more = '') => `HTTP/1.1 200 OK\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

/** Answers with these bytes, once; from then on like an honest upstream, on every connection. */
const once = (bytes: string, then: 'stay' | 'end' | 'reset' = 'stay'): Script => {
  let lied = false;
  return perRequest((connection, nth) => {
    if (lied) return echo(connection, nth);
    lied = true;
    connection.socket.write(bytes, 'latin1', () => {
      if (then === 'end') connection.socket.end();
      if (then === 'reset') connection.socket.resetAndDestroy();
    });
  });
};

/** The next client: gets the answer to its own request, and not a byte of anything else. */
async function assertNextIsClean(rig: Rig, target: string): Promise<void> {
  const client = await rig.open(get(target));
  const [answer] = await client.answers(1);
  assert.equal(answer?.body, `you sent GET ${target} HTTP/1.1 with 0 bytes`, client.text);
  assert.equal(client.text.split('HTTP/1.1 ').length, 3, 'one answer, and the request line in its body');
  assert.doesNotMatch(client.text, /poison/);
}

/** Answers that are none: 502 for the one who asked, nothing for anybody else. */
const INVALID: Readonly<Record<string, string>> = {
  'HTTP/0.9': 'poison',
  'another protocol': 'ICY 200 OK\r\n\r\npoison',
  'bare line feeds': `HTTP/1.1 200 OK\nContent-Length: 6\n\npoison`,
  'a bare CR that hides a field': `HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: poison\r\nContent-Length: 0\r\n\r\n`,
  'a bare LF that hides a field': `HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: poison\r\nContent-Length: 0\r\n\r\n`,
  'NUL in a value': `HTTP/1.1 200 OK\r\nX: a\0poison\r\nContent-Length: 0\r\n\r\n`,
  'a folded field': `HTTP/1.1 200 OK\r\nX: a\r\n poison\r\nContent-Length: 0\r\n\r\n`,
  'an empty name': `HTTP/1.1 200 OK\r\n: poison\r\nContent-Length: 0\r\n\r\n`,
  'white space before the colon': `HTTP/1.1 200 OK\r\nContent-Length : 6\r\n\r\npoison`,
  'length and coding': `HTTP/1.1 200 OK\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\npoison`,
  'two lengths': `HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 6\r\n\r\npoison`,
  'a list of lengths': `HTTP/1.1 200 OK\r\nContent-Length: 6, 6\r\n\r\npoison`,
  'a signed length': `HTTP/1.1 200 OK\r\nContent-Length: +6\r\n\r\npoison`,
  'an unknown coding': `HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\npoison`,
  'chunked and another coding': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n6\r\npoison\r\n0\r\n\r\n`,
  'chunked twice': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n`,
  '101 unasked': `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\npoison`,
  '101 without a word about it': `HTTP/1.1 101 x\r\n\r\n${OK('poison')}`,
  'a status of four digits': `HTTP/1.1 2000 OK\r\nContent-Length: 6\r\n\r\npoison`,
  'fields without end': `HTTP/1.1 200 OK\r\n${`X: ${'poison'.repeat(100)}\r\n`.repeat(120)}\r\n`,
};

for (const then of ['stay', 'end', 'reset'] as const) {
  test(`an answer that is none (then ${then}) is a 502 for whoever asked and nothing for the next client`, async (t) => {
    const rig = await startRig(t, { connections: 1, plain: true });
    for (const [what, bytes] of Object.entries(INVALID)) {
      rig.upstream.script = once(bytes, then);
      const client = await rig.open(get('/first'));
      const [answer] = await client.answers(1);
      assert.equal(answer && reasonOf(answer), 'upstream_invalid', what);
      assert.doesNotMatch(client.text, /poison|Set-Cookie/, what);
      await assertNextIsClean(rig, '/next');
    }
    rig.upstream.assertClean();
  });
}

/** An answer and what follows it, in one packet; `first` is all that whoever asked may get. */
const MORE: readonly (readonly [what: string, bytes: string, first: string, method?: string])[] = [
  ['a second answer', OK('first') + OK('poison'), 'first'],
  ['a hundred answers', OK('first') + OK('poison').repeat(100), 'first'],
  ['garbage', `${OK('first')}poison`, 'first'],
  ['more body than its length', OK('first').replace(' 5', ' 4'), 'firs'],
  [
    'an answer behind the last chunk',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n${OK('poison')}`,
    'first',
  ],
  [
    'trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;poison\r\nfirst\r\n0\r\nSet-Cookie: poison\r\n\r\n',
    'first',
  ],
  ['a body of 204', 'HTTP/1.1 204 x\r\nContent-Length: 6\r\n\r\npoison', ''],
  ['an answer behind 204', `HTTP/1.1 204 x\r\n\r\n${OK('poison')}`, ''],
  ['a chunked 204', 'HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n', ''],
  ['a body of 304', 'HTTP/1.1 304 x\r\nContent-Length: 6\r\n\r\npoison', ''],
  ['a body for HEAD', OK('poison'), '', 'HEAD'],
  [
    'a chunked body for HEAD',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n',
    '',
    'HEAD',
  ],
  [
    'interim answers before and another answer behind',
    `${'HTTP/1.1 103 x\r\nLink: hint\r\n\r\n'.repeat(20)}${OK('first')}${OK('poison')}`,
    'first',
  ],
  [
    'unasked 100s before and another answer behind',
    `${'HTTP/1.1 100 Continue\r\nLink: poison\r\n\r\n'.repeat(20)}${OK('first')}${OK('poison')}`,
    'first',
  ],
];

test('an upstream that answers more than asked: the rest reaches nobody, neither the same client nor one that waits', async (t) => {
  const rig = await startRig(t, { connections: 1 });
  for (const [what, bytes, first, method = 'GET'] of MORE) {
    await t.test(what, async () => {
      rig.upstream.script = once(bytes);
      const [client, waiting] = [await rig.open(), await rig.open()];
      client.send(get('/first').replace('GET', method));
      await rig.upstream.until(({ seen }) => seen.at(-1) === `${method} /first HTTP/1.1`);
      waiting.send(get('/waiting'));
      const [answer] = await client.answers(1, [method]);
      assert.equal(answer?.body, first);
      assert.doesNotMatch(client.text, /poison/);
      assert.match(
        (await waiting.answers(1))[0]?.body ?? '',
        /^you sent GET \/waiting |upstream_(?:invalid|unreachable)/,
      );
      assert.doesNotMatch(waiting.text, /poison/);
      const [again] = (await client.send(get('/again')).answers(2, [method])).slice(1);
      assert.equal(again?.body, 'you sent GET /again HTTP/1.1 with 0 bytes');
      await assertNextIsClean(rig, '/next');
    });
  }
  rig.upstream.assertClean();
});

test('204 reaches the client without a length, of which it could wait for the next answer', async (t) => {
  const rig = await startRig(t);
  rig.upstream.script = once('HTTP/1.1 204 x\r\nContent-Length: 6\r\nX: y\r\n\r\n');
  const [answer] = await (await rig.open(get('/x'))).answers(1);
  assert.deepEqual(answer && [statusOf(answer), fieldOf(answer, 'content-length'), fieldOf(answer, 'x')], [
    204,
    [],
    ['y'],
  ]);
});

/** What the client gets of an answer that breaks off: its beginning on a connection that breaks, never a complete message. */
const BROKEN: Readonly<Record<string, string>> = {
  'a body shorter than its length': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
  'a length nobody can send': 'HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhalf',
  'no last chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  'a chunk size that is none': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n',
  'a chunk longer than it says': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfpoison\r\n0\r\n\r\n',
  'a chunk size over 2⁶⁴': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nfffffffffffffffff\r\n',
};

test('an answer that breaks off breaks the stream of the client, and the next client sees nothing of it', async (t) => {
  const rig = await startRig(t, { connections: 1 });
  for (const then of ['end', 'reset'] as const) {
    for (const [what, bytes] of Object.entries(BROKEN)) {
      rig.upstream.script = once(bytes, then);
      const client = await rig.open(get('/first'));
      assert.doesNotMatch(await client.toEnd(), /0\r\n\r\n$|poison/, what);
      await assertNextIsClean(rig, '/next');
    }
  }
});

test('an upstream that only ever sends interim answers, or nothing, or its answer byte by byte for ever, is timed out', async (t) => {
  const more =
    'defaults: { timeouts: { response_header: 150ms, idle: 150ms, total: 400ms } }\ndrain: { delay: 0s, grace: 1s }\n';
  const rig = await startRig(t, { more });
  const timers: NodeJS.Timeout[] = [];
  const drip =
    (bytes: string, first = ''): Script =>
    ({ socket }) => {
      socket.write(first);
      timers.push(setInterval(() => socket.destroyed || socket.write(bytes), 20));
    };
  for (const [script, expected] of [
    [() => {}, /^HTTP\/1\.1 504 [^]*upstream_timed_out/],
    [drip('HTTP/1.1 100 Continue\r\n\r\n'), /^HTTP\/1\.1 504 [^]*upstream_timed_out/],
    // As many as came in time, eight at most (decision 64).
    [
      drip('HTTP/1.1 103 Early Hints\r\n\r\n'),
      /^(?:HTTP\/1\.1 103 Early Hints\r\nVia: [^\r]*\r\n\r\n){0,8}HTTP\/1\.1 504 [^]*upstream_timed_out/,
    ],
    [drip('X: y\r\n', 'HTTP/1.1 200 OK\r\n'), /^HTTP\/1\.1 504 [^]*upstream_timed_out/],
    [
      drip('1\r\nx\r\n', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
      /^HTTP\/1\.1 200 (?![^]*\r\n0\r\n\r\n$)/,
    ],
  ] as const) {
    rig.upstream.script = script;
    const client = await rig.open(get('/x', 'Connection: close\r\n'));
    assert.match(await client.toEnd(), expected);
  }
  for (const timer of timers) clearInterval(timer);
  await rig.upstream.until(({ connections }) => connections.every(({ ended }) => ended));
});

test('fields that are not for the client do not reach it; its own, repeated ones do', async (t) => {
  const rig = await startRig(t);
  const fields = [
    'Connection: close, X-Hop',
    'X-Hop: evil',
    'Keep-Alive: evil',
    'Proxy-Authenticate: evil',
    'Proxy-Connection: evil',
    'Upgrade: evil',
    'Trailer: evil',
    'TE: evil',
    'Client-Cert: evil',
    'Client-Cert-Chain: evil',
    'DPoP-Nonce: evil',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'WWW-Authenticate: Basic',
    'Location: https://elsewhere.example/',
  ];
  rig.upstream.script = once(OK('ok', `${fields.join('\r\n')}\r\n`));
  const [answer] = await (await rig.open(get('/admin/1', await rig.credentials('GET', '/admin/1')))).answers(1);
  assert.doesNotMatch(JSON.stringify(answer), /evil/);
  assert.deepEqual(answer && fieldOf(answer, 'set-cookie'), ['a=1', 'b=2']);
  assert.deepEqual(answer && fieldOf(answer, 'www-authenticate'), ['Basic']);
});

/** How a kept connection ends under a request, and how often a GET is sent then: once more where no byte of an answer came (decision 63). */
const BREAKS: readonly (readonly [breakOff: (socket: Socket) => unknown, gets: number])[] = [
  [(socket) => socket.destroy(), 2],
  [(socket) => socket.resetAndDestroy(), 2],
  [(socket) => socket.end(), 2],
  [(socket) => socket.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'), 1],
  [(socket) => socket.end('HTTP/1.1 200'), 1],
];

test('however the upstream breaks kept connections, what has effects is sent once, and a GET twice at most', async (t) => {
  const rig = await startRig(t, { connections: 1 });
  for (const [at, [breakOff, gets]] of BREAKS.entries()) {
    for (const [method, target, count] of [
      ['GET', `/once${at}`, gets],
      ['POST', `/open${at}`, 1],
      ['POST', `/admin/${at}`, 1],
    ] as const) {
      rig.upstream.script = perRequest(echo);
      await (await rig.open(get('/warm'))).answers(1);
      rig.upstream.script = perRequest(({ socket }) => breakOff(socket));
      const credentials = target.startsWith('/admin') ? await rig.credentials(method, target) : '';
      await (await rig.open(`${method} ${target} HTTP/1.1\r\n${HOST}${credentials}Content-Length: 0\r\n\r\n`)).answers(
        1,
      );
      const sent = rig.upstream.seen.filter((start) => start === `${method} ${target} HTTP/1.1`);
      assert.equal(sent.length, count, `${method} ${target}`);
    }
  }
  rig.upstream.assertClean();
});

/** More than is collected before a body goes on. */
const COLLECTED = '.'.repeat(70_000);
const COLLECTED_CHUNK = `${COLLECTED.length.toString(16)}\r\n${COLLECTED}\r\n`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
/**
 * What a client has sent, and the upstream answered, when the client breaks off; and the rest of the answer. A client that ends its side
 * behind a whole request may still read (decision 65), so its upstream connection is free when the answer is complete.
 */
const STAGES: readonly (readonly [what: string, sent: string, answered: string, rest?: string])[] = [
  ['half a header section', `GET /gone HTTP/1.1\r\n${HOST}X: `, ''],
  ['fields, before a body with a length', `POST /gone HTTP/1.1\r\n${HOST}Content-Length: 50\r\n\r\n`, ''],
  [
    'half a body with a length',
    `POST /gone HTTP/1.1\r\n${HOST}Content-Length: 90000\r\n\r\n${COLLECTED}GET /gone2 HTTP/1.1`,
    '',
  ],
  ['fields, before chunks', `POST /gone HTTP/1.1\r\n${HOST}${CHUNKED}\r\n`, ''],
  ['half a chunk', `POST /gone HTTP/1.1\r\n${HOST}${CHUNKED}\r\n${COLLECTED_CHUNK}ff\r\nGET /gone2 HTTP/1.1\r\n`, ''],
  ['a chunk, before the last one', `POST /gone HTTP/1.1\r\n${HOST}${CHUNKED}\r\n${COLLECTED_CHUNK}4\r\ngone\r\n`, ''],
  ['a whole request, before the answer', get('/gone'), '', OK('gone')],
  [
    'a whole request, and half the fields of the answer',
    get('/gone'),
    'HTTP/1.1 200 OK\r\nX-Gone: ',
    'y\r\nContent-Length: 4\r\n\r\ngone',
  ],
  [
    'a whole request, and half the answer',
    get('/gone'),
    'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ngone',
    '.'.repeat(46),
  ],
  [
    'a whole request, and half a chunk of the answer',
    get('/gone'),
    `HTTP/1.1 200 OK\r\n${CHUNKED}\r\nff\r\ngone`,
    `${'.'.repeat(251)}\r\n0\r\n\r\n`,
  ],
  [
    'half a body, and the whole answer',
    `POST /gone HTTP/1.1\r\n${HOST}Content-Length: 90000\r\n\r\n${COLLECTED}half`,
    OK('gone'),
  ],
];

test('a client that breaks off at any stage leaves nothing on the connections that serve the next one', async (t) => {
  const rig = await startRig(t, { connections: 1, plain: true });
  for (const [what, sent, answered, rest = ''] of STAGES) {
    for (const how of ['end', 'destroy', 'resetAndDestroy'] as const) {
      await t.test(`${what}, then ${how}`, async () => {
        const client = await reach(rig, sent, answered);
        client.socket[how]();
        rig.upstream.script = echo;
        if (how !== 'resetAndDestroy' && rest !== '') rig.upstream.connections.at(-1)?.socket.write(rest);
        await assertNextIsClean(rig, '/next');
        assert.ok(!rig.upstream.seen.some((start) => start.includes('/gone2')));
      });
    }
  }
  await rig.upstream.until(({ connections }) =>
    connections.every(({ ended, text }) => ended || text.endsWith('\r\n\r\n')),
  );
  rig.upstream.assertClean();
});

/** A client whose request, and the answer, got as far as a stage says. undici sends no fields before there is a body to send. */
async function reach(rig: Rig, sent: string, answered: string): Promise<Client> {
  const before = rig.upstream.text.split('/gone ').length;
  rig.upstream.script = ({ socket, text }) => {
    if (text.includes('/gone ')) socket.write(answered);
  };
  const client = await rig.open(sent);
  const [, body = ''] = sent.split(/\r\n\r\n(.*)/s);
  const isSent = sent.startsWith('GET') ? sent.endsWith('\r\n\r\n') : body !== '';
  if (isSent) await rig.upstream.until(({ text }) => text.split('/gone ').length > before);
  if (answered.includes('\r\n\r\n')) await client.until(({ text }) => text.includes('gone'));
  return client;
}

test('two clients on one upstream connection, interleaved a hundred times with aborts between, never get each other’s answers', async (t) => {
  // All wait for two connections, longer than `connect` is by default where the machine is busy.
  const routes = `- { name: open, match: { path: /* }, upstream: raw, require: public, timeouts: { connect: 60s }, weaker_than_defaults: [require] }`;
  const rig = await startRig(t, { connections: 2, routes });
  const clients: Client[] = [await rig.open(), await rig.open()];
  const sent = [0, 0];
  for (let round = 0; round < 100; round += 1) {
    const at = round % 2;
    if (round % 7 === 3) {
      const aborting = await rig.open(`POST /abort${round} HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nhalf`);
      aborting.socket.destroy();
    }
    const client = clients[at] ?? assert.fail();
    client.send(`POST /c${at} HTTP/1.1\r\n${HOST}Content-Length: ${round}\r\n\r\n${String(at).repeat(round)}`);
    sent[at] = (sent[at] ?? 0) + 1;
  }
  for (const [at, client] of clients.entries()) {
    const bodies = (await client.answers(sent[at] ?? 0)).map(({ body }) => body);
    assert.deepEqual(
      bodies,
      Array.from({ length: 50 }, (_, nth) => `you sent POST /c${at} HTTP/1.1 with ${2 * nth + at} bytes`),
    );
  }
  for (const { start, body } of rig.upstream.requests) {
    const [, at] = /^POST \/c(\d) /.exec(start) ?? [];
    if (at !== undefined) assert.match(body, new RegExp(`^${at}*$`));
  }
});
