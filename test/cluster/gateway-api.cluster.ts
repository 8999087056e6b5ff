// The page on the Gateway API in a real cluster: a thief refused, failures outlived.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { skip as noHelm } from '../helm/helm.ts';
import { makeKey, makeProof, ath } from '../support/tokens.ts';
import { HOST, ORIGIN, SERVER_CA } from '../support/gateway.ts';
import type { Cluster } from './cluster.ts';
import {
  addressOf,
  ask,
  holder,
  installController,
  OPEN,
  putShop,
  runInCluster,
  shownValues,
  shownYaml,
  startCluster,
  SYSTEM,
  until,
} from './gateway-parts.ts';
import { startLoad } from './loading.ts';
import { skip as noCluster } from './shared.ts';

let cluster: Cluster;
let address: string;
after(async () => await (cluster as Cluster | undefined)?.close());

/** The policy of the page's route, with another demand. */
const policy = (spec: string) => `
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: orders, namespace: shop }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: orders }]
  ${spec}
`;
const apply = async (yaml: string) => await cluster.kubectl(['apply', '-f', '-'], yaml);
const kubectl = async (...args: string[]) => await cluster.kubectl(args);

describe('the Gateway API of a cluster', { skip: noCluster || noHelm }, () => {
  test('ten minutes, from an empty cluster to a Gateway that is programmed', async () => {
    cluster = await startCluster();
    await installController(cluster, shownValues());
    await putShop(cluster);
    await apply(shownYaml('gateway'));
    await apply(shownYaml('route'));
    address = await addressOf(cluster, 'web');
    const { fieldsFor } = await holder();
    await until(async () => (await ask(address, '/orders/1', await fieldsFor('/orders/1'))).status === 200);
  });

  test('a thief with the token, with a proof by another key, or with a used proof gets nothing', async () => {
    const { token, fieldsFor } = await holder();
    const path = '/orders/1';
    const statuses = async (fields: Record<string, string>) => (await ask(address, path, fields)).status;
    assert.equal(await statuses({}), 401);
    assert.equal(await statuses({ Authorization: `Bearer ${token}` }), 401);
    assert.equal(await statuses({ Authorization: `DPoP ${token}` }), 401);
    const claims = { htm: 'GET', htu: `${ORIGIN}${path}`, ath: ath(token) };
    const foreign = await makeProof(await makeKey(), Date.now() / 1000, { claims });
    assert.equal(await statuses({ Authorization: `DPoP ${token}`, DPoP: foreign }), 401);
    const good = await fieldsFor(path);
    assert.equal(await statuses(good), 200);
    assert.equal(await statuses(good), 401, 'the same proof again');
  });

  test('a policy of the route that is weaker than the floor of the Gateway changes nothing', async () => {
    await apply(policy('require: public'));
    const main = join(import.meta.dirname, '../../src/main.ts');
    const { stdout } = await runInCluster(cluster, process.execPath, [main, 'policies', 'shop/orders', '--json']);
    const [only] = JSON.parse(stdout) as [{ policies: string[]; demand: { require: string } }];
    assert.deepEqual([only.policies, only.demand.require], [['shop/floor', 'shop/orders'], 'dpop']);
    await until(async () => {
      const text = await kubectl(
        '-n=shop',
        'get',
        'holdfastpolicy',
        'orders',
        '-o=jsonpath={.status.ancestors[0].conditions[0].observedGeneration}',
      );
      return text === '2';
    });
    assert.equal((await ask(address, '/orders/1')).status, 401);
    await apply(shownYaml('route'));
  });

  test('a policy that does not compile refuses its route to everyone, and says why; the rest serves on', async () => {
    await apply(policy('scope: ["two words"]'));
    const { fieldsFor } = await holder();
    await until(async () => (await ask(address, '/orders/1', await fieldsFor('/orders/1'))).status === 503);
    const message = await kubectl(
      '-n=shop',
      'get',
      'holdfastpolicy',
      'orders',
      '-o=jsonpath={.status.ancestors[0].conditions[?(@.type=="Accepted")].message}',
    );
    assert.match(message, /scope/);
    await apply(shownYaml('route'));
    await until(async () => (await ask(address, '/orders/1', await fieldsFor('/orders/1'))).status === 200);
  });

  test('a change of policy is enforced within moments', async (t) => {
    const { fieldsFor } = await holder();
    const status = async () => (await ask(address, '/orders/1', await fieldsFor('/orders/1'))).status;
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const scope = i % 2 === 0 ? 'orders:write' : 'orders:read';
      await cluster.api.patch('/apis/holdfast.internal/v1alpha1/namespaces/shop/holdfastpolicies/orders', {
        spec: { scope: [scope] },
      });
      times.push(await until(async () => (await status()) === (i % 2 === 0 ? 403 : 200)));
    }
    times.sort((a, b) => a - b);
    t.diagnostic(`change to enforcement: median ${times[10]?.toFixed(0)} ms, longest ${times.at(-1)?.toFixed(0)} ms`);
    assert.ok((times[10] ?? Infinity) < 2000);
  });

  test('an API server that is killed takes nothing away: requests go on, and changes arrive when it is there again', async (t) => {
    await apply(OPEN);
    const open = await addressOf(cluster, 'open');
    await until(async () => (await ask(open, '/healthz')).status === 200);
    const load = await startLoad(t, {
      address: open,
      port: 443,
      host: HOST,
      path: '/healthz',
      ca: SERVER_CA.cert,
      http1: 3,
      http2: 2,
      pause: 5,
    });
    await cluster.plane.kill('kube-apiserver');
    const { fieldsFor } = await holder();
    assert.equal((await ask(address, '/orders/1', await fieldsFor('/orders/1'))).status, 200);
    await cluster.plane.startApiServer();
    await until(
      async () =>
        await apply(policy('scope: [orders:write]')).then(
          () => true,
          () => false,
        ),
    );
    await until(async () => (await ask(address, '/orders/1', await fieldsFor('/orders/1'))).status === 403);
    await apply(shownYaml('route'));
    await until(async () => (await ask(address, '/orders/1', await fieldsFor('/orders/1'))).status === 200);
    const { sent, good, failures } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(sent > 100 && good === sent);
  });

  test('a controller that dies is followed by the other one', async () => {
    const leader = async () =>
      await kubectl(`-n=${SYSTEM}`, 'get', 'lease', 'holdfast-controller', '-o=jsonpath={.spec.holderIdentity}');
    const before = await leader();
    await kubectl(`-n=${SYSTEM}`, 'delete', 'pod', before.replace(/_[^_]*$/, ''), '--grace-period=0', '--force');
    await until(async () => ![before, ''].includes(await leader()));
    const { fieldsFor } = await holder();
    await apply(policy('scope: [orders:write]'));
    await until(async () => (await ask(address, '/orders/1', await fieldsFor('/orders/1'))).status === 403);
  });

  test('with their Gateways data planes go, and all that was made for them', async () => {
    await kubectl('-n=shop', 'delete', 'gateway', '--all');
    const kinds = 'deployments,services,secrets,serviceaccounts,roles,rolebindings,poddisruptionbudgets';
    await until(async () => {
      const left = await kubectl(
        `-n=${SYSTEM}`,
        'get',
        kinds,
        '-l=app.kubernetes.io/managed-by=holdfast-controller',
        '-o=name',
      );
      return left === '';
    });
  });
});
