// `holdfast probe` against servers that hold nothing, and servers that break.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { CATALOGUE } from '../../../src/cli/probe/catalogue.ts';
import { run } from '../../../src/cli/run.ts';
import { UsageError } from '../../../src/cli/arguments.ts';
import type { ProbeOptions } from '../../../src/cli/probe/settings.ts';
import { makeCertificate } from '../../support/pki.ts';
import { makeKey } from '../../support/tokens.ts';
import {
  boundToken,
  holderPem,
  refuseAnonymous,
  runProbe,
  serve,
  serveBytes,
  tokenOf,
  unboundToken,
  writeFiles,
} from './probing.ts';

const idsOf = (...groups: readonly string[]) =>
  CATALOGUE.filter(({ group }) => groups.includes(group)).map(({ id }) => id);
const TOKENS = idsOf('token');
const PROOFS = idsOf('proof', 'replay');

describe('a broken server', () => {
  test('that closes, hangs, talks something else or floods ends the probe soon, and the probe says so', async (t) => {
    const { options } = await boundToken(t);
    const bytes: Readonly<Record<string, readonly [send: string | undefined, why: RegExp]>> = {
      closes: [undefined, /was not answered: connection closed/],
      'talks something else': ['SSH-2.0-OpenSSH_9.2\r\n', /was not answered: not HTTP/],
      'floods with a head': [`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(40_000)}`, /was not answered: not HTTP/],
    };
    for (const [what, [send, why]] of Object.entries(bytes)) {
      const url = await serveBytes(t, (socket) => (send === undefined ? socket.destroy() : void socket.write(send)));
      const { exit, stdout } = await runProbe(url, options);
      assert.equal(exit, 2, what);
      assert.match((JSON.parse(stdout) as { error: string }).error, why, what);
    }
    let connections = 0;
    const hanging = await serveBytes(t, () => (connections += 1));
    const late = await runProbe(hanging, { ...options, timeout: '0.1', json: false });
    assert.deepEqual([late.exit, late.stdout], [2, '']);
    assert.match(late.stderr, /nothing was tried: the good request was not answered: no answer in time/);
    assert.equal(connections, 2);
    const nowhere = await runProbe('http://127.0.0.1:1/orders/1', options);
    assert.match(nowhere.stdout, /no connection \(ECONNREFUSED\)/);
  });

  test('whose content never ends is read to a bound, on every request', async (t) => {
    const { options } = await boundToken(t);
    const url = await serveBytes(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const flood = () => {
        while (socket.write('x'.repeat(65_536)));
        socket.once('drain', flood);
      };
      flood();
    });
    const { exit, report } = await runProbe(url, { ...options, only: 'no-proof,no-token' });
    assert.deepEqual([exit, report.summary['not_held']], [1, 2]);
  });

  test('that stops answering half-way: what was refused since is unclear, the rest is not tried', async (t) => {
    const { options } = await boundToken(t);
    let count = 0;
    const { url } = await serve(t, (request, response) => {
      count += 1;
      if (count > 8) return;
      if (!refuseAnonymous(request, response)) response.end('order');
    });
    const { exit, report, ids } = await runProbe(url, { ...options, timeout: '0.5', only: 'token,replay,lines' });
    assert.equal(exit, 1, 'something had got in before');
    assert.equal(report.stopped, 'the server does not answer');
    assert.ok(ids('unclear').includes('no-token'));
    assert.ok(ids('not_tried').includes('replay'));
    assert.ok(report.requests < 20);
  });

  test('that refuses everything from some moment on holds nothing by that', async (t) => {
    const { options } = await boundToken(t);
    let count = 0;
    const { url } = await serve(t, (_request, response) => {
      count += 1;
      // Without a token first, then the good request twice.
      const status = count === 2 || count === 3 ? 200 : 401;
      response.writeHead(status).end();
    });
    const { exit, report } = await runProbe(url, { ...options, only: 'token,replay' });
    assert.deepEqual([exit, report.summary['held'], report.summary['not_held']], [2, 0, 0]);
    assert.equal(report.stopped, 'behind the group token the good request was not accepted any more');
  });
});

test('errors of the server and its rate limit are unclear, and never a refusal', async (t) => {
  const { options } = await boundToken(t);
  for (const status of [408, 429, 500, 502, 503]) {
    const { url } = await serve(t, (request, response) => {
      if (refuseAnonymous(request, response)) return;
      const [scheme] = request.headers.authorization?.split(' ') ?? [];
      response.writeHead(scheme === 'Bearer' ? status : 200).end('order');
    });
    const { exit, report, ids } = await runProbe(url, { ...options, only: 'bearer-downgrade,no-token' });
    assert.deepEqual([exit, ids('unclear'), report.stopped], [2, ['bearer-downgrade'], null], String(status));
  }
});

describe('a server without any check', () => {
  test('holds no proof and no token: each is told, with what to do, and 1', async (t) => {
    const { options } = await boundToken(t);
    const { url } = await serve(t, (_request, response) => response.end('order'));
    const { exit, report, ids } = await runProbe(url, options);
    assert.equal(exit, 1);
    const held = [...TOKENS, ...PROOFS].filter((id) => !ids('not_held').includes(id) && !ids('not_tried').includes(id));
    assert.deepEqual(held, []);
    assert.deepEqual(Object.keys(report.next).slice(0, 3), ['token', 'proof', 'replay']);
    assert.match(report.attacks.find(({ id }) => id === 'replay-race')?.got ?? '', /^8 of 8 accepted$/);
    assert.ok(ids('not_tried').includes('path-dots'), 'a disguise of a path that is open shows nothing');
  });

  test('is asked by GET, HEAD and OPTIONS alone, at its own address, no more often than was said', async (t) => {
    const { options } = await boundToken(t);
    let elsewhere = 0;
    const other = await serve(t, (_request, response) => {
      elsewhere += 1;
      response.end();
    });
    const { url, asked } = await serve(t, (request, response) => {
      if (refuseAnonymous(request, response)) return;
      const to = asked.length > 10 ? other.url : url;
      response.writeHead(302, { Location: to, Link: `<${other.url}>; rel=preload` }).end('order');
    });
    const { said, report } = await runProbe(url, { ...options, framing: true, 'public-path': '/healthz' });
    const most = Number(/at most (\d+) requests/.exec(said)?.[1]);
    assert.ok(
      asked.length <= report.requests && report.requests <= most,
      `${asked.length}, ${report.requests}, ${most}`,
    );
    assert.deepEqual(new Set(asked.map(({ method }) => method)), new Set(['GET', 'HEAD', 'OPTIONS']));
    assert.equal(elsewhere, 0, 'a redirect was followed');
    assert.match(said, /Probe only what you run\.\n$/);
  });

  test('that answers refusals with 200 is judged by the marker', async (t) => {
    const { options } = await boundToken(t);
    const { url } = await serve(t, ({ headers }, response) => {
      response.end(headers.authorization === undefined ? '{"error":"log in"}' : '{"order":1}');
    });
    const only = 'no-token,bearer-downgrade,path-dots';
    const { report, ids } = await runProbe(url, { ...options, only, marker: '"order"' });
    assert.deepEqual([ids('not_held'), ids('different')], [['bearer-downgrade'], ['no-token', 'path-dots']]);
    assert.equal(report.good, '200');
  });
});

describe('disguised paths', () => {
  test('count by the content that they show: the protected one gets in, another page does not', async (t) => {
    const options = await unboundToken(t);
    // Public is what does not begin with /orders, and the API reads percent-encoded letters and capitals.
    const { url } = await serve(t, (request, response) => {
      const { url: target = '', headers } = request;
      const isProtected = decodeURIComponent(target).toLowerCase().startsWith('/orders');
      if (target.startsWith('/orders') && headers.authorization === undefined) return response.writeHead(401).end();
      return response.end(isProtected ? 'order 1' : 'welcome');
    });
    const { ids } = await runProbe(url, { ...options, only: 'path-letter,path-case,path-dots,path-end-dot' });
    assert.deepEqual(ids('not_held'), ['path-letter', 'path-case']);
    assert.deepEqual(ids('held').concat(ids('different')), ['path-end-dot', 'path-dots']);
  });

  test('are unclear where two good answers differ and there is no marker', async (t) => {
    const options = await unboundToken(t);
    let count = 0;
    const { url } = await serve(t, ({ url: target = '', headers }, response) => {
      count += 1;
      if (target.startsWith('/orders') && headers.authorization === undefined) return response.writeHead(401).end();
      return response.end(`answer ${count}`);
    });
    const { exit, report, ids } = await runProbe(url, { ...options, only: 'path-case' });
    assert.deepEqual([exit, ids('unclear')], [2, ['path-case']]);
    assert.match(report.notes.join(' '), /--marker TEXT/);
  });
});

describe('words of an answer', () => {
  test('an API that answers with what it got shows forged identities, those alone that the gateway sets', async (t) => {
    const options = await unboundToken(t);
    // A gateway that sets X-Auth-Subject where the client has not, and knows nothing of X-Colour.
    const { url } = await serve(t, (request, response) => {
      if (refuseAnonymous(request, response)) return;
      response.end(JSON.stringify({ 'X-Auth-Subject': 'alice', ...fieldsOf(request.rawHeaders) }));
    });
    const { report, ids } = await runProbe(url, { ...options, only: 'fields' });
    assert.deepEqual(ids('not_held'), ['identity-forged']);
    assert.equal(report.attacks[0]?.got, '200, and the API got it');
  });

  test('a method that a field overrides is noticed by its empty answer', async (t) => {
    const options = await unboundToken(t);
    const { url } = await serve(t, (request, response) => {
      if (refuseAnonymous(request, response)) return;
      response.end(request.headers['x-http-method-override'] === undefined ? 'order' : '');
    });
    assert.deepEqual((await runProbe(url, { ...options, only: 'method-override' })).ids('not_held'), [
      'method-override',
    ]);
  });

  test('an origin that is reflected with credentials gets in, without them it is another answer', async (t) => {
    const options = await unboundToken(t);
    for (const [credentials, verdict] of [
      ['true', 'not_held'],
      ['', 'different'],
    ] as const) {
      const { url } = await serve(t, (request, response) => {
        const { origin = '' } = request.headers;
        response.setHeader('Access-Control-Allow-Origin', origin);
        if (credentials !== '') response.setHeader('Access-Control-Allow-Credentials', credentials);
        if (!refuseAnonymous(request, response)) response.end('order');
      });
      assert.equal((await runProbe(url, { ...options, only: 'browsers' })).ids(verdict).length, 3);
    }
  });

  test('a refusal without a challenge is another answer, and one with a broken challenge too', async (t) => {
    const { options } = await boundToken(t);
    for (const challenge of ['', 'DPoP algs="ES256', 'Bearer realm="api"']) {
      const { url } = await serve(t, (request, response) => {
        if (request.headers.authorization !== undefined) return response.end('order');
        if (challenge !== '') response.setHeader('WWW-Authenticate', challenge);
        return response.writeHead(401).end();
      });
      const { ids } = await runProbe(url, { ...options, only: 'answers' });
      const bearer = challenge.startsWith('Bearer');
      assert.deepEqual(ids('different'), bearer ? ['challenge-dpop'] : ['challenge', 'challenge-dpop']);
    }
  });
});

test('a server of TLS 1.0 and 1.1 is told, and one whose certificate no one vouches for is not sent a token', async (t) => {
  const options = await unboundToken(t);
  const certificate = await makeCertificate({ names: ['localhost'] });
  let bytes = '';
  const server = createTlsServer({
    cert: certificate.cert,
    key: certificate.key,
    minVersion: 'TLSv1',
    ciphers: 'DEFAULT:@SECLEVEL=0',
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy()).setEncoding('latin1');
    socket.on('data', (text: string) => {
      bytes += text;
      const status = /authorization/i.test(text) ? '200 OK' : '401 Unauthorized';
      socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`);
    });
  });
  server.on('tlsClientError', () => 'the client went away');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const url = `https://localhost:${(server.address() as AddressInfo).port}/orders/1`;
  const stranger = await runProbe(url, { ...options, only: 'tls' });
  assert.equal(stranger.exit, 2);
  assert.match(stranger.stdout, /its certificate is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\); --ca-file/);
  assert.equal(bytes, '');
  const { ids } = await runProbe(url, {
    ...options,
    only: 'tls',
    'ca-file': writeFiles(t, { ca: certificate.cert }).ca,
  });
  assert.deepEqual([ids('not_held'), ids('held')], [['tls-1.0', 'tls-1.1'], ['plain-http']]);
});

describe('the command line of a probe', () => {
  test('says what is missing or does not fit, before anything is sent', async (t) => {
    const { options } = await boundToken(t);
    const files = writeFiles(t, { empty: '\n', words: 'two words', other: JSON.stringify((await makeKey()).jwk) });
    const tokens = writeFiles(t, { fresh: await tokenOf({}), expired: await tokenOf({ exp: 1 }) });
    const url = 'http://127.0.0.1:1/orders/1';
    const wrong: readonly (readonly [url: string, options: ProbeOptions, message: RegExp])[] = [
      ['', options, /"probe" needs a URL, such as https/],
      ['ftp://127.0.0.1/', options, /URL must be an absolute URL/],
      ['http://user:secret@127.0.0.1/', options, /no place for a user/],
      ['http://api.example.com/', options, /is http: credentials could be read on the way; --insecure-http/],
      [url, { ...options, method: 'DELETE' }, /--method is GET, HEAD or OPTIONS/],
      [url, { ...options, method: 'HEAD', marker: 'x' }, /--marker is looked for in content/],
      [url, { ...options, only: 'tokens' }, /no attack or group "tokens"; did you mean token\?/],
      [url, { ...options, rate: '0' }, /--rate is a number/],
      [url, { ...options, timeout: '1e9' }, /--timeout is a number/],
      [url, { ...options, 'public-path': 'healthz' }, /--public-path is a path/],
      [url, { ...options, 'connect-to': 'localhost' }, /--connect-to is HOST:PORT/],
      [url, { 'token-file': options['token-file'] ?? '' }, /the token is bound to a DPoP key; --dpop-key-file/],
      [url, { ...options, 'cert-file': 'client.pem' }, /--cert-file and --key-file belong together/],
      [url, { ...options, 'token-file': files.empty }, /--token-file \S+ is empty/],
      [url, { ...options, 'token-file': files.words }, /--token-file \S+ holds no access token/],
      [url, { ...options, 'token-file': '/nowhere/token' }, /cannot be read \(ENOENT\)/],
      [url, { ...options, 'dpop-key-file': files.other }, /holds no usable key, expected a private key/],
      [url, { ...options, 'jwks-file': files.words }, /is not a JWK set/],
      [url, { ...options, 'unbound-token-file': tokens.expired }, /the token has expired, which is not what is tried/],
      [url, { ...options, 'foreign-token-file': tokens.expired }, /the token has expired/],
      [url, { ...options, 'expired-token-file': tokens.fresh }, /the token has not expired/],
      [url, { ...options, 'unbound-token-file': options['token-file'] ?? '' }, /the token is bound \(cnf\)/],
      [url, {}, /needs either --token-file, or --token-endpoint/],
      [url, { ...options, 'token-endpoint': url }, /needs either --token-file, or --token-endpoint/],
      [url, { 'token-endpoint': url }, /--token-endpoint needs --client-id/],
      [url, { 'token-endpoint': url, 'client-id': 'a' }, /needs --client-secret-file/],
    ];
    for (const [operand, given, message] of wrong) {
      await assert.rejects(runProbe(operand, given), (error: unknown) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, message);
        return error.command === 'probe';
      });
    }
  });

  test('a key that is not the one of the token is told by its thumbprint, in PEM as in JWK', async (t) => {
    const { options } = await boundToken(t);
    const { url } = await serve(t, (request, response) => {
      if (!refuseAnonymous(request, response)) response.end('order');
    });
    const { pem } = writeFiles(t, { pem: await holderPem() });
    const { report } = await runProbe(url, { ...options, 'dpop-key-file': pem, only: 'no-token' });
    assert.deepEqual(report.bindings, ['dpop']);
    const { other } = writeFiles(t, { other: (await makeCertificate({ names: ['x'] })).key });
    await assert.rejects(
      runProbe(url, { ...options, 'dpop-key-file': other }),
      /another DPoP key .*thumbprint is [\w-]{43}/,
    );
  });

  test('no report holds the token or the key, whatever the server answers', async (t) => {
    const { options, secrets } = await boundToken(t);
    const { url } = await serve(t, (request, response) => {
      const { authorization = '', dpop = '' } = request.headers;
      response.setHeader('WWW-Authenticate', `DPoP error="${authorization}", algs="${String(dpop)}"`);
      response.writeHead(authorization === '' ? 401 : 200).end(JSON.stringify(fieldsOf(request.rawHeaders)));
    });
    for (const json of [true, false]) {
      const { stdout, stderr, said } = await runProbe(url, { ...options, json, only: 'token,proof,fields' });
      for (const secret of secrets.flatMap((text) => text.split('.'))) {
        assert.ok(!`${stdout}${stderr}${said}`.includes(secret));
      }
    }
  });

  test('--list shows every attack and sends nothing; ids are unique, and name their group or section', async () => {
    const { exit, stdout } = await run(['probe', '--list']);
    assert.equal(exit, 0);
    const ids = CATALOGUE.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) assert.match(stdout, new RegExp(`^ {2}${id.replaceAll('.', '\\.')} `, 'm'));
    const listed = JSON.parse((await run(['probe', '--list', '--json', '--only', 'replay'])).stdout) as {
      id: string;
    }[];
    assert.deepEqual(
      listed.map(({ id }) => id),
      ['replay', 'replay-respelled', 'replay-race'],
    );
  });
});

/** Names and values, the last of each name. */
function fieldsOf(raw: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? '']] : [])));
}
