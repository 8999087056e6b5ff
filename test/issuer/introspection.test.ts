// Introspection over real servers: who asks, where, and for how long it counts.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import { TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { exportJWK, jwtVerify } from 'jose';
import { active, answering, type Asked, introspector, JSON_FIELDS, NOW, type Wishes } from '../support/introspector.ts';
import { json, type Served, serve, status } from '../support/issuer-server.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';

describe('a question', () => {
  test('is a POST with the token, its hint and client_secret_basic, form-encoded before it is joined', async (t) => {
    const server = await serve(t);
    const asked: Asked[] = [];
    server.answer = answering(asked);
    const { asking, events } = introspector(t, server);
    assert.deepEqual(await asking.ask('a+b/c==', NOW), { active: true });
    const [question] = asked;
    assert.ok(question);
    assert.deepEqual([question.method, question.path], ['POST', '/introspect']);
    assert.deepEqual(
      [...question.body],
      [
        ['token', 'a+b/c=='],
        ['token_type_hint', 'access_token'],
      ],
    );
    assert.equal(question.fields['content-type'], 'application/x-www-form-urlencoded');
    assert.equal(question.fields.accept, 'application/json');
    const basic = Buffer.from(String(question.fields.authorization).replace('Basic ', ''), 'base64').toString();
    assert.equal(basic, 'gate+way:s%C3%A9cret%3A+100%25');
    assert.ok(events[0]?.result === 'active' && events[0].seconds > 0);
  });

  for (const [alg, pair, kid] of [
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'k1'],
    ['EdDSA', generateKeyPairSync('ed25519'), undefined],
    ['PS256', generateKeyPairSync('rsa', { modulusLength: 2048 }), undefined],
  ] as const) {
    test(`with private_key_jwt has a fresh assertion for the issuer alone, signed with ${alg}`, async (t) => {
      const server = await serve(t);
      const asked: Asked[] = [];
      server.answer = answering(asked);
      const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' });
      const { asking } = introspector(t, server, {
        rules: { credentials: { method: 'private_key_jwt', key, alg, kid } },
      });
      await asking.ask('one', NOW);
      await asking.ask('two', NOW);
      const verified = await Promise.all(
        asked.map(async ({ body, fields }) => {
          assert.equal(fields.authorization, undefined);
          assert.equal(body.get('client_assertion_type'), 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
          assert.equal(body.get('client_id'), 'gate way');
          const options = {
            audience: server.origin,
            issuer: 'gate way',
            subject: 'gate way',
            currentDate: new Date(NOW * 1000),
          };
          const jwk = await exportJWK(pair.publicKey);
          return jwtVerify(body.get('client_assertion') ?? '', { ...jwk, alg }, options);
        }),
      );
      assert.equal(new Set(verified.map(({ payload }) => payload.jti)).size, 2);
      for (const { payload, protectedHeader } of verified) {
        assert.deepEqual([payload.aud, payload.iat, payload.exp], [server.origin, NOW, NOW + 60]);
        assert.deepEqual([protectedHeader.alg, protectedHeader.kid], [alg, kid]);
      }
    });
  }

  test('with tls_client_auth shows its certificate at the alias of the endpoint, and names its client_id', async (t) => {
    const ca = await makeCa();
    const gateway = await makeCertificate({ subject: 'CN=gateway', ca });
    const server = await serve(t, await makeCertificate({ names: ['127.0.0.1'], ca }), {
      ca: ca.cert,
      requestCert: true,
    });
    const asked: Asked[] = [];
    const subjects: unknown[] = [];
    server.answer = (request, response) => {
      const aliases = { introspection_endpoint: `${server.origin}/mtls/introspect` };
      const metadata = {
        issuer: server.origin,
        introspection_endpoint: `${server.origin}/plain`,
        mtls_endpoint_aliases: aliases,
      };
      if (request.method === 'GET') return json(metadata)(request, response);
      assert.ok(request.socket instanceof TLSSocket);
      subjects.push(request.socket.getPeerX509Certificate()?.subject, request.socket.authorized);
      return answering(asked)(request, response);
    };
    const { asking } = introspector(t, server, {
      rules: { endpoint: undefined, credentials: { method: 'tls_client_auth', cert: gateway.cert, key: gateway.key } },
      issuer: { ca: ca.cert },
    });
    assert.deepEqual(await asking.ask('opaque', NOW), { active: true });
    assert.deepEqual(subjects, ['CN=gateway', true]);
    assert.deepEqual([asked[0]?.path, asked[0]?.body.get('client_id')], ['/mtls/introspect', 'gate way']);
    assert.equal(asked[0]?.fields.authorization, undefined);
  });
});

describe('an answer', () => {
  for (const code of [307, 308]) {
    test(`counts after a redirect on the same origin by ${code}, which gets the whole question`, async (t) => {
      const server = await serve(t);
      const asked: Asked[] = [];
      const moved = status(code, { location: '/moved' });
      server.answer = answering(asked, (request, response) =>
        (request.url === '/introspect' ? moved : active({ sub: 'alice' }))(request, response),
      );
      const { asking } = introspector(t, server);
      assert.deepEqual(await asking.ask('one', NOW), { active: true, sub: 'alice' });
      const [first, second] = asked;
      assert.deepEqual([first?.path, second?.path, second?.method], ['/introspect', '/moved', 'POST']);
      assert.equal(second?.body.get('token'), 'one');
      assert.equal(second?.fields.authorization, first?.fields.authorization);
    });
  }

  test('counts in gzip, although it was not asked for', async (t) => {
    const server = await serve(t);
    const asked: Asked[] = [];
    server.answer = answering(asked, (_request, response) =>
      response.writeHead(200, { ...JSON_FIELDS, 'content-encoding': 'gzip' }).end(gzipSync('{"active":true}')),
    );
    const { asking } = introspector(t, server);
    assert.deepEqual(await asking.ask('one', NOW), { active: true });
    assert.equal(asked[0]?.fields['accept-encoding'], 'identity');
  });
});

describe('the endpoint', () => {
  const metadataOf =
    (server: Served, more: object = { introspection_endpoint: `${server.origin}/found` }): Served['answer'] =>
    (request, response) =>
      (request.method === 'GET' ? json({ issuer: server.origin, ...more }) : active())(request, response);

  test('comes from the metadata where the policy names none, and is looked up once for many tokens', async (t) => {
    const server = await serve(t);
    server.answer = metadataOf(server);
    const { ask } = introspector(t, server, { rules: { endpoint: undefined } });
    await Promise.all(['one', 'two', 'three'].map((token) => ask(token)));
    assert.deepEqual(server.seen, ['/.well-known/oauth-authorization-server', '/found', '/found', '/found']);
  });

  test('is an alias only for those who show a certificate', async (t) => {
    const server = await serve(t);
    const aliases = { mtls_endpoint_aliases: { introspection_endpoint: `${server.origin}/mtls` } };
    server.answer = metadataOf(server, { introspection_endpoint: `${server.origin}/found`, ...aliases });
    const { asking } = introspector(t, server, { rules: { endpoint: undefined } });
    await asking.ask('one', NOW);
    assert.equal(server.seen.at(-1), '/found');
  });

  test('is not taken from the metadata of another issuer, nor without TLS on another origin, nor where there is none', async (t) => {
    const server = await serve(t);
    for (const more of [
      { issuer: 'https://evil.example', introspection_endpoint: `${server.origin}/found` },
      { introspection_endpoint: 'http://evil.example/introspect' },
      { introspection_endpoint: 5 },
      {},
    ]) {
      server.answer = metadataOf(server, more);
      const { asking, errors } = introspector(t, server, { rules: { endpoint: undefined } });
      assert.equal(await asking.ask('one', NOW), 'unavailable');
      assert.equal(errors().length, 1);
    }
    assert.ok(!server.seen.includes('/found'));
  });

  test('that cannot be found is not looked for again for each token, and is found when the issuer is back', async (t) => {
    const server = await serve(t);
    server.answer = status(503);
    const { asking } = introspector(t, server, {
      rules: { endpoint: undefined },
      limits: { endpoint: { keep: 600, retry: 0.2 } },
    });
    const tokens = Array.from({ length: 50 }, (_, index) => `token ${index}`);
    for (const token of tokens) assert.equal(await asking.ask(token, NOW), 'unavailable');
    assert.equal(server.seen.length, 2);
    server.answer = metadataOf(server);
    while ((await asking.ask('one', NOW)) === 'unavailable') await new Promise(setImmediate);
    assert.equal(server.seen.at(-1), '/found');
  });

  test('that was known serves on while the metadata is away, and moves when it does', async (t) => {
    const server = await serve(t);
    server.answer = metadataOf(server);
    const { asking } = introspector(t, server, {
      rules: { endpoint: undefined },
      limits: { endpoint: { keep: 0, retry: 0 } },
    });
    await asking.ask('one', NOW);
    server.answer = (request, response) => (request.method === 'GET' ? status(500) : active())(request, response);
    assert.deepEqual(await asking.ask('two', NOW), { active: true });
    server.answer = metadataOf(server, { introspection_endpoint: `${server.origin}/moved` });
    await asking.ask('three', NOW);
    assert.deepEqual(
      server.seen.filter((path) => !path.startsWith('/.well-known')),
      ['/found', '/found', '/moved'],
    );
  });

  test('is https, or loopback, or anywhere where the policy says so', async (t) => {
    const server = await serve(t);
    const rules = { endpoint: 'http://login.example.com/introspect' };
    const { asking, errors } = introspector(t, server, { rules });
    assert.equal(await asking.ask('one', NOW), 'unavailable');
    assert.deepEqual(errors(), ['http://login.example.com/introspect: must be https']);
  });
});

describe('an answer counts', () => {
  const counting = async (t: TestContext, answer: Served['answer'], wishes?: Wishes) => {
    const server = await serve(t);
    server.answer = answer;
    return { server, ...introspector(t, server, wishes) };
  };

  test('for the time of the policy, and not a moment longer', async (t) => {
    const { server, asking, results } = await counting(t, active());
    await asking.ask('one', NOW);
    assert.deepEqual(await asking.ask('one', NOW + 29.9), { active: true });
    assert.equal(server.seen.length, 1);
    server.answer = json({ active: false }, JSON_FIELDS);
    assert.equal(await asking.ask('one', NOW + 30), 'inactive');
    assert.deepEqual(results(), ['active', 'cached', 'inactive']);
  });

  test('never beyond exp', async (t) => {
    const { server, asking } = await counting(t, active({ exp: NOW + 5 }));
    await asking.ask('one', NOW);
    await asking.ask('one', NOW + 4.9);
    assert.equal(server.seen.length, 1);
    await asking.ask('one', NOW + 5);
    assert.equal(server.seen.length, 2);
    await asking.ask('one', NOW + 6);
    assert.equal(server.seen.length, 3);
  });

  test('for ten seconds where it says inactive, whatever the policy says about active ones', async (t) => {
    const { server, asking } = await counting(t, json({ active: false }, JSON_FIELDS), { rules: { cache: 3600 } });
    await asking.ask('one', NOW);
    assert.equal(await asking.ask('one', NOW + 9.9), 'inactive');
    assert.equal(server.seen.length, 1);
    server.answer = active();
    assert.deepEqual(await asking.ask('one', NOW + 10), { active: true });
    assert.deepEqual(await asking.ask('one', NOW + 20), { active: true });
  });

  test('not at all with cache: 0s', async (t) => {
    const { server, asking } = await counting(t, active(), { rules: { cache: 0 } });
    await asking.ask('one', NOW);
    await asking.ask('one', NOW);
    assert.equal(server.seen.length, 2);
  });

  test('not for longer because a clock stepped back', async (t) => {
    const { server, asking } = await counting(t, active());
    await asking.ask('one', NOW);
    await asking.ask('one', NOW - 31);
    assert.equal(server.seen.length, 2);
  });

  test('for one token alone', async (t) => {
    const { server, asking } = await counting(t, active());
    await asking.ask('one', NOW);
    await asking.ask('One', NOW);
    assert.equal(server.seen.length, 2);
  });

  test('for as many tokens as there is room, and invented ones push out no active one', async (t) => {
    const { server, asking } = await counting(t, active(), { limits: { answers: 2 } });
    await asking.ask('good', NOW);
    server.answer = json({ active: false }, JSON_FIELDS);
    for (const token of ['a', 'b', 'c']) await asking.ask(token, NOW);
    await asking.ask('good', NOW);
    assert.equal(server.seen.length, 4);
    await asking.ask('a', NOW);
    assert.equal(server.seen.length, 5);
  });

  test('for as many bytes as there is room', async (t) => {
    const { server, asking } = await counting(t, active({ groups: 'g'.repeat(5000) }), { limits: { bytes: 10_000 } });
    for (const token of ['a', 'b', 'b', 'a']) await asking.ask(token, NOW);
    assert.equal(server.seen.length, 3);
  });

  test('for all who ask about one token at the same time: one call', async (t) => {
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const { server, ask } = await counting(t, (request, response) => {
      void held.then(() => active()(request, response));
    });
    const asked = Array.from({ length: 100 }, () => ask('one'));
    release();
    assert.equal((await Promise.all(asked)).filter((says) => typeof says === 'object').length, 100);
    assert.equal(server.seen.length, 1);
  });

  test('for strangers when it is their turn; beyond their share, and those who wait, it is not asked', async (t) => {
    const waiting: (() => void)[] = [];
    let arrived = () => {};
    const calls = { turns: 2, unknown: 1, perClient: 1, waiting: 1 };
    const { server, asking, results } = await counting(
      t,
      (request, response) => {
        waiting.push(() => active()(request, response));
        arrived();
      },
      { limits: { calls } },
    );
    const from = (client: string, signed = false) => ({ client, signed });
    const reached = (count: number) =>
      new Promise<void>((resolve) => {
        arrived = () => waiting.length === count && resolve();
        arrived();
      });
    const first = asking.ask('one', NOW, from('2001:db8::1'));
    const second = asking.ask('two', NOW, from('2001:db8::2'));
    assert.equal(await asking.ask('three', NOW, from('2001:db8::3')), 'busy', 'an IPv6 network is one client');
    const signed = asking.ask('four', NOW, from('2001:db8::1', true));
    await reached(2);
    assert.equal(server.seen.length, 2, 'a stranger, and a token that its issuer has signed');
    for (const answer of waiting.splice(0)) answer();
    assert.deepEqual(await Promise.all([first, signed]), [{ active: true }, { active: true }]);
    await reached(1);
    for (const answer of waiting.splice(0)) answer();
    assert.deepEqual(await second, { active: true });
    assert.deepEqual(results().toSorted(), ['active', 'active', 'active', 'refused']);
  });
});
