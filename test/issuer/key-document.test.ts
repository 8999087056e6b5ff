// The sources of keys over real servers: discovery, TLS, files, invalid answers.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { Issuer } from '../../src/token/issuer.ts';
import {
  KEY_A,
  KEY_B,
  breakOff,
  json,
  loadedKeys,
  makeIssuer,
  makeKeys,
  type Served,
  serve,
  site,
  status,
} from '../support/issuer-server.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';

describe('a failed answer keeps the set', () => {
  const failures: [string, Served['answer'], RegExp][] = [
    ['a server error', status(503), /answered 503$/],
    [
      'an error that is a good set otherwise',
      (_, response) => response.writeHead(404).end(JSON.stringify({ keys: [KEY_B] })),
      /answered 404$/,
    ],
    ['a broken connection', breakOff, /(?:UND_ERR_SOCKET|ECONNRESET)$/],
    ['no JSON', json('<html>secret</html>'), /not JSON$/],
    ['no key set', json({ issuer: 'https://login.example.com' }), /not a JWK set$/],
    [
      'an answer cut short',
      (_, response) => response.writeHead(200, { 'content-length': '100' }).write('{"keys":[') && response.destroy(),
      /UND_ERR_SOCKET|ECONNRESET|UND_ERR_ABORTED/,
    ],
    [
      'more than the size limit',
      json({ keys: [KEY_A, KEY_B], padding: 'x'.repeat(70_000) }),
      /UND_ERR_RES_EXCEEDED_MAX_SIZE$/,
    ],
    [
      'more than the size limit without announcing it',
      (_, response) => {
        response.writeHead(200).write(JSON.stringify({ keys: [KEY_B] }));
        response.end(' '.repeat(70_000));
      },
      /UND_ERR_RES_EXCEEDED_MAX_SIZE$/,
    ],
    ['a header section and then nothing', (_, response) => response.writeHead(200).write('{'), /no answer in 0\.3 s$/],
    ['nothing at all', () => {}, /no answer in 0\.3 s$/],
  ];
  for (const [name, answer, error] of failures) {
    test(name, async (t) => {
      const { server, keys, kids, events } = await loadedKeys(t, {
        timeout: error.source.startsWith('no answer') ? 0.3 : 5,
        size: 65_536,
      });
      server.answer = answer;
      await keys.refreshFor('c');
      assert.deepEqual(kids(), ['a']);
      assert.match(keys.lastError ?? '', error);
      assert.doesNotMatch(keys.lastError ?? '', /secret/);
      assert.equal(events.at(-1)?.result, 'failed');
    });
  }

  test('no redirect is followed to another origin, none without end', async (t) => {
    const { server, keys, kids, clock } = await loadedKeys(t);
    const elsewhere = await serve(t);
    elsewhere.answer = json({ keys: [KEY_B] });
    const { port } = new URL(elsewhere.origin);
    for (const location of [
      `${elsewhere.origin}/jwks`,
      `//127.0.0.1:${port}/jwks`,
      server.origin.replace('//', '//user@'),
      'https:jwks',
      'javascript:0',
      '/jwks',
      '',
    ]) {
      server.answer = status(302, { location });
      clock.now += 31;
      await keys.refreshFor(location);
      assert.deepEqual(kids(), ['a']);
      assert.match(keys.lastError ?? '', /answered 302, and a redirect is followed on the same origin only$/);
    }
    assert.equal(elsewhere.seen.length, 0);
  });
});

describe('an answer counts', () => {
  for (const code of [301, 302, 303, 307, 308]) {
    test(`after a redirect on the same origin by ${code}`, async (t) => {
      const server = await serve(t);
      const moved = status(code, { location: '/moved?by=name' });
      server.answer = (request, response) =>
        (request.url === '/jwks' ? moved : json({ keys: [KEY_B] }))(request, response);
      const { keys, kids } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: `${server.origin}/jwks` }));
      await keys.start();
      assert.deepEqual(kids(), ['b']);
      assert.deepEqual(server.seen, ['/jwks', '/moved?by=name']);
    });
  }

  for (const [coding, code] of [
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['GZIP', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['identity', (text: string) => text],
  ] as const) {
    test(`in the coding ${coding}, although it was not asked for`, async (t) => {
      const server = await serve(t);
      const asked: unknown[] = [];
      server.answer = ({ headers }, response) => {
        asked.push(headers['accept-encoding']);
        response.writeHead(200, { 'content-encoding': coding }).end(code(JSON.stringify({ keys: [KEY_B] })));
      };
      const { keys, kids } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: server.origin }));
      await keys.start();
      assert.deepEqual([kids(), asked], [['b'], ['identity']]);
    });
  }

  test('with a byte order mark in front, over HTTP and in a file', async (t) => {
    const marked = `\uFEFF${JSON.stringify({ keys: [KEY_B] })}`;
    const server = await serve(t);
    server.answer = json(marked);
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-bom-'));
    t.after(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'keys.json'), marked);
    for (const from of [
      { from: 'jwks_uri', uri: server.origin },
      { from: 'jwks_file', file: join(folder, 'keys.json') },
    ] as const) {
      const { keys, kids } = makeKeys(t, makeIssuer(from));
      await keys.start();
      assert.deepEqual(kids(), ['b'], keys.lastError ?? '');
    }
  });
});

describe('discovery', () => {
  const load = async (t: TestContext, issuer: Issuer) => {
    const { keys, kids } = makeKeys(t, issuer);
    await keys.start();
    return { kids: kids(), error: keys.lastError ?? '' };
  };

  test('asks RFC 8414 first, with the well-known part before the path of the issuer', async (t) => {
    const server = await serve(t);
    const issuer = `${server.origin}/tenant/`;
    server.answer = site({
      '/.well-known/oauth-authorization-server/tenant': { issuer, jwks_uri: `${server.origin}/jwks` },
      '/jwks': { keys: [KEY_A] },
    });
    assert.deepEqual((await load(t, makeIssuer({ from: 'discovery', uri: undefined }, { issuer }))).kids, ['a']);
    assert.deepEqual(server.seen, ['/.well-known/oauth-authorization-server/tenant', '/jwks']);
  });

  test('then asks OpenID Connect, with it behind the path', async (t) => {
    const server = await serve(t);
    const issuer = `${server.origin}/tenant`;
    server.answer = site({
      '/tenant/.well-known/openid-configuration': { issuer, jwks_uri: `${server.origin}/jwks` },
      '/jwks': { keys: [KEY_A] },
    });
    assert.deepEqual((await load(t, makeIssuer({ from: 'discovery', uri: undefined }, { issuer }))).kids, ['a']);
  });

  test('asks the discovery_uri alone where there is one', async (t) => {
    const server = await serve(t);
    server.answer = site({
      '/metadata?v=1': { issuer: 'https://login.example.com', jwks_uri: `${server.origin}/jwks` },
      '/jwks': { keys: [KEY_A] },
    });
    const uri = `${server.origin}/metadata?v=1`;
    assert.deepEqual((await load(t, makeIssuer({ from: 'discovery', uri }))).kids, ['a']);
    assert.deepEqual(server.seen, ['/metadata?v=1', '/jwks']);
  });

  test('refuses metadata of another issuer, even one that differs by a slash', async (t) => {
    const server = await serve(t);
    for (const named of [`${server.origin}/`, 'https://login.example.org', undefined, [server.origin]]) {
      server.seen.length = 0;
      server.answer = json({ issuer: named, jwks_uri: `${server.origin}/jwks`, keys: [KEY_A] });
      const { kids, error } = await load(
        t,
        makeIssuer({ from: 'discovery', uri: undefined }, { issuer: server.origin }),
      );
      assert.equal(kids, undefined);
      assert.match(error, /its issuer is not/);
      assert.ok(!server.seen.includes('/jwks'));
    }
  });

  test('follows no jwks_uri on another origin without TLS, and none that is not a URI', async (t) => {
    const server = await serve(t);
    const other = await serve(t);
    for (const uri of [`${other.origin}/jwks`, 'file:///keys.json', '/jwks', 7]) {
      server.answer = json({ issuer: server.origin, jwks_uri: uri });
      const issuer = makeIssuer({ from: 'discovery', uri: undefined }, { issuer: server.origin });
      const { kids, error } = await load(t, issuer);
      assert.equal(kids, undefined);
      assert.match(error, /must be https|names no jwks_uri/);
    }
    assert.equal(other.seen.length, 0);
  });

  test('notices a jwks_uri that moved', async (t) => {
    const server = await serve(t);
    const metadata = (path: string) => ({ issuer: server.origin, jwks_uri: `${server.origin}${path}` });
    const well = '/.well-known/oauth-authorization-server';
    server.answer = site({ [well]: metadata('/old'), '/old': { keys: [KEY_A] } });
    const issuer = makeIssuer({ from: 'discovery', uri: undefined }, { issuer: server.origin });
    const { keys, kids } = makeKeys(t, issuer);
    await keys.start();
    server.answer = site({ [well]: metadata('/new'), '/old': { keys: [KEY_A] }, '/new': { keys: [KEY_B] } });
    await keys.refreshFor('b');
    assert.deepEqual(kids(), ['b']);
  });
});

describe('the way to the keys', () => {
  test('is https: http beyond loopback is refused unless the policy allows it', async (t) => {
    const uri = 'http://keys.invalid/jwks?key=secret';
    const strict = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri }));
    await strict.keys.start();
    assert.equal(strict.keys.lastError, 'http://keys.invalid/jwks: must be https');
    const lax = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri }, { insecureHttp: true }), { timeout: 2 });
    await lax.keys.start();
    assert.match(lax.keys.lastError ?? '', /^http:\/\/keys\.invalid\/jwks: (?:ENOTFOUND|EAI_AGAIN|no answer)/);
  });

  test('is verified TLS: an unknown CA is refused, the CA of the issuer is taken in addition to the usual ones', async (t) => {
    const ca = await makeCa();
    const certificate = await makeCertificate({ names: ['127.0.0.1'], ca });
    const server = await serve(t, { cert: certificate.chain, key: certificate.key });
    const from = { from: 'jwks_uri', uri: `${server.origin}/jwks` } as const;
    const stranger = makeKeys(t, makeIssuer(from));
    await stranger.keys.start();
    assert.match(stranger.keys.lastError ?? '', /: [A-Z_]*(?:CERT|SIGNATURE|ISSUER)[A-Z_]*$/);
    assert.equal(server.seen.length, 0);
    const friend = makeKeys(t, makeIssuer(from, { ca: ca.cert }));
    await friend.keys.start();
    assert.deepEqual(friend.kids(), ['a']);
  });

  test('is TLS for the right name', async (t) => {
    const ca = await makeCa();
    const certificate = await makeCertificate({ names: ['login.example.com'], ca });
    const server = await serve(t, { cert: certificate.chain, key: certificate.key });
    const { keys } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: server.origin }, { ca: ca.cert }));
    await keys.start();
    assert.match(keys.lastError ?? '', /ERR_TLS_CERT_ALTNAME_INVALID$/);
  });
});

describe('a file', () => {
  const makeFile = async (t: TestContext, content: string) => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-keys-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'keys.json');
    await writeFile(file, content);
    return { file, issuer: makeIssuer({ from: 'jwks_file', file }) };
  };

  test('is read at the start and again at each refresh', async (t) => {
    const { file, issuer } = await makeFile(t, JSON.stringify({ keys: [KEY_A] }));
    const { keys, kids } = makeKeys(t, issuer);
    await keys.start();
    assert.deepEqual(kids(), ['a']);
    await writeFile(file, JSON.stringify({ keys: [KEY_B] }));
    await keys.refreshFor('b');
    assert.deepEqual(kids(), ['b']);
  });

  test('that is missing, too large or no JSON says so and no more', async (t) => {
    const { file, issuer } = await makeFile(t, '{"keys": [secret');
    const broken = makeKeys(t, issuer);
    await broken.keys.start();
    assert.equal(broken.keys.lastError, `${file}: not JSON`);
    const large = makeKeys(t, issuer, { size: 8 });
    await large.keys.start();
    assert.equal(large.keys.lastError, `${file}: larger than 8 bytes`);
    const missing = makeKeys(t, makeIssuer({ from: 'jwks_file', file: `${file}.gone` }));
    await missing.keys.start();
    assert.equal(missing.keys.lastError, `${file}.gone: ENOENT`);
  });
});
