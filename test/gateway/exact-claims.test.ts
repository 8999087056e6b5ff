// Claims with large numbers and commas, from the issuer's bytes to upstream fields.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ISSUER_KEY, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { AUDIENCE, ISSUER, signParts } from '../support/tokens.ts';

const route = (name: string, more: string) =>
  `- { name: ${name}, match: { path: /${name}/* }, upstream: orders, require: token, weaker_than_defaults: [require], ${more} }\n`;
const ROUTES = [
  route('uid', 'forward: { identity: { X-Uid: uid } }'),
  route('encoded', 'forward: { encoding: base64url, identity: { X-Uid: uid } }'),
  route('tenant', 'claims: { uid: "9007199254740993" }'),
  route('small', 'claims: { uid: [5, 9007199254740991] }'),
].join('');

/** A token whose claim `uid` is written exactly so; JSON.stringify would round it here already. */
function tokenWith({ now }: TestGateway, uid: string, exp = String(Math.floor(now()) + 600)): Promise<string> {
  const claims = `{"iss":"${ISSUER}","aud":"${AUDIENCE}","sub":"alice","exp":${exp},"iat":${now()}123456789,"uid":${uid}}`;
  const { kid } = ISSUER_KEY.jwk;
  return signParts(ISSUER_KEY, { alg: ISSUER_KEY.alg, typ: 'at+jwt', kid }, claims);
}

test('a number is never rounded into another one: it is exact, or refused by name', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const send = async (path: string, uid: string, exp?: string) => {
    const answer = await gateway.request('GET', path, { token: await tokenWith(gateway, uid, exp) });
    return answer.status === 200 ? gateway.upstream.seen.at(-1)?.fields.one('x-uid') : answer.reason;
  };
  await t.test('an integer beyond 2^53 arrives digit by digit, alone and in an array', async () => {
    for (const uid of ['9007199254740993', '-9007199254740993', '340282366920938463463374607431768211455', '12']) {
      assert.equal(await send('/uid/1', uid), uid);
    }
    assert.equal(await send('/uid/1', '[9007199254740993, 1]'), '9007199254740993,1');
    assert.equal(await send('/encoded/1', '9007199254740993'), Buffer.from('9007199254740993').toString('base64url'));
  });
  await t.test('what has no exact text is refused', async () => {
    for (const uid of ['9007199254740993.0', '9.007199254740993e15', '1e400', '9007199254740991.4']) {
      assert.equal(await send('/uid/1', uid), 'identity_unforwardable', uid);
    }
  });
  await t.test('a rule matches its own number and not its neighbours', async () => {
    assert.equal(await send('/tenant/1', '9007199254740993'), undefined);
    assert.equal(await send('/tenant/1', '"9007199254740993"'), undefined);
    for (const uid of ['9007199254740992', '9007199254740994', '9007199254740993.0', '9007199254740993e0'])
      assert.equal(await send('/tenant/1', uid), 'claim_mismatch', uid);
    assert.equal(await send('/small/1', '9007199254740991'), undefined);
    assert.equal(await send('/small/1', '5'), undefined);
    for (const uid of ['9007199254740991.4', '"5"', '9007199254740992']) {
      assert.equal(await send('/small/1', uid), 'claim_mismatch', uid);
    }
  });
  await t.test('an expiry that some issuers write for never is a time like any other', async () => {
    assert.equal(await send('/uid/1', '7', '9223372036854775807'), '7');
    assert.equal(await send('/uid/1', '9007199254740993', '1790000000'), 'token_expired');
  });
});

test('a text with a comma is not an array', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const seen = async (path: string, uid: string) => {
    const answer = await gateway.request('GET', path, { token: await tokenWith(gateway, uid) });
    return answer.status === 200 ? gateway.upstream.seen.at(-1)?.fields.one('x-uid') : answer.reason;
  };
  assert.equal(await seen('/uid/1', '["a","b"]'), 'a,b');
  assert.equal(await seen('/uid/1', '"a,b"'), 'identity_unforwardable');
  assert.equal(await seen('/encoded/1', '["a","b"]'), 'YQ,Yg');
  assert.equal(await seen('/encoded/1', '"a,b"'), 'YSxi');
});
