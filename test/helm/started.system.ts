// The gateway of every rendering, started as rendered.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HOLDER, TO_KEY } from '../gateway/credentials.ts';
import { ISSUER_KEY, ORIGIN } from '../support/gateway.ts';
import { makeProof, makeToken } from '../support/tokens.ts';
import { DEPLOYED } from './deployed.ts';
import { CASES, containersOf, gatewayOf, type KubernetesObject, podsOf, readGolden } from './golden.ts';
import { type CallWishes, startPod } from './pod.ts';

/** Claims that the routes of some renderings demand. */
const CLAIMS: Readonly<Record<string, object>> = { environment: { tenant: 'acme' } };
/** A rendering whose routes demand a claim of every strange kind: chart.ts looks at what arrives. */
const STRANGE = 'words';

/** Fields of a request with a token and proofs of its own: `prove` makes one. */
async function holding(path: string, claims: object) {
  const now = Date.now() / 1000;
  const token = await makeToken(ISSUER_KEY, now, { claims: { ...TO_KEY, ...claims } });
  return async (nonce?: string) => ({
    Authorization: `DPoP ${token}`,
    DPoP: await makeProof(HOLDER, now, {
      url: `${ORIGIN}${path}`,
      token,
      claims: nonce === undefined ? {} : { nonce },
    }),
  });
}

/** A Deployment that may have two pods at a time. */
const isShared = ({ kind, spec }: KubernetesObject) =>
  kind === 'Deployment' && (spec.replicas !== 1 || spec.strategy?.type === 'RollingUpdate');

describe('the gateway of a rendering', () => {
  for (const rendering of [...CASES.map(readGolden), ...DEPLOYED]) {
    test(`${rendering.name}: is ready, answers the probe, and demands proofs`, async (t) => {
      const { call, page, policy } = await startPod(t, rendering);
      const [first] = policy.listeners;
      const listener = first?.name ?? '';
      assert.equal((await page('/livez')).status, 200);
      assert.match((await page('/metrics')).body, /^holdfast_build_info/m);
      const say = async (path: string, wishes?: CallWishes) => (await call(listener, path, wishes)).said;
      assert.equal(await say('/healthz'), '200 from the upstream');
      assert.equal(await say('/orders/1'), '401 credentials_missing');
      // A balancer that is trusted may rewrite Host: then the one origin counts.
      const balanced = (first?.trustedPeers.length ?? 0) > 0 && !first?.proxyProtocol;
      const elsewhere = await say('/healthz', { host: 'elsewhere.example' });
      assert.equal(elsewhere, balanced ? '200 from the upstream' : '421 misdirected');
      const prove = await holding('/orders/1', CLAIMS[rendering.name] ?? {});
      let fields = await prove();
      const answer = await call(listener, '/orders/1', { fields });
      // A Redis that has just started is a new memory: once, it wants a nonce.
      const required = policy.routes.some(({ demand }) => demand.dpop.nonce === 'required');
      assert.equal(answer.said === '401 nonce_required', required || policy.replay.redis !== undefined);
      if (answer.nonce !== undefined) fields = await prove(answer.nonce);
      const said = answer.nonce === undefined ? answer.said : await say('/orders/1', { fields });
      if (rendering.name === STRANGE) assert.equal(said, '403 claim_mismatch');
      else {
        assert.equal(said, '200 from the upstream');
        assert.equal(await say('/orders/1', { fields }), '401 proof_replayed');
      }
      assert.equal(policy.replay.redis !== undefined, rendering.objects.some(isShared), 'which memory is meant');
    });

    test(`${rendering.name}: its pod waits for the whole drain`, async (t) => {
      const { policy } = await startPod(t, rendering);
      const { delay, grace } = policy.drain;
      const { pod } = gatewayOf(rendering);
      const application = containersOf(pod).find(({ name }) => name !== 'holdfast');
      const before = application?.['lifecycle'].preStop.sleep.seconds ?? 0;
      assert.ok(pod['spec'].terminationGracePeriodSeconds >= before + delay + grace + 5);
    });

    test(`${rendering.name}: has a worker for every started core of its CPU request, unless it says otherwise`, async (t) => {
      const { policy } = await startPod(t, rendering);
      const cpu = String(gatewayOf(rendering).container['resources'].requests.cpu);
      const cores = Math.ceil(cpu.endsWith('m') ? Number(cpu.slice(0, -1)) / 1000 : Number(cpu));
      assert.equal(policy.workers, rendering.name === 'workers-by-hand' ? 2 : cores);
      assert.ok(podsOf(rendering.objects).length > 0);
    });
  }
});

test('the second listener of two demands a certificate, and the third is for this pod alone', async (t) => {
  const { call } = await startPod(t, readGolden('two-listeners'));
  const host = 'api.example.com:8443';
  assert.equal((await call('partners.v2', '/healthz', { host })).said, '200 from the upstream');
  assert.equal((await call('here', '/healthz', { host: 'localhost:8081' })).said, '200 from the upstream');
});

test('behind an ingress that terminates TLS, the certificate that it states is the client’s', async (t) => {
  const { call } = await startPod(t, readGolden('behind-ingress'));
  const fields = { 'ssl-client-cert': 'no certificate' };
  assert.equal((await call('balanced', '/orders/1', { fields })).said, '400 certificate_field_malformed');
  assert.equal((await call('balanced', '/healthz', { fields })).said, '200 from the upstream');
});
