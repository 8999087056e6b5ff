// The held catalogue of attacks, played at a Gateway next to a gateway that reads a file.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { SCENES } from '../../../quickstart/demo-scenes.ts';
import { checkAnswer, type Refusal } from '../../gateway/refusal.ts';
import { POLICY_OF_ALL, REFUSALS } from '../../gateway/refusals.ts';
import { ATTACKS } from '../../interop/neighbours/attacks.ts';
import { REQUESTS, sendHttp2 } from '../../interop/neighbours/http2.ts';
import { routes } from '../../interop/neighbours/rig.ts';
import { playScene, setStage } from '../../interop/neighbours/scenes.ts';
import { harmOf } from '../../interop/neighbours/verdict.ts';
import { HOST, type TestGateway } from '../../support/gateway.ts';
import { asText, type Place, routesAsObjects, serviceAt } from './as-objects.ts';
import { attack, type Outcome, type Side } from './sides.ts';

/** Routes of the attacks on the wire and of the scenes, all to the upstream `raw`. */
export const ROUTES = routes(', upstream: raw');
export const objectsOfAttacks = (raw: Place) =>
  asText([...serviceAt('shop', 'raw', raw), ...routesAsObjects(ROUTES, HOST)]);

/** Routes of the refusals. @param gone nothing listens there */
export const objectsOfRefusals = (orders: Place, gone: Place) =>
  asText([
    ...serviceAt('shop', 'orders', orders),
    ...serviceAt('shop', 'gone', gone),
    ...routesAsObjects(POLICY_OF_ALL.routes, HOST),
  ]);
/** Keys of the class that the refusals need. */
export const RATES = 'rate_limits: { hourly: { key: client, rate: 1/h, burst: 1 } }';

/**
 * A host that is not ours: a file lists origins, and others are misdirected. A Gateway takes any host that a listener has, and has
 * no route for others.
 */
const NOT_OURS: ReadonlyMap<string, string> = new Map([['421 misdirected', '404 route_not_found']]);

/** Whether the Gateway does what the file says, or has no route where the file has no origin. */
function assertSame(came: Outcome, expected: Outcome): void {
  assert.equal(came.harm, undefined);
  const answers = expected.answers.map((one, at) => (came.answers[at] === NOT_OURS.get(one) ? came.answers[at] : one));
  assert.deepEqual(came, { ...expected, answers });
}

/** Bytes over HTTP/1: status and reason of every answer, and what reached the upstream, are the same. */
export async function playAttacks(t: TestContext, gateway: Side, file: Side): Promise<void> {
  for (const { group, name, bytes } of ATTACKS) {
    await t.test(`${group}: ${name}`, async () => {
      const [came, expected] = await Promise.all([attack(gateway, bytes), attack(file, bytes)]);
      assertSame(came, expected);
    });
  }
}

/** Requests over HTTP/2 in which two parts disagree: the same status, and nothing dangerous at the upstream. */
export async function playHttp2(t: TestContext, gateway: Side, file: Side): Promise<void> {
  const play = async (side: Side, fields: Readonly<Record<string, string>>) => {
    const before = side.upstream.requests.length;
    const status = await sendHttp2(t, `${side.address}:${side.port}`, fields);
    const reached = side.upstream.requests.slice(before);
    assert.equal(
      reached.map(harmOf).find((harm) => harm !== undefined),
      undefined,
    );
    return { status, reached: reached.map(({ start }) => start) };
  };
  assert.equal((await play(gateway, {})).status, 200);
  for (const [what, fields] of Object.entries(REQUESTS)) {
    await t.test(what, async () => {
      const [came, expected] = await Promise.all([play(gateway, fields), play(file, fields)]);
      const status = expected.status === 421 && came.status === 404 ? came.status : expected.status;
      assert.deepEqual(came, { ...expected, status });
    });
  }
}

/** Thefts and good requests of the demo come out as they must. */
export async function playScenes(t: TestContext, { address, port, upstream }: Side): Promise<void> {
  const rig = { upstream, gateway: { now: () => Date.now() / 1000 } };
  const stage = await setStage(port, rig, address);
  for (const scene of SCENES) {
    await t.test(scene.tried, async () => {
      const { answers, reason, saw } = await playScene(scene, stage, rig);
      assert.deepEqual([answers, reason, saw], [scene.answers, scene.reason, scene.saw]);
    });
  }
}

/** What a Gateway of a cluster says in another way, or what needs a look into the process. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'plain HTTP comes to a port that speaks TLS': 'it is sent to a port of loopback',
  'Via has our own name in it, so that it is a loop': 'the name is known to the process alone',
  'no CA of the listener issued it, although the token names it':
    'clients may be known to no CA (AllowInsecureFallback)',
  'the client stops in the middle of the body': 'HTTPRoutes have no timeout for it',
};

/** Refusals of one gateway that all share: the same answer, in everything that it has. */
export async function playRefusals(t: TestContext, gateway: TestGateway): Promise<void> {
  const shared = REFUSALS.filter(({ wishes, when }) => wishes === undefined && ELSEWHERE[when] === undefined);
  assert.ok(shared.length > 60);
  for (const refusal of shared) {
    await t.test(`${refusal.reason}: ${refusal.when}`, async () => {
      checkAnswer(await refusal.send(gateway), atGateway(refusal));
    });
  }
}

/** A Gateway has no route for a host that no listener has, nor for a method that no match of a path has. */
function atGateway(refusal: Refusal): Refusal {
  const { when } = refusal;
  const isUnrouted = when.endsWith('no origin') || when.endsWith('does not have DELETE');
  return isUnrouted ? { ...refusal, reason: 'route_not_found', status: 404, fields: {} } : refusal;
}
