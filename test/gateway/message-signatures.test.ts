// Message signatures end to end: what was signed reaches the upstream once, nothing else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import {
  HOST,
  ORIGIN,
  portOf,
  type RequestWishes,
  SERVER_CA,
  startTestGateway,
  type TestGateway,
  writePolicy,
} from '../support/gateway.ts';
import { contentDigest } from '../support/signing.ts';
import { readCommandLine } from '../../src/cli/arguments.ts';
import { explain } from '../../src/cli/explain/explain.ts';
import { CLIENT, HOLDER, issue, prove, TO_CERTIFICATE, TO_KEY } from './credentials.ts';
import { edit, makeSigned, type SignedRequest, sendSigned } from './signed-requests.ts';

const LISTENER = 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }';
const ROUTES = `
- { name: signed, match: { path: /signed/* }, upstream: orders, signature: { components: [content-type, idempotency-key] } }
- { name: tagged, match: { path: /tagged/* }, upstream: orders, signature: { tag: orders } }
- { name: plain, match: { path: /plain/* }, upstream: orders }
- name: tried
  match: { path: /tried/* }
  upstream: orders
  shadow: { signature: {} }
- name: page
  match: { path: /page/* }
  upstream: orders
  cors: { origins: ["https://app.example.com"] }
  signature: {}
`;

const start = (t: TestContext) => startTestGateway(t, { listener: LISTENER, routes: ROUTES });

describe('what was signed passes', () => {
  it('with its signature and its digest, by a proof or by a certificate', async (t) => {
    const gateway = await start(t);
    const body = '{"amount":1}';
    const fields = [['Content-Type', 'application/json']] as const;
    for (const certificate of [false, true]) {
      assert.equal((await sendSigned(gateway, { certificate })).status, 200);
      assert.equal(
        (await sendSigned(gateway, { certificate, body, fields, keyid: CLIENT.thumbprint })).reason,
        certificate ? undefined : 'signature_key_mismatch',
      );
      assert.equal((await sendSigned(gateway, { certificate, body, fields })).status, 200);
    }
    const seen = gateway.upstream.seen.at(-1);
    assert.equal(seen?.body, body);
    assert.ok(seen?.fields.one('signature')?.startsWith('sig=:'));
    assert.equal(seen?.fields.one('content-digest'), contentDigest(body));
  });

  it('next to a signature of another tag', async (t) => {
    const gateway = await start(t);
    const more = (request: RequestWishes) =>
      edit(
        'Signature',
        (value) => `${value}, else=:AAAA:`,
      )(edit('Signature-Input', (value) => `${value}, else=("x" "x");tag="b"`)(request));
    assert.equal((await sendSigned(gateway, { path: '/tagged/1', tag: 'orders' }, more)).status, 200);
  });

  it('on a route that demands none, whatever the fields say', async (t) => {
    const gateway = await start(t);
    assert.equal(
      (
        await sendSigned(
          gateway,
          { path: '/plain/1' },
          edit('Signature', () => 'nonsense'),
        )
      ).status,
      200,
    );
    assert.equal(
      (
        await sendSigned(
          gateway,
          { path: '/tried/1' },
          edit('Signature', () => 'sig=::'),
        )
      ).status,
      200,
    );
    assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'signature_invalid', mode: 'shadow' }), 1);
  });
});

describe('what was changed does not', () => {
  it('another method, path, query or spelling of it', async (t) => {
    const gateway = await start(t);
    const { method, request } = await makeSigned(gateway, { path: '/signed/a?x=%2f' });
    const others = [
      '/signed/a',
      '/signed/a?',
      '/signed/a?x=%2F',
      '/signed/a?x=/',
      '/signed/%61?x=%2f',
      '/signed/a?x=%2f&y',
    ];
    for (const path of others) {
      assert.equal((await gateway.request(method, path, request)).reason, 'signature_invalid', path);
    }
    assert.equal((await gateway.request(method, '/signed/a?x=%2f', request)).status, 200);
    assert.equal(gateway.upstream.seen.length, 1);
  });

  it('another good token, or another good proof, of the same key', async (t) => {
    const gateway = await start(t);
    const { method, path, request } = await makeSigned(gateway);
    const token = await issue(gateway, { ...TO_KEY, sub: 'else' });
    const ofToken = { ...request, token, proof: await prove(gateway, token, method, path) };
    assert.equal((await gateway.request(method, path, ofToken)).reason, 'signature_invalid');
    const ofProof = { ...request, proof: await prove(gateway, request.token ?? '', method, path) };
    assert.equal((await gateway.request(method, path, ofProof)).reason, 'signature_invalid');
    assert.equal((await gateway.request(method, path, request)).status, 200);
  });
});

describe('a refused client', () => {
  it('reads what has to be signed', async (t) => {
    const gateway = await start(t);
    const unsigned = await sendSigned(gateway, {
      path: '/tagged/1',
      body: 'x',
      fields: [['Content-Type', 'text/plain']],
    });
    const wanted = '"@method" "@target-uri" "authorization" "dpop" "content-digest" "content-type"';
    assert.equal(unsigned.fields.one('accept-signature'), `sig=(${wanted});created;tag="orders"`);
    assert.match(unsigned.fields.all('www-authenticate').join('; '), /^DPoP algs="[^;]*"; Bearer realm=/);
  });

  it('reads it in a page too', async (t) => {
    const gateway = await start(t);
    const answer = await sendSigned(gateway, {
      path: '/page/1',
      covered: [],
      fields: [['Origin', 'https://app.example.com']],
    });
    assert.equal(answer.reason, 'signature_component_missing');
    assert.match(answer.fields.one('access-control-expose-headers') ?? '', /, Accept-Signature, Want-Content-Digest$/);
  });
});

describe('explain', () => {
  const ask = async (t: TestContext, { method, path, request }: SignedRequest) => {
    const config = writePolicy(t, { listener: LISTENER, routes: ROUTES });
    const files = {
      token: `DPoP ${request.token}`,
      proof: request.proof ?? '',
      fields: (request.fields ?? []).map(([name, value]) => `${name}: ${value}`).join('\n'),
    };
    const options = Object.entries(files).flatMap(([name, text]) => {
      writeFileSync(join(dirname(config), name), text);
      return [`--${name}-file`, join(dirname(config), name)];
    });
    const line = ['explain', '-c', config, '--method', method, '--url', ORIGIN + path, ...options];
    return explain(readCommandLine(line));
  };

  it('shows each check of a signed request, and neither its nonce nor its signature', async (t) => {
    const gateway = await start(t);
    const signed = await makeSigned(gateway, { nonce: 'kept-quiet', keyid: HOLDER.jkt });
    const good = await ask(t, signed);
    assert.equal(good.exit, 0, good.stdout);
    assert.match(
      good.stdout,
      /^ok +covered components .*\n +expected @method.*\n +received \("@method" "@target-uri"/m,
    );
    assert.ok(!good.stdout.includes('kept-quiet'), good.stdout);
    const [, , signature = ''] =
      /sig=:((.+)):/.exec(signed.request.fields?.find(([name]) => name === 'Signature')?.[1] ?? '') ?? [];
    assert.ok(signature !== '' && !good.stdout.includes(signature));
    const bad = await ask(t, { ...signed, path: '/signed/2' });
    assert.equal(bad.exit, 1);
    assert.match(bad.stdout, /^REFUSED: proof_uri_mismatch$/m);
    const query = await ask(t, { ...signed, path: '/signed/1?a=2' });
    assert.match(query.stdout, /^REFUSED: signature_invalid$/m);
    assert.match(query.stdout, /^FAILED +message signature \(/m);
    assert.match(query.stdout, /^ {2}Accept-Signature: sig=\("@method" /m);
  });

  it('takes lines with a name and a value alone', async (t) => {
    const gateway = await start(t);
    const signed = await makeSigned(gateway);
    const broken = { ...signed, request: { ...signed.request, fields: [['no name', 'x'] as const] } };
    await assert.rejects(ask(t, broken), /--fields-file: expected lines like Signature/);
  });
});

describe('replay', () => {
  it('a signed request overheard and sent again is refused by its proof', async (t) => {
    const gateway = await start(t);
    const { method, path, request } = await makeSigned(gateway);
    const answers = [await gateway.request(method, path, request), await gateway.request(method, path, request)];
    assert.deepEqual(
      answers.map(({ reason }) => reason),
      [undefined, 'proof_replayed'],
    );
  });

  it('without a proof the signature itself passes once, however it is spelled', async (t) => {
    const gateway = await start(t);
    const { method, path, request } = await makeSigned(gateway, { certificate: true, body: 'x' });
    const spelled = edit('Signature-Input', (value) => value.replace('sig=', 'else=').replaceAll(' ', '  '));
    const again = [
      request,
      spelled(edit('Signature', (value) => value.replace('sig=', 'else='))(request)),
      edit('Signature', respelled)(request),
    ];
    assert.equal((await gateway.request(method, path, request)).status, 200);
    for (const one of again) assert.equal((await gateway.request(method, path, one)).reason, 'signature_replayed');
    assert.equal(gateway.upstream.seen.length, 1);
  });

  it('two requests of one second that are alike pass with different nonces', async (t) => {
    const gateway = await start(t);
    const created = Math.ceil(gateway.now());
    const token = await issue(gateway, TO_CERTIFICATE);
    const reasons = [];
    for (const nonce of ['a', 'b', 'b']) {
      reasons.push((await sendSigned(gateway, { certificate: true, token, created, nonce })).reason);
    }
    assert.deepEqual(reasons, [undefined, undefined, 'signature_replayed']);
  });

  it('a signature that may have been used before the gateway started is stale, and one with a new proof is not', async (t) => {
    const gateway = await start(t);
    const created = gateway.now() - 30;
    assert.equal((await sendSigned(gateway, { certificate: true, created })).reason, 'signature_stale');
    assert.equal((await sendSigned(gateway, { created })).status, 200);
  });
});

/** ECDSA: (r, s) and (r, n - s) verify alike. */
function respelled(value: string): string {
  const bytes = Buffer.from(value.slice('sig=:'.length, -1), 'base64');
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return `sig=:${other.toString('base64')}:`;
}

interface Ended {
  readonly bytes: number;
  readonly whole: boolean;
}

/** An upstream over HTTP/2 that tells how the body of each request ended. */
async function startHttp2(t: TestContext): Promise<{ origin: string; ended: Ended[] }> {
  const ended: Ended[] = [];
  const server = createHttp2Server();
  server.on('stream', (stream: ServerHttp2Stream) => {
    let bytes = 0;
    let whole = false;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    stream.on('error', () => {});
    stream.on('end', () => {
      whole = !stream.aborted;
      if (whole) stream.respond({ ':status': 200 });
      stream.end('from HTTP/2');
    });
    stream.on('close', () => ended.push({ bytes, whole }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ended };
}

/** Sends a signed request over HTTP/2, its body in pieces. */
async function overHttp2(t: TestContext, gateway: TestGateway, { method, path, request }: SignedRequest, body: string) {
  const port = portOf(gateway.running.listeners[0]?.bind);
  const socket = connect({ port, host: '127.0.0.1', servername: HOST, ca: SERVER_CA.cert, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  const session = connectHttp2(ORIGIN, { createConnection: () => socket });
  session.on('error', () => {});
  t.after(() => session.destroy());
  const fields = Object.fromEntries((request.fields ?? []).map(([name, value]) => [name.toLowerCase(), value]));
  const credentials = { authorization: `DPoP ${request.token}`, dpop: request.proof };
  const stream = session.request({ ':method': method, ':path': path, ':authority': HOST, ...credentials, ...fields });
  stream.on('error', () => {});
  const middle = body.length >> 1;
  stream.write(body.slice(0, middle));
  stream.end(body.slice(middle));
  const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  let text = '';
  for await (const chunk of stream.setEncoding('latin1')) text += String(chunk);
  return { status: Number(answer[':status']), reason: /"reason":"(\w+)"/.exec(text)?.[1] };
}

describe('a long body goes on as it comes, but for its end', () => {
  const LONG = 'long body, '.repeat(30_000);
  const SENT: Readonly<Record<string, string>> = {
    'as it was signed': LONG,
    'its last byte changed': `${LONG.slice(0, -1)}!`,
    'its first byte changed': `!${LONG.slice(1)}`,
    'a byte less': LONG.slice(0, -1),
    'a byte more': `${LONG}!`,
    'none at all': '',
  };
  for (const from of ['HTTP/1.1', 'HTTP/2']) {
    for (const to of ['HTTP/1.1', 'HTTP/2']) {
      it(`${from} to ${to}`, async (t) => {
        const two = await startHttp2(t);
        const gateway = await startTestGateway(t, {
          upstreams: `two: { targets: ["${two.origin}"], http2: true }`,
          routes: `- { name: long, match: { path: /long/* }, upstream: ${to === 'HTTP/2' ? 'two' : 'orders'}, signature: {} }`,
        });
        let ends = 0;
        gateway.upstream.answer = (_request, response) => {
          ends += 1;
          response.end();
        };
        for (const [what, body] of Object.entries(SENT)) {
          const signed = await makeSigned(gateway, { path: '/long/1', body: LONG });
          const { status, reason } =
            from === 'HTTP/2'
              ? await overHttp2(t, gateway, signed, body)
              : await gateway.request(signed.method, signed.path, { ...signed.request, body });
          assert.deepEqual([status, reason], body === LONG ? [200, undefined] : [400, 'content_digest_mismatch'], what);
        }
        const wrong = Object.keys(SENT).length - 1;
        assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'content_digest_mismatch' }), wrong);
        const whole = to === 'HTTP/2' ? two.ended.filter(({ whole }) => whole) : gateway.upstream.seen.slice(0, ends);
        assert.equal(whole.length, 1);
        if (to === 'HTTP/2')
          assert.ok(
            two.ended.some(({ bytes, whole }) => bytes > 65_536 && !whole),
            'nothing was streamed',
          );
        else
          assert.ok(
            gateway.upstream.seen.some(({ body }) => body.length > 65_536 && body.length < LONG.length),
            'nothing was streamed',
          );
      });
    }
  }
});
