// Scenes of a holder and a thief, wherever a gateway of others asks Holdfast.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT_CA, ISSUER_KEY, ORIGIN } from '../support/gateway.ts';
import { makeCertificate, type TestCertificate } from '../support/pki.ts';
import { ath, makeKey, makeProof, makeToken } from '../support/tokens.ts';
import type { Cluster } from './cluster.ts';
import { ask, holder, type Reply, until } from './gateway-parts.ts';

export interface Door {
  readonly cluster: Cluster;
  /** Where clients reach it. */
  readonly address: string;
}

/** The request as the API got it. */
interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

const BOUND = await makeCertificate({ names: ['client.example.net'], ca: CLIENT_CA });
/** The certificate to which tokens are bound, and as fields have it. */
const CLIENT = {
  ...BOUND,
  field: `:${BOUND.der.toString('base64')}:`,
  hex: Buffer.from(BOUND.thumbprint, 'base64url').toString('hex'),
};
const OTHER_CLIENT = await makeCertificate({ names: ['other.example.net'], ca: CLIENT_CA });
const STRANGER = await makeCertificate({ names: ['client.example.net'] });

const SCOPE = { scope: 'orders:read' };
const FORGED = { 'X-Auth-Subject': 'root', 'X-Auth-Client': 'root', 'X-Real-Ip': '1.2.3.4', 'Client-Cert': ':AAAA:' };

const received = ({ status, body }: Reply): Received => {
  assert.equal(status, 200, body);
  return JSON.parse(body) as Received;
};
const reasonOf = ({ body }: Reply): unknown => (JSON.parse(body) as { reason?: unknown }).reason;

/** The field's lines at the API; empty: none, or none with a value. */
const lines = ({ headers }: Received, name: string): readonly string[] =>
  Object.entries(headers).flatMap(([key, values]) =>
    key.toLowerCase() === name ? values.filter((value) => value !== '') : [],
  );

/** @param door known when the tests run */
export function scenes(door: () => Door): void {
  const get = async (path: string, fields: Readonly<Record<string, string>> = {}) =>
    await ask(door().address, path, fields);

  test('the holder passes, with an identity that is Holdfast’s to say, and without token and proof', async () => {
    const { fieldsFor } = await holder(SCOPE);
    const seen = received(await get('/orders/1?a=b', { ...(await fieldsFor('/orders/1')), ...FORGED }));
    assert.equal(seen.path, '/orders/1?a=b');
    assert.deepEqual(lines(seen, 'x-auth-subject'), ['alice']);
    assert.deepEqual(lines(seen, 'x-auth-binding'), ['dpop']);
    for (const [name, value] of Object.entries(FORGED))
      assert.ok(!lines(seen, name.toLowerCase()).includes(value), name);
    for (const name of ['authorization', 'dpop']) assert.deepEqual(lines(seen, name), [], name);
  });

  test('a public route has no identity, whatever the client writes', async () => {
    const seen = received(await get('/healthz', FORGED));
    for (const name of ['x-auth-subject', 'x-auth-client', 'x-real-ip', 'client-cert'])
      assert.deepEqual(lines(seen, name), [], name);
  });

  test('the thief is refused, with challenge and reason of Holdfast', async () => {
    const { token, fieldsFor } = await holder(SCOPE);
    const none = await get('/orders/1');
    assert.deepEqual([none.status, reasonOf(none)], [401, 'credentials_missing']);
    assert.match(none.challenge, /^DPoP .*algs="/);
    const downgraded = await get('/orders/1', { Authorization: `Bearer ${token}` });
    assert.deepEqual([downgraded.status, reasonOf(downgraded)], [401, 'binding_downgraded']);
    assert.match(downgraded.challenge, /^DPoP error="invalid_token"/);
    assert.equal(reasonOf(await get('/orders/1', { Authorization: `DPoP ${token}` })), 'proof_missing');
    const claims = { htm: 'GET', htu: `${ORIGIN}/orders/1`, ath: ath(token) };
    const foreign = await makeProof(await makeKey(), Date.now() / 1000, { claims });
    assert.equal(
      reasonOf(await get('/orders/1', { Authorization: `DPoP ${token}`, DPoP: foreign })),
      'proof_key_mismatch',
    );
    assert.equal(reasonOf(await get('/orders/2', await fieldsFor('/orders/1'))), 'proof_uri_mismatch');
    assert.equal(
      reasonOf(await get('/orders/1', await fieldsFor('/orders/1', { htm: 'POST' }))),
      'proof_method_mismatch',
    );
    const overheard = await fieldsFor('/orders/1');
    received(await get('/orders/1', overheard));
    assert.equal(reasonOf(await get('/orders/1', overheard)), 'proof_replayed');
  });

  test('a scope that is missing is told as such', async () => {
    const { fieldsFor } = await holder({ scope: 'else' });
    const { status, challenge } = await get('/orders/1', await fieldsFor('/orders/1'));
    assert.equal(status, 403);
    assert.match(challenge, /insufficient_scope/);
  });

  test('the nonce of a challenge reaches the client, whose second try passes', async () => {
    const { fieldsFor } = await holder();
    const first = await get('/payments/1', await fieldsFor('/payments/1'));
    assert.deepEqual([first.status, reasonOf(first)], [401, 'nonce_required']);
    assert.notEqual(first.nonce, '');
    received(await get('/payments/1', await fieldsFor('/payments/1', { nonce: first.nonce })));
  });

  test('a path that is rewritten on the way is judged as the client wrote it', async () => {
    const { fieldsFor } = await holder(SCOPE);
    assert.equal(received(await get('/orders/old/1', await fieldsFor('/orders/old/1'))).path, '/archive/1');
    assert.equal(reasonOf(await get('/orders/old/1', await fieldsFor('/archive/1'))), 'proof_uri_mismatch');
  });

  test('no spelling of a path leads past what its route demands', async () => {
    for (const path of [
      '/healthz/../orders/1',
      '/healthz/%2e%2e/orders/1',
      '//orders/1',
      '/healthz%2f..%2forders/1',
      '/%6frders/1',
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { status, body } = await get(path);
      assert.ok(status >= 400, `${path}: ${status} ${body}`);
    }
  });

  test('no spelling of Host leads past it either', async () => {
    for (const host of ['api.example.com:443', 'API.example.com', 'api.example.com.']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { status, body } = await get('/orders/1', { Host: host });
      assert.ok(status >= 400, `${host}: ${status} ${body}`);
    }
  });

  scenesOfCertificates(door);

  test('fields beyond the limit of Holdfast are refused', async () => {
    const { status } = await get('/healthz', { Authorization: `Bearer ${'x'.repeat(40_000)}` });
    assert.ok(status >= 400 && status < 500, String(status));
  });
}

/** Tokens that are bound to a certificate (RFC 8705), which the gateway sees in its handshake and tells. */
function scenesOfCertificates(door: () => Door): void {
  const claims = { cnf: { 'x5t#S256': CLIENT.thumbprint } };
  const bearer = async () => ({
    Authorization: `Bearer ${await makeToken(ISSUER_KEY, Date.now() / 1000, { claims })}`,
  });
  const inXfcc = (written: string) => ({ 'X-Forwarded-Client-Cert': written });
  /** All that a thief who knows the certificate, which is public, could write of it. */
  const forged: readonly Readonly<Record<string, string>>[] = [
    inXfcc(`Cert="${encodeURIComponent(CLIENT.cert)}"`),
    inXfcc(`Hash=${CLIENT.hex};Cert="${encodeURIComponent(CLIENT.cert)}";Subject=""`),
    inXfcc(`Hash=${CLIENT.hex}`),
    { 'Client-Cert': CLIENT.field },
    { 'ssl-client-cert': encodeURIComponent(CLIENT.cert) },
  ];
  const askAs = async (client: TestCertificate | undefined, fields: Readonly<Record<string, string>> = {}) =>
    await ask(door().address, '/partners/1', { ...(await bearer()), ...fields }, client);

  test('who shows the certificate of a bound token passes, and the API has it from Holdfast alone', async () => {
    for (const fields of [{}, ...forged]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const seen = received(await askAs(CLIENT, fields));
      assert.deepEqual(lines(seen, 'x-auth-binding'), ['mtls']);
      assert.deepEqual(lines(seen, 'client-cert'), [CLIENT.field]);
      for (const name of ['x-forwarded-client-cert', 'ssl-client-cert', 'authorization'])
        assert.deepEqual(lines(seen, name), [], name);
    }
  });

  test('who shows another certificate or none is refused, whatever fields say of the right one', async () => {
    for (const fields of [{}, ...forged]) {
      // oxlint-disable no-await-in-loop -- one after the other
      const other = await askAs(OTHER_CLIENT, fields);
      assert.deepEqual([other.status, reasonOf(other)], [401, 'certificate_mismatch'], JSON.stringify(fields));
      const none = await askAs(undefined, fields);
      assert.deepEqual([none.status, reasonOf(none)], [401, 'certificate_missing'], JSON.stringify(fields));
      // oxlint-enable no-await-in-loop
    }
  });

  test('a certificate of another CA ends the handshake', async () => {
    await assert.rejects(async () => await askAs(STRANGER));
  });

  test('a public route has nothing of a certificate', async () => {
    const seen = received(await ask(door().address, '/healthz', forged[0], CLIENT));
    for (const name of ['client-cert', 'x-forwarded-client-cert']) assert.deepEqual(lines(seen, name), [], name);
  });
}

/** Holdfast goes, and comes again. */
export function scenesOfLoss(door: () => Door): void {
  test('while Holdfast is gone nothing passes, public routes included, and then all is as before', async () => {
    const { cluster, address } = door();
    const scale = async (replicas: number) =>
      await cluster.kubectl(['-n=holdfast', 'scale', 'deployment/holdfast', `--replicas=${replicas}`]);
    const status = async (path: string, fields = {}) => (await ask(address, path, fields)).status;
    const pods = async () => await cluster.kubectl(['-n=holdfast', 'get', 'pods', '-o=name']);
    const { fieldsFor } = await holder(SCOPE);
    const asHolder = async () => await status('/orders/1', await fieldsFor('/orders/1'));
    await scale(0);
    await until(async () => (await pods()) === '');
    // 503 by the policy; Envoy Gateway says 500 when it knows of no pod.
    for (const lost of [await status('/healthz'), await asHolder()]) assert.ok([500, 503].includes(lost), String(lost));
    await scale(1);
    await until(async () => (await asHolder()) === 200);
    await until(async () => (await status('/orders/1')) === 401);
  });
}
