// Holdfast with nginx, HAProxy, Caddy, Envoy and Traefik in front, started from deploy/.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { SCENES } from '../../quickstart/demo-scenes.ts';
import { INSTALLING } from '../support/programs.ts';
import { ATTACKS } from './neighbours/attacks.ts';
import { PREFLIGHT, record, recorded, UNSTOPPABLE } from './neighbours/outcomes.ts';
import { PRODUCTS } from './neighbours/products.ts';
import { startRig } from './neighbours/rig.ts';
import { playScene, setStage } from './neighbours/scenes.ts';
import { play, type Verdict } from './neighbours/verdict.ts';

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
  });
}
