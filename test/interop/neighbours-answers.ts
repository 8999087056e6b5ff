// Tunnels, fresh nonces, quotas and CORS for clients of each product in front of Holdfast.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { before, describe, type TestContext, test } from 'node:test';
import { dpop, issue, prove, SUBJECT, THIEF, TO_KEY, type ProofWishes } from '../gateway/credentials.ts';
import type { Answered } from '../support/gateway.ts';
import { INSTALLING } from '../support/programs.ts';
import { openWebSocket, refusal, say } from '../support/websockets.ts';
import { sendHttp2 } from './neighbours/http2.ts';
import { sendChunked, sendStream } from './neighbours/trailers.ts';
import { PRODUCTS } from './neighbours/products.ts';
import { APP, startWebRig, type WebRig } from './neighbours/web-rig.ts';

const PATIENCE = { timeout: 300_000 };

type Loss = 'fields on answers' | 'fields on 101' | 'no-store' | "the API's own quota" | 'preflights';

/** What a product cannot do; the table of docs/neighbours.md says so. */
const LOST: Readonly<Record<string, readonly Loss[]>> = {
  Caddy: ['fields on 101'],
  'Envoy, HTTP': ['no-store', "the API's own quota"],
  Traefik: ['fields on answers', 'fields on 101', 'preflights'],
};

/** The nonce of a challenge. */
async function challenge({ gateway }: WebRig, path: string): Promise<string> {
  const { reason, fields } = await dpop(gateway, 'GET', path);
  assert.equal(reason, 'nonce_required');
  return fields.one('DPoP-Nonce') ?? assert.fail('no nonce');
}

const FORGED = { 'X-Auth-Subject': 'admin', 'X-Request-Id': 'of-the-client-1', 'Client-Cert': ':AAAA:' };

/** A handshake with a proof, and with fields that are not the client's to send. */
async function connect(t: TestContext, { gateway, port }: WebRig, path: string, proving: ProofWishes) {
  const token = await issue(gateway, TO_KEY);
  const proof = await prove(gateway, token, 'GET', path, proving);
  return openWebSocket(t, gateway, path, { port, headers: { ...FORGED, Authorization: `DPoP ${token}`, DPoP: proof } });
}

for (const product of PRODUCTS) {
  const { title, skip, find } = product;
  describe(title, { skip: skip ?? false }, () => {
    before(find, INSTALLING);
    const loses = (what: Loss) => LOST[title]?.includes(what) ?? false;

    test('a WebSocket opens for the holder alone, and carries data both ways', PATIENCE, async (t) => {
      const rig = await startWebRig(t, product);
      const { gateway, api, port } = rig;
      const nonce = await challenge(rig, '/chat/1');
      const bare = await refusal(openWebSocket(t, gateway, '/chat/1', { port }));
      assert.deepEqual([bare.status, /"reason":"(\w+)"/.exec(bare.body)?.[1]], [401, 'credentials_missing']);
      const stolen = await refusal(await connect(t, rig, '/chat/1', { key: THIEF, claims: { nonce } }));
      assert.deepEqual([stolen.status, /"reason":"(\w+)"/.exec(stolen.body)?.[1]], [401, 'proof_key_mismatch']);
      assert.equal(api.seen.length + rig.seen.length, 0);

      const [server, socket] = [api.next(), await connect(t, rig, '/chat/1', { claims: { nonce } })];
      await once(socket, 'open');
      assert.equal(await say(socket, 'hello'), 'hello');
      const large = randomBytes(300_000).toString('base64');
      assert.equal(await say(socket, large), large);
      const pushed = once(socket, 'message');
      (await server).send('without being asked');
      assert.equal(String((await pushed)[0]), 'without being asked');
      const closing = once(socket, 'close');
      (await server).close(4001, 'enough');
      assert.deepEqual(await closing, [4001, Buffer.from('enough')]);

      const [seen] = api.seen;
      assert.deepEqual([seen?.one('upgrade')?.toLowerCase(), seen?.one('x-auth-subject')], ['websocket', SUBJECT]);
      for (const name of ['authorization', 'dpop', 'client-cert']) assert.equal(seen?.one(name) ?? '', '', name);
      await gateway.logged({ msg: 'request', route: 'chat', request_id: seen?.one('x-request-id') });
    });

    test('a WebSocket over HTTP/2 opens for nobody without a proof', PATIENCE, async (t) => {
      const rig = await startWebRig(t, product);
      const fields = {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'https',
        ':path': '/chat/1',
        'sec-websocket-version': '13',
      };
      assert.notEqual(await sendHttp2(t, rig.port, fields), 200);
      assert.deepEqual(rig.upgrades, []);
    });

    test('the aged nonce of a permitted request is replaced by a fresh one', PATIENCE, async (t) => {
      const rig = await startWebRig(t, product);
      const nonce = await challenge(rig, '/nonce/1');
      rig.says['DPoP-Nonce'] = 'of-the-api';
      const send = (given: string) => dpop(rig.gateway, 'GET', '/nonce/1', { proving: { claims: { nonce: given } } });
      const young = await send(nonce);
      assert.deepEqual([young.status, young.fields.all('DPoP-Nonce')], [200, []]);
      rig.pass(61);
      const aged = await send(nonce);
      assert.equal(aged.status, 200);
      if (loses('fields on answers')) {
        assert.deepEqual(aged.fields.all('DPoP-Nonce'), []);
        rig.pass(60);
        const stale = await send(nonce);
        assert.equal(stale.reason, 'nonce_stale');
        assert.equal((await send(stale.fields.one('DPoP-Nonce') ?? '')).status, 200);
        return;
      }
      const fresh = aged.fields.one('DPoP-Nonce') ?? assert.fail('no nonce');
      assert.notEqual(fresh, nonce);
      assert.equal(/\bno-store\b/.test(aged.fields.all('Cache-Control').join(', ')), !loses('no-store'));
      rig.pass(30);
      const again = await send(fresh);
      assert.deepEqual([again.status, again.fields.all('DPoP-Nonce')], [200, []]);
    });

    test('a WebSocket opens with an aged nonce', PATIENCE, async (t) => {
      const rig = await startWebRig(t, product);
      const nonce = await challenge(rig, '/chat/1');
      rig.pass(61);
      const socket = await connect(t, rig, '/chat/1', { claims: { nonce } });
      const [response] = await once(socket, 'upgrade');
      const fresh = response.headers['dpop-nonce'];
      assert.deepEqual([fresh !== undefined, fresh !== nonce], [!loses('fields on 101'), true]);
    });

    test('a client reads what its quota leaves, and when to come again', PATIENCE, async (t) => {
      const rig = await startWebRig(t, product);
      const told = ({ status, fields }: Answered) => [status, fields.all('RateLimit'), fields.all('RateLimit-Policy')];
      const policy = ['"per_client";q=2;w=20'];
      rig.says['RateLimit'] = '"api";r=99;t=1';
      rig.says['RateLimit-Policy'] = '"api";q=100;w=60';
      const api = [['"api";r=99;t=1'], ['"api";q=100;w=60']];
      for (const left of ['"per_client";r=1;t=10', '"per_client";r=0;t=20']) {
        const expected = loses('fields on answers') ? api : [[left], policy];
        assert.deepEqual(told(await dpop(rig.gateway, 'GET', '/limited/1')), [200, ...expected]);
      }
      const refused = await dpop(rig.gateway, 'GET', '/limited/1');
      assert.deepEqual(told(refused), [429, ['"per_client";r=0;t=20'], policy]);
      assert.equal(refused.fields.one('Retry-After'), '10');
      // Where Holdfast counts nothing, the API's own pass.
      const own = loses("the API's own quota") ? [[], []] : api;
      assert.deepEqual(told(await rig.gateway.request('GET', '/open/1')), [200, ...own]);
    });

    test('a page of an origin that the route lists can call it and read answers and refusals', PATIENCE, async (t) => {
      const rig = await startWebRig(t, product);
      const preflight = (origin: string) =>
        rig.gateway.request('OPTIONS', '/browser/1', {
          fields: [
            ['Origin', origin],
            ['Access-Control-Request-Method', 'POST'],
            ['Access-Control-Request-Headers', 'authorization, dpop, content-type'],
          ],
        });
      const allowed = await preflight(APP);
      assert.equal(allowed.status, loses('preflights') ? 200 : 204);
      assert.equal(allowed.fields.one('Access-Control-Allow-Origin'), APP);
      assert.equal(allowed.fields.one('Access-Control-Allow-Credentials'), 'true');
      assert.match(allowed.fields.one('Access-Control-Allow-Methods') ?? '', /\bPOST\b/);
      for (const name of ['authorization', 'dpop', 'content-type'])
        assert.match(allowed.fields.one('Access-Control-Allow-Headers') ?? '', new RegExp(`\\b${name}\\b`, 'i'));
      assert.equal(allowed.fields.one('Access-Control-Max-Age'), '300');
      const denied = await preflight('https://evil.example');
      assert.deepEqual(
        [denied.status, denied.fields.all('Access-Control-Allow-Origin')],
        [loses('preflights') ? 200 : 403, []],
      );
      assert.equal(rig.seen.length, 0);

      rig.says['Access-Control-Allow-Origin'] = '*';
      for (const [status, send] of [
        [401, () => rig.gateway.request('GET', '/browser/1', { fields: [['Origin', APP]] })],
        [200, () => dpop(rig.gateway, 'GET', '/browser/1', { fields: [['Origin', APP]] })],
      ] as const) {
        const { fields, ...answer } = await send();
        assert.equal(answer.status, status);
        assert.equal(fields.one('Access-Control-Allow-Origin'), APP);
        assert.equal(fields.one('Access-Control-Allow-Credentials'), 'true');
        for (const name of ['DPoP-Nonce', 'WWW-Authenticate', 'X-Total', 'X-Request-Id'])
          assert.match(fields.one('Access-Control-Expose-Headers') ?? '', new RegExp(`\\b${name}\\b`));
        assert.match(fields.all('Vary').join(), /\bOrigin\b/);
      }
    });

    test("the API's own name for a request does not stand for Holdfast's", PATIENCE, async (t) => {
      const rig = await startWebRig(t, product);
      rig.says['X-Request-Id'] = 'of-the-api';
      const { status, fields } = await rig.gateway.request('GET', '/open/1');
      assert.equal(status, 200);
      const given = rig.seen[0]?.all('X-Request-Id');
      assert.deepEqual(fields.all('X-Request-Id'), loses('fields on answers') ? [] : given);
    });

    test('no field of a trailer reaches the API, and bodies without trailers do', PATIENCE, async (t) => {
      const rig = await startWebRig(t, product);
      for (const send of [sendChunked, sendStream]) {
        // The large one is large enough that its trailers come long after the decision.
        for (const body of ['hello', 'x'.repeat(200_000)]) {
          assert.equal(await send(t, rig.port, {}, body), 200);
          assert.equal(rig.ended.at(-1)?.length, body.length);
          await send(t, rig.port, FORGED, body);
        }
      }
      assert.deepEqual(
        rig.ended.flatMap(({ trailers }) => trailers),
        [],
      );
      assert.deepEqual(
        rig.seen.flatMap((fields) => ['x-auth-subject'].flatMap((name) => fields.all(name).filter(Boolean))),
        [],
      );
    });

    test('no connection is switched to anything but a WebSocket', PATIENCE, async (t) => {
      const rig = await startWebRig(t, product);
      for (const [method, ...upgrades] of [
        ['GET', 'h2c'],
        ['GET', 'websocket, h2c'],
        ['GET', 'h2c, websocket'],
        ['GET', 'TLS/1.2'],
        ['GET', 'h2c', 'websocket'],
        ['POST', 'h2c'],
        ['POST', 'websocket'],
      ] as const) {
        const before = rig.seen.length;
        await rig.gateway
          .request(method, '/open/1', {
            fields: [
              ['Connection', 'Upgrade, HTTP2-Settings'],
              ...upgrades.map((upgrade) => ['Upgrade', upgrade] as const),
              ['HTTP2-Settings', 'AAMAAABkAAQCAAAAAAIAAAAA'],
            ],
            ...(method === 'POST' && { body: 'x' }),
          })
          .catch(() => {});
        const others = rig.upgrades.filter((one) => one !== 'GET websocket');
        assert.deepEqual(others, [], `${method} ${upgrades.join()}`);
        for (const fields of rig.seen.slice(before))
          for (const name of ['upgrade', 'http2-settings'])
            assert.deepEqual([name, fields.all(name).filter(Boolean)], [name, []], `${method} ${upgrades.join()}`);
      }
    });
  });
}
