// The client of a token in lines of the log: not there unless asked for.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import { issue, prove, TO_KEY } from '../gateway/credentials.ts';
import { startTestGateway } from '../support/gateway.ts';
import { assertProblems } from '../support/policies.ts';
import { ISSUER } from '../support/tokens.ts';

const KEY = '0123456789abcdef0123456789abcdef';

/** The line of one permitted request. */
async function lineUnder(t: TestContext, log: string, files: Readonly<Record<string, string>> = {}) {
  const more = `${log}drain: { delay: 0s, grace: 5s }`;
  const gateway = await startTestGateway(t, { more, files });
  const token = await issue(gateway, { ...TO_KEY, client_id: 'mobile-app' });
  const proof = await prove(gateway, token, 'GET', '/orders/1');
  assert.equal((await gateway.request('GET', '/orders/1', { token, proof })).status, 200);
  await gateway.request('GET', '/orders/1', { token, proof });
  const replayed = await gateway.logged({ msg: 'request', reason: 'proof_replayed' });
  assert.deepEqual([replayed['token_client'], replayed['token_client_hash']], [undefined, undefined]);
  const line = await gateway.logged({ msg: 'request', outcome: 'forwarded' });
  return { text: JSON.stringify(gateway.log), id: line['token_client'], hash: line['token_client_hash'] };
}

describe('the client of a token', () => {
  test('is not in the log', async (t) => {
    const { text, id, hash } = await lineUnder(t, '');
    assert.deepEqual([id, hash, text.includes('mobile-app')], [undefined, undefined, false]);
  });

  test('is there as it is under log.client: id', async (t) => {
    const { id, hash } = await lineUnder(t, 'log: { client: id }\n');
    assert.deepEqual([id, hash], ['mobile-app', undefined]);
  });

  test('is there as a keyed hash of issuer and client, which whoever has the key can make again', async (t) => {
    const { text, id, hash } = await lineUnder(t, 'log: { client: hash, client_key_file: log.key }\n', {
      'log.key': `${KEY}\n`,
    });
    const expected = createHmac('sha256', KEY).update(`${ISSUER}\0mobile-app`).digest('base64url').slice(0, 22);
    assert.deepEqual([id, hash, text.includes('mobile-app')], [undefined, expected, false]);
  });

  test('without a key has another hash after each start', async (t) => {
    const hashes = [
      (await lineUnder(t, 'log: { client: hash }\n')).hash,
      (await lineUnder(t, 'log: { client: hash }\n')).hash,
    ];
    assert.equal(typeof hashes[0], 'string');
    assert.notEqual(hashes[0], hashes[1]);
  });

  test('has no key without a hash, and none that is short', () => {
    assertProblems(
      { more: 'log: { client: id, client_key_file: «log.key }' },
      ['log.client_key_file: is the key of a hash that nothing asks for, expected client: hash, or no client_key_file'],
      { files: { 'log.client_key_file': KEY } },
    );
    assertProblems(
      { more: 'log: { client: hash, client_key_file: «log.key }' },
      ['log.client_key_file: has too few bytes, expected a secret of at least 32, white space at its ends not counted'],
      { files: { 'log.client_key_file': `${KEY.slice(1)}\n` } },
    );
  });
});
