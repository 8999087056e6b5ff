// Tokens of the probe by client credentials: the request, its proof, and the answer.

import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { decodeJwt, decodeProtectedHeader, exportJWK } from 'jose';
import { UsageError } from '../../../src/cli/arguments.ts';
import type { ProbeOptions } from '../../../src/cli/probe/settings.ts';
import { obtainCredentials, ProbeFailure } from '../../../src/cli/probe/token-request.ts';
import { makeKey } from '../../support/tokens.ts';
import { serve, tokenOf, writeFiles } from './probing.ts';

const SECRET = 'a secret: with%signs';

async function endpoint(
  t: TestContext,
  answer: RequestListener,
): Promise<{ options: ProbeOptions; bodies: string[]; asked: Awaited<ReturnType<typeof serve>>['asked'] }> {
  const bodies: string[] = [];
  const { url, asked } = await serve(t, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      bodies.push(body);
      answer(request, response);
    });
  });
  const { secret } = writeFiles(t, { secret: SECRET });
  return {
    options: { 'token-endpoint': url, 'client-id': 'probe', 'client-secret-file': secret, scope: 'orders:read' },
    bodies,
    asked,
  };
}

const json = (value: object) => JSON.stringify(value);

describe('a token by client credentials', () => {
  test('that is refused is told by its error code, and by no other word of the server', async (t) => {
    const { options } = await endpoint(t, (_request, response) => {
      response.writeHead(400).end(json({ error: 'invalid_scope', error_description: `not for ${SECRET}` }));
    });
    await assert.rejects(obtainCredentials(options), (error: unknown) => {
      assert.ok(error instanceof ProbeFailure);
      assert.equal(error.message, 'the token endpoint gave no token: 400 invalid_scope');
      return true;
    });
    for (const body of [
      '',
      '{',
      '[]',
      '{"access_token":1}',
      '{"access_token":"a b"}',
      '{"access_token":"a","access_token":"b"}',
    ]) {
      const odd = await endpoint(t, (_request, response) => response.end(body));
      await assert.rejects(obtainCredentials(odd.options), /the token endpoint gave no token: 200$/, body);
    }
  });

  test('is bound to a new key by a proof for the endpoint, sent again with the nonce that is asked for', async (t) => {
    let token = '';
    const { options, asked, bodies } = await endpoint(t, (request, response) => {
      const proof = String(request.headers['dpop']);
      const { jwk } = decodeProtectedHeader(proof);
      assert.ok(jwk !== undefined && !('d' in jwk));
      if (decodeJwt(proof)['nonce'] !== 'n1') {
        return response.writeHead(400, { 'DPoP-Nonce': 'n1' }).end(json({ error: 'use_dpop_nonce' }));
      }
      return response.end(json({ access_token: token, token_type: 'DPoP' }));
    });
    token = 'opaque-token';
    const { key, bound, token: got } = await obtainCredentials(options);
    assert.deepEqual([got.text, key?.alg, bound], [token, 'ES256', undefined]);
    assert.equal(asked.length, 2);
    const proof = String(asked[1]?.headers['dpop']);
    assert.deepEqual([decodeJwt(proof)['htm'], decodeJwt(proof)['htu']], ['POST', options['token-endpoint']]);
    assert.equal(decodeJwt(proof)['ath'], undefined);
    assert.deepEqual(new URLSearchParams(bodies[1]).get('scope'), 'orders:read');
    const [id, secret] = Buffer.from(asked[1]?.headers.authorization?.slice(6) ?? '', 'base64')
      .toString()
      .split(':');
    assert.deepEqual([id, secret], ['probe', 'a+secret%3A+with%25signs'], 'form-encoded (RFC 6749 §2.3.1)');
  });

  test('of a server that does not know DPoP is bound to nothing, and so is one that was asked for without', async (t) => {
    for (const unbound of [false, true]) {
      const token = await tokenOf({});
      const { options, asked } = await endpoint(t, (_request, response) => {
        response.end(json({ access_token: token, token_type: 'Bearer' }));
      });
      const { key } = await obtainCredentials({ ...options, unbound });
      assert.deepEqual([key, asked[0]?.headers['dpop'] === undefined], [undefined, unbound]);
    }
  });

  test('with a private key comes with an assertion for the issuer, who must be named', async (t) => {
    const client = await makeKey('ES256', 'c1');
    const { file } = writeFiles(t, { file: json({ ...(await exportJWK(client.privateKey)), kid: 'c1' }) });
    const { options, bodies } = await endpoint(t, (_request, response) => {
      response.end(json({ access_token: 'opaque', token_type: 'Bearer' }));
    });
    const { 'client-secret-file': _, ...others } = options;
    const byKey = { ...others, 'client-key-file': file, unbound: true };
    await assert.rejects(obtainCredentials(byKey), UsageError);
    await obtainCredentials({ ...byKey, issuer: 'https://login.example.com' });
    const assertion = new URLSearchParams(bodies[0]).get('client_assertion') ?? '';
    const { iss, sub, aud } = decodeJwt(assertion);
    assert.deepEqual([iss, sub, aud], ['probe', 'probe', 'https://login.example.com']);
    assert.equal(decodeProtectedHeader(assertion).kid, 'c1');
  });
});
