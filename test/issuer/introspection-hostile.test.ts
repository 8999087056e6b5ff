// Issuers with invalid answers or none: nothing accepted, nothing cached.

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { active, answering, introspector, JSON_FIELDS, NOW } from '../support/introspector.ts';
import { breakOff, json, type Served, serve, status } from '../support/issuer-server.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';

describe('accepts nothing and remembers nothing', () => {
  const text = (body: string, fields: Record<string, string> = JSON_FIELDS) => json(body, fields);
  const refused =
    (code: number, body: object): Served['answer'] =>
    (_request, response) =>
      response.writeHead(code, JSON_FIELDS).end(JSON.stringify(body));
  const slow =
    (write: (response: ServerResponse) => void): Served['answer'] =>
    (_request, response) =>
      write(response);
  const hostile: Readonly<Record<string, { answer: Served['answer']; error: RegExp; calls?: number }>> = {
    'active: "true"': { answer: text('{"active":"true"}'), error: /does not say whether/ },
    'active: 1': { answer: text('{"active":1}'), error: /does not say whether/ },
    'no active': { answer: text('{"sub":"alice"}'), error: /does not say whether/ },
    'a list': { answer: text('[{"active":true}]'), error: /does not say whether/ },
    'active twice': { answer: text('{"active":false,"active":true}'), error: /does not say whether/ },
    'cnf twice': { answer: text('{"active":true,"cnf":{"jkt":"a","jkt":"b"}}'), error: /does not say whether/ },
    'no JSON': { answer: text('active=true'), error: /does not say whether/ },
    'an empty body': { answer: text(''), error: /does not say whether/ },
    HTML: { answer: text('{"active":true}', { 'content-type': 'text/html' }), error: /not application\/json/ },
    'no media type': { answer: text('{"active":true}', {}), error: /not application\/json/ },
    'a JWT (RFC 9701)': {
      answer: text('eyJhbGciOiJub25lIn0.e30.', { 'content-type': 'application/token-introspection+jwt' }),
      error: /not application\/json/,
    },
    'more than it may be': { answer: active({ pad: 'x'.repeat(5000) }), error: /UND_ERR_RES_EXCEEDED_MAX_SIZE/ },
    'a redirect to another origin': {
      answer: status(307, { location: 'https://elsewhere.example/introspect' }),
      error: /answered 307, and a redirect is followed on the same origin only/,
    },
    'a redirect to another origin by a name alone': {
      answer: status(308, { location: '//elsewhere.example/' }),
      error: /answered 308/,
    },
    'a redirect with a password': {
      answer: (request, response) =>
        response.writeHead(307, { location: `http://user:secret@${request.headers.host}/introspect` }).end(),
      error: /answered 307/,
    },
    'a redirect that makes a GET of it': { answer: status(302, { location: '/introspect' }), error: /answered 302/ },
    'a redirect to nowhere': { answer: status(307), error: /answered 307/ },
    'redirects without end': { answer: status(307, { location: '/introspect' }), error: /answered 307/, calls: 4 },
    'a coding that is not known': {
      answer: text('{"active":true}', { ...JSON_FIELDS, 'content-encoding': 'compress' }),
      error: /a Content-Encoding that was not asked for/,
    },
    'a coding that is not there': {
      answer: text('{"active":true}', { ...JSON_FIELDS, 'content-encoding': 'gzip' }),
      error: /Z_DATA_ERROR/,
    },
    'more than it may be once it is decoded': {
      answer: (_request, response) =>
        response
          .writeHead(200, { ...JSON_FIELDS, 'content-encoding': 'gzip' })
          .end(gzipSync(JSON.stringify({ active: true, pad: ' '.repeat(100_000) }))),
      error: /ERR_BUFFER_TOO_LARGE/,
    },
    '401': { answer: status(401), error: /answered 401/ },
    '401 with its reason': {
      answer: refused(401, { error: 'invalid_client' }),
      error: /answered 401 \(invalid_client\)$/,
    },
    '400 with a token for a reason': {
      answer: refused(400, { error: 's3cret-token', error_description: 's3cret' }),
      error: /answered 400$/,
    },
    '400 with a reason that is none': { answer: refused(400, { error: ['invalid_request'] }), error: /answered 400$/ },
    '403 that says active': {
      answer: (_request, response) => response.writeHead(403, JSON_FIELDS).end('{"active":true}'),
      error: /answered 403/,
    },
    '500': { answer: status(500), error: /answered 500/ },
    '204': { answer: (_request, response) => response.writeHead(204).end(), error: /answered 204/ },
    nothing: { answer: slow(() => {}), error: /no answer in 0\.3 s|TimeoutError/ },
    'a head and no body': {
      answer: slow((response) => response.writeHead(200, JSON_FIELDS).flushHeaders()),
      error: /no answer|Timeout/,
    },
    'a body that drips': {
      answer: slow((response) => {
        response.writeHead(200, JSON_FIELDS).write('{"active":true');
        const timer = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(timer));
      }),
      error: /no answer|Timeout/,
    },
    'half an answer': {
      answer: (_request, response) => {
        response.writeHead(200, { ...JSON_FIELDS, 'content-length': '100' }).write('{"active":true}');
        setImmediate(() => response.destroy());
      },
      error: /UND_ERR_SOCKET|ECONNRESET/,
      calls: 2,
    },
    'a closed connection': { answer: breakOff, error: /UND_ERR_SOCKET|ECONNRESET/, calls: 2 },
    'what is no HTTP': { answer: ({ socket }) => void socket.end('active: true\r\n\r\n'), error: /HTTPParserError/ },
  };
  for (const [what, { answer, error, calls = 1 }] of Object.entries(hostile)) {
    test(`from an issuer that gives ${what}`, async (t) => {
      const server = await serve(t);
      server.answer = answering([], answer);
      const { asking, errors } = introspector(t, server, { limits: { size: 4096, timeout: 1 } });
      assert.equal(await asking.ask('s3cret-token', NOW), 'unavailable');
      assert.equal(server.seen.length, calls);
      assert.match(errors()[0] ?? '', error);
      assert.doesNotMatch(JSON.stringify(errors()), /s3cret|sécret|alice/);
      server.answer = answering([]);
      assert.deepEqual(await asking.ask('s3cret-token', NOW), { active: true });
    });
  }

  test('from an issuer that is not there, or that another CA vouches for', async (t) => {
    const gone = introspector(t, { origin: 'http://127.0.0.1:9' });
    assert.equal(await gone.asking.ask('one', NOW), 'unavailable');
    assert.match(gone.errors()[0] ?? '', /ECONNREFUSED|bad port|UND_ERR/);
    const ca = await makeCa();
    const stranger = await serve(t, await makeCertificate({ names: ['127.0.0.1'], ca }));
    const { asking, errors } = introspector(t, stranger);
    assert.equal(await asking.ask('one', NOW), 'unavailable');
    assert.match(errors()[0] ?? '', /UNABLE_TO_VERIFY|SELF_SIGNED/);
    assert.deepEqual(stranger.seen, []);
  });
});

test('an idle connection that the issuer closes costs nobody an answer', async (t) => {
  const server = await serve(t);
  let sockets = 0;
  server.answer = (request, response) => {
    sockets += 1;
    answering([], (_request, answered) => {
      answered.shouldKeepAlive = true;
      active()(request, answered);
      // Closed without a word after the answer, as servers do whose patience is shorter than ours.
      if (sockets === 1) setImmediate(() => request.socket.destroy());
    })(request, response);
  };
  const { asking, errors } = introspector(t, server, {
    limits: { calls: { turns: 1, unknown: 1, perClient: 1, waiting: 9 } },
  });
  assert.deepEqual(await asking.ask('one', NOW), { active: true });
  assert.deepEqual(await asking.ask('two', NOW), { active: true });
  assert.deepEqual(errors(), []);
});

test('closing ends calls in flight', async (t) => {
  const server = await serve(t);
  const asked = new Promise<void>((resolve) => {
    server.answer = () => resolve();
  });
  const { asking } = introspector(t, server);
  const says = asking.ask('one', NOW);
  await asked;
  await asking.close();
  assert.equal(await says, 'unavailable');
});
