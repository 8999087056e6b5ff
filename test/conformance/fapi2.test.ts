// A deployment under the FAPI 2.0 Security Profile: the defaults, and what it sets.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dpop, issue, TO_KEY } from '../gateway/credentials.ts';
import { ISSUER_KEY, startTestGateway } from '../support/gateway.ts';
import { AUDIENCE, ISSUER, makeKey, makeToken } from '../support/tokens.ts';

const ALGORITHMS = '[PS256, ES256, EdDSA]';
const FAPI = {
  issuers: `login: { issuer: ${ISSUER}, audience: [${AUDIENCE}], keys: { jwks_file: keys.json }, algorithms: ${ALGORITHMS} }`,
  more: `defaults: { dpop: { algorithms: ${ALGORITHMS} } }\n`,
};

describe('with the algorithms of §5.4.1', () => {
  for (const alg of ['PS256', 'ES256', 'EdDSA']) {
    test(`a proof signed with ${alg} passes`, async (t) => {
      const gateway = await startTestGateway(t, FAPI);
      const key = await makeKey(alg);
      assert.equal(
        (await dpop(gateway, 'GET', '/1', { claims: { cnf: { jkt: key.jkt } }, proving: { key } })).status,
        200,
      );
    });
  }

  for (const alg of ['RS256', 'ES384']) {
    test(`a proof signed with ${alg} is refused, and the challenge says which ones pass`, async (t) => {
      const gateway = await startTestGateway(t, FAPI);
      const key = await makeKey(alg);
      const answer = await dpop(gateway, 'GET', '/1', { claims: { cnf: { jkt: key.jkt } }, proving: { key } });
      assert.equal(answer.reason, 'proof_algorithm_refused');
      assert.match(
        answer.fields.all('www-authenticate')[0] ?? '',
        /^DPoP error="invalid_dpop_proof", .*, algs="PS256 ES256 EdDSA"/,
      );
    });

    test(`an access token signed with ${alg} is refused`, async (t) => {
      const gateway = await startTestGateway(t, FAPI);
      const token = await makeToken(await makeKey(alg), gateway.now(), { header: { kid: ISSUER_KEY.jwk.kid } });
      assert.equal((await gateway.request('GET', '/1', { token })).reason, 'token_algorithm_refused');
    });
  }
});

test('without any setting only sender-constrained tokens are accepted (§5.3.4)', async (t) => {
  const gateway = await startTestGateway(t);
  const bearer = await gateway.request('GET', '/1', { token: await issue(gateway) });
  assert.equal(bearer.reason, 'binding_required');
  const stolen = await gateway.request('GET', '/1', { token: await issue(gateway, TO_KEY) });
  assert.equal(stolen.reason, 'binding_downgraded');
  assert.equal((await dpop(gateway, 'GET', '/1')).status, 200);
  assert.equal(gateway.upstream.seen.length, 1);
});
