// Mode decide with real products in front of a real upstream.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CLIENT,
  dpop,
  issue,
  OTHER_CLIENT,
  prove,
  SUBJECT,
  THIEF,
  TO_CERTIFICATE,
  TO_KEY,
} from '../gateway/credentials.ts';
import { ENVOY, startEnvoy } from './fronts.ts';

const skip = 'skip' in ENVOY ? ENVOY.skip : false;

for (const dialect of ['envoy-http', 'envoy-grpc'] as const) {
  describe(`Envoy with dialect ${dialect}`, { skip }, () => {
    test('forwards the holder’s requests with verified identity, and removes what a client forged', async (t) => {
      const front = await startEnvoy(t, dialect);
      const forged = [
        ['X-Auth-Subject', 'admin'],
        ['Client-Cert', ':AAAA:'],
        ['X-Original-URL', '/admin'],
      ] as const;
      const { status } = await dpop(front, 'GET', '/dpop/1?a=b', { fields: forged });
      assert.equal(status, 200);
      const [seen] = front.upstream.seen;
      assert.equal(seen?.target, '/dpop/1?a=b');
      assert.equal(seen?.fields.one('x-auth-subject'), SUBJECT);
      for (const name of ['authorization', 'dpop', 'client-cert', 'x-original-url']) {
        assert.equal(seen?.fields.one(name) ?? '', '', name);
      }
    });

    test('refuses the thief, with the reason and challenge of the gateway, and nothing reaches the upstream', async (t) => {
      const front = await startEnvoy(t, dialect);
      const token = await issue(front, TO_KEY);
      const stolen = await front.request('GET', '/dpop/1', { token, scheme: 'Bearer' });
      assert.deepEqual([stolen.status, stolen.reason], [401, 'binding_downgraded']);
      assert.ok(stolen.fields.all('www-authenticate').length > 0);
      const foreign = await dpop(front, 'GET', '/dpop/1', { token, proving: { key: THIEF } });
      assert.equal(foreign.reason, 'proof_key_mismatch');
      const proof = await prove(front, token, 'GET', '/dpop/1');
      assert.equal((await front.request('GET', '/dpop/1', { token, proof })).status, 200);
      assert.equal((await front.request('GET', '/dpop/1', { token, proof })).reason, 'proof_replayed');
      assert.equal(
        (await dpop(front, 'POST', '/dpop/1', { token, proving: { claims: { htm: 'GET' } } })).reason,
        'proof_method_mismatch',
      );
      assert.equal(
        (
          await front.request('GET', '/dpop/1', {
            fields: [
              ['Authorization', `DPoP ${token}`],
              ['DPoP', proof],
              ['DPoP', proof],
            ],
          })
        ).reason,
        'proof_repeated',
      );
      assert.equal(front.upstream.seen.length, 1);
    });

    test('passes the nonce of a challenge back to the client', async (t) => {
      const front = await startEnvoy(t, dialect);
      const first = await dpop(front, 'GET', '/nonce/1');
      assert.equal(first.reason, 'nonce_required');
      const nonce = first.fields.one('DPoP-Nonce');
      assert.equal((await dpop(front, 'GET', '/nonce/1', { proving: { claims: { nonce } } })).status, 200);
    });

    if (dialect === 'envoy-grpc') {
      test('hands over the client’s certificate', async (t) => {
        const front = await startEnvoy(t, dialect);
        const token = await issue(front, TO_CERTIFICATE);
        assert.equal((await front.request('GET', '/mtls/1', { token, client: CLIENT })).status, 200);
        assert.equal(
          (await front.request('GET', '/mtls/1', { token, client: OTHER_CLIENT })).reason,
          'certificate_mismatch',
        );
        assert.equal((await front.request('GET', '/mtls/1', { token })).reason, 'certificate_missing');
      });
    }

    test('permits nothing when the gateway is gone', async (t) => {
      const front = await startEnvoy(t, dialect);
      await front.close();
      assert.equal((await front.request('GET', '/open/1')).status, 403);
      assert.equal(front.upstream.seen.length, 0);
    });
  });
}
