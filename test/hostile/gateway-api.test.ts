// The catalogue of attacks against a Gateway of a cluster, next to a gateway with a file.

import { test, type TestContext } from 'node:test';
import { startRawUpstream } from '../interop/neighbours/rig.ts';
import { freePort } from '../support/programs.ts';
import { HOST, portOf, startTestGateway, startUpstream, type TestGateway } from '../support/gateway.ts';
import { attackedClass, attackedGateway } from './gateway-api/as-objects.ts';
import {
  objectsOfAttacks,
  objectsOfRefusals,
  playAttacks,
  playHttp2,
  playRefusals,
  playScenes,
  RATES,
  ROUTES,
} from './gateway-api/catalogue.ts';
import type { Side } from './gateway-api/sides.ts';
import { CLASS_HERE, HERE, startTranslated } from './gateway-api/translated.ts';

const sideOf = ({ running }: TestGateway, upstream: Side['upstream']): Side => {
  return { address: '127.0.0.1', port: portOf(running.listeners[0]?.bind), upstream };
};
const GATEWAY = attackedGateway(HOST, 'cert', 'clients');

async function fileSide(t: TestContext): Promise<Side> {
  const { upstream, port } = await startRawUpstream(t);
  const gateway = await startTestGateway(t, {
    listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }',
    upstreams: `raw: { targets: ["http://127.0.0.1:${port}"] }`,
    routes: ROUTES,
  });
  return sideOf(gateway, upstream);
}

async function gatewaySide(t: TestContext): Promise<Side> {
  const { upstream, port } = await startRawUpstream(t);
  const objects = objectsOfAttacks({ address: HERE, port });
  return sideOf(await startTranslated(t, attackedClass(CLASS_HERE), GATEWAY, objects), upstream);
}

test('every attack of the catalogue is answered by a Gateway as by the configuration of a file', async (t) => {
  await playAttacks(t, await gatewaySide(t), await fileSide(t));
});

test('over HTTP/2 too', async (t) => {
  await playHttp2(t, await gatewaySide(t), await fileSide(t));
});

test('the scenes of the demo come out at a Gateway as they must', async (t) => {
  await playScenes(t, await gatewaySide(t));
});

test('a Gateway refuses in the same words', async (t) => {
  const upstream = await startUpstream(t);
  const objects = objectsOfRefusals(
    { address: HERE, port: Number(new URL(upstream.origin).port) },
    { address: HERE, port: await freePort() },
  );
  const gateway = await startTranslated(t, attackedClass({ ...CLASS_HERE, more: RATES }), GATEWAY, objects);
  await playRefusals(t, { ...gateway, upstream });
});
