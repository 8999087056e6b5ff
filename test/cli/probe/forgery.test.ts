// The forgeries of the probe, held against Node's own crypto and OpenSSL.

import assert from 'node:assert/strict';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { breakSignature, forge, hmac, makeProbeKey, respell, unsigned } from '../../../src/cli/probe/forgery.ts';
import { imitateCertificate } from '../../../src/cli/probe/stranger.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

const key = makeProbeKey();
const publicKey = createPublicKey({ key: key.jwk, format: 'jwk' });

function verifies(jws: string): boolean {
  const at = jws.lastIndexOf('.');
  const signature = Buffer.from(jws.slice(at + 1), 'base64url');
  return verify('sha256', Buffer.from(jws.slice(0, at)), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
}

test('a respelled signature is another text and verifies all the same; a broken one does not', () => {
  for (let count = 0; count < 20; count++) {
    const jws = forge({ alg: 'ES256' }, { count }, key.sign);
    assert.ok(verifies(jws));
    assert.notEqual(respell(jws), jws);
    assert.ok(verifies(respell(jws)));
    assert.equal(respell(respell(jws)), jws);
    assert.ok(!verifies(breakSignature(jws)));
  }
});

test('members that are undefined are left out, and a JWS without a signature ends with its dot', () => {
  const jws = forge({ alg: 'none', typ: undefined }, { jti: undefined, iat: 1 }, unsigned);
  assert.deepEqual(
    jws.split('.').map((part) => Buffer.from(part, 'base64url').toString()),
    ['{"alg":"none"}', '{"iat":1}', ''],
  );
  assert.match(forge({ alg: 'HS256' }, {}, hmac('')), /\.[\w-]{43}$/);
});

test('an imitated certificate has the subject of the other, signs itself, and is taken by OpenSSL with its key', async () => {
  const ca = await makeCa();
  const names = Array.from({ length: 40 }, (_, at) => `client-${at}.example.com`);
  for (const subject of ['CN=alice', `CN=alice, O="${'Example; '.repeat(30)}", C=DE`]) {
    const { cert, der } = await makeCertificate({ names, subject, ca });
    const stranger = imitateCertificate(cert);
    const [one, other] = [new X509Certificate(der), new X509Certificate(stranger.cert)];
    assert.equal(other.subject, one.subject);
    assert.equal(other.issuer, one.subject);
    assert.ok(other.verify(other.publicKey));
    assert.notEqual(other.fingerprint256, one.fingerprint256);
    const now = Date.now();
    assert.ok(other.validFromDate.getTime() < now && now < other.validToDate.getTime());
    createSecureContext(stranger);
  }
  assert.equal(new X509Certificate(imitateCertificate().cert).subject, 'CN=probe');
});
