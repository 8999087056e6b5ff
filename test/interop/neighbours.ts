// Holdfast with nginx, HAProxy, Caddy, Envoy and Traefik in front, started from deploy/.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { SCENES } from '../../quickstart/demo-scenes.ts';
import { sendRequest } from '../support/gateway.ts';
import { INSTALLING } from '../support/programs.ts';
import { ATTACKS } from './neighbours/attacks.ts';
import { PREFLIGHT, record, recorded, UNSTOPPABLE } from './neighbours/outcomes.ts';
import { PRODUCTS } from './neighbours/products.ts';
import { startRig } from './neighbours/rig.ts';
import { playScene, setStage } from './neighbours/scenes.ts';
import { REQUESTS, sendHttp2 } from './neighbours/http2.ts';
import { harmOf, play, type Verdict } from './neighbours/verdict.ts';

const PATIENCE = { timeout: 300_000 };

for (const { title, holdfast, skip, find, start } of PRODUCTS) {
  describe(title, { skip: skip ?? false }, () => {
    before(find, INSTALLING);

    test('every scene of the demo comes out as it does at the gateway itself', PATIENCE, async (t) => {
      const rig = await startRig(t, holdfast);
      const stage = await setStage(await start(t, rig), rig);
      for (const scene of SCENES) {
        await t.test(scene.tried, async () => {
          const { answers, reason, saw } = await playScene(scene, stage, rig);
          const preflight = PREFLIGHT[title];
          const expected = scene.answers[0] === 204 && preflight ? [preflight] : scene.answers;
          assert.deepEqual([answers, reason, saw], [expected, scene.reason, scene.saw]);
        });
      }
    });

    test('no attack of the catalogue gets through that proxy mode refuses', PATIENCE, async (t) => {
      const rig = await startRig(t, holdfast);
      const port = await start(t, rig);
      const verdicts: Record<string, Verdict> = {};
      for (const attack of ATTACKS) verdicts[`${attack.group}: ${attack.name}`] = await play(port, rig, attack);
      record(title, verdicts);
      const known = UNSTOPPABLE[title]?.what ?? /^$/;
      const passed = Object.entries(verdicts).filter(([, { by, what }]) => by === 'passes' && !known.test(what));
      assert.deepEqual(passed, []);
      assert.deepEqual(
        Object.fromEntries(Object.entries(verdicts).map(([name, { by }]) => [name, by])),
        recorded(title),
        'docs/neighbours-attacks.md says otherwise; RECORD=1 npm run test:interop writes it',
      );
    });

    test('nothing of that gets through over HTTP/2 either, and a good request does', PATIENCE, async (t) => {
      const rig = await startRig(t, holdfast);
      const port = await start(t, rig);
      assert.equal(await sendHttp2(t, port, {}), 200);
      for (const [what, fields] of Object.entries(REQUESTS)) {
        await sendHttp2(t, port, fields);
        assert.equal(
          rig.upstream.requests.map(harmOf).find((harm) => harm !== undefined),
          undefined,
          what,
        );
      }
    });

    test(
      "one request id is in the log, at the API and in the answer, and it is not the client's",
      PATIENCE,
      async (t) => {
        const rig = await startRig(t, holdfast);
        const port = await start(t, rig);
        const fields = [['X-Request-Id', 'of-the-client-1']] as const;
        const passed = await sendRequest(port, 'GET', '/healthz', { fields });
        const seen =
          rig.upstream.requests.at(-1)?.lines.filter(([name]) => name.toLowerCase() === 'x-request-id') ?? [];
        const id = seen[0]?.[1];
        assert.deepEqual([passed.status, seen.length], [200, 1]);
        await rig.gateway.logged({ msg: 'request', route: 'health', request_id: id });
        // Traefik has no way to add a field of the answer to its own.
        assert.deepEqual(passed.fields.all('X-Request-Id'), title === 'Traefik' ? [] : seen.map(([, value]) => value));
        const refused = await sendRequest(port, 'GET', '/orders/1', { fields });
        await rig.gateway.logged({ msg: 'request', route: 'orders', request_id: refused.fields.one('X-Request-Id') });
        assert.equal(JSON.parse(refused.body).request_id, refused.fields.one('X-Request-Id'));
      },
    );

    if (holdfast !== undefined) {
      test('when Holdfast is gone nothing passes, public routes included', PATIENCE, async (t) => {
        const rig = await startRig(t, holdfast);
        const port = await start(t, rig);
        const seen = rig.upstream.requests.length;
        await rig.gateway.close();
        for (const path of ['/healthz', '/orders/1', '/x']) {
          assert.ok((await sendRequest(port, 'GET', path)).status >= 500, path);
        }
        assert.equal(rig.upstream.requests.length, seen);
      });
    }

    if (title === 'nginx') {
      test('a gRPC client reads why it was refused in grpc-status, with the challenge and the nonce', async (t) => {
        const rig = await startRig(t, holdfast);
        const port = await start(t, rig);
        const fields = [
          ['Content-Type', 'application/grpc'],
          ['TE', 'trailers'],
        ] as const;
        const refused = await sendRequest(port, 'POST', '/orders/1', { fields });
        assert.deepEqual([refused.status, refused.fields.one('grpc-status')], [200, '16']);
        assert.equal(refused.fields.one('content-type'), 'application/grpc');
        assert.match(refused.fields.one('www-authenticate') ?? '', /^DPoP /);
        const misdirected = await sendRequest(port, 'POST', '/browser/1', { fields, host: 'api.example.com:1' });
        assert.equal(misdirected.fields.one('grpc-status'), '12');
        assert.equal(rig.upstream.requests.length, 0);
      });
    }
  });
}
