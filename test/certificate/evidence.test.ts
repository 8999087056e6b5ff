// The evidence of a certificate: trust and dates under chain, the thumbprint always.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkCertificate, checkThumbprint } from '../../src/certificate/evidence.ts';
import { readCertificate } from '../../src/certificate/leaf.ts';
import { SeenCertificates } from '../../src/certificate/seen-certificates.ts';
import type { Rejection } from '../../src/rejection/rejection.ts';
import type { CertificateEvidence } from '../../src/request-facts.ts';
import { makeCertificate } from '../support/pki.ts';
import rfc8705 from '../vectors/rfc8705.json' with { type: 'json' };

const NOT_BEFORE = 1_800_000_000;
const NOT_AFTER = 1_800_003_600;
const NOW = 1_800_000_001.5;
const shown = await show('CN=client');

async function show(subject: string): Promise<CertificateEvidence> {
  const { der } = await makeCertificate({ subject, notBefore: NOT_BEFORE, notAfter: NOT_AFTER });
  const facts = readCertificate(der);
  assert.ok(facts);
  return { facts, verify: 'chain', trusted: true };
}

describe('verify: chain', () => {
  test('a certificate that the handshake did not trust is refused', () => {
    const rejection = checkCertificate({ ...shown, trusted: false }, NOW);
    assert.equal(rejection?.reason, 'certificate_untrusted');
    assert.equal(rejection.status, 401);
  });

  test('dates are checked on every request, both ends included (RFC 5280 §4.1.2.5)', () => {
    assert.equal(checkCertificate(shown, NOT_BEFORE - 0.001)?.reason, 'certificate_untrusted');
    assert.equal(checkCertificate(shown, NOT_BEFORE), undefined);
    assert.equal(checkCertificate(shown, NOT_AFTER), undefined);
    assert.equal(checkCertificate(shown, NOT_AFTER + 0.001)?.reason, 'certificate_untrusted');
  });

  test('the log learns which date it was, and nothing of the certificate', () => {
    assert.deepEqual(checkCertificate(shown, NOT_BEFORE - 1)?.facts, { what: 'notBefore', secondsOver: 1 });
    assert.deepEqual(checkCertificate(shown, NOT_AFTER + 1)?.facts, { what: 'notAfter', secondsOver: 1 });
    assert.deepEqual(checkCertificate({ ...shown, trusted: false }, NOW)?.facts, { what: 'chain' });
  });
});

test('under possession neither trust nor dates matter (RFC 8705 §6.2)', () => {
  assert.equal(checkCertificate({ ...shown, verify: 'possession', trusted: false }, NOT_AFTER + 1), undefined);
});

describe('thumbprint', () => {
  test('the certificate named by the token passes', () => {
    assert.equal(checkThumbprint(shown, shown.facts.thumbprint, new SeenCertificates()), undefined);
  });

  test('another certificate is a mismatch, under either kind of verification', async () => {
    const other = await show('CN=other');
    for (const verify of ['chain', 'possession'] as const) {
      assert.equal(
        checkThumbprint({ ...other, verify }, shown.facts.thumbprint, new SeenCertificates())?.reason,
        'certificate_mismatch',
      );
    }
  });

  test('thumbprints are compared as text: padding, another alphabet or spare bits are another value', () => {
    const facts = readCertificate(Buffer.from(rfc8705.cert_der_base64, 'base64'));
    assert.ok(facts);
    const evidence: CertificateEvidence = { facts, verify: 'possession', trusted: false };
    const thumbprint = rfc8705['x5t#S256'];
    const spareBits = `${thumbprint.slice(0, -1)}1`;
    assert.deepEqual(Buffer.from(spareBits, 'base64url'), Buffer.from(thumbprint, 'base64url'));
    for (const value of [spareBits, `${thumbprint}=`, thumbprint.toUpperCase(), '']) {
      assert.equal(checkThumbprint(evidence, value, new SeenCertificates())?.reason, 'certificate_mismatch');
    }
    assert.equal(checkThumbprint(evidence, thumbprint, new SeenCertificates()), undefined);
  });
});

describe('renewed certificates', () => {
  test('a mismatch says so when the old certificate of the same names was seen with its token', async () => {
    const seen = new SeenCertificates();
    assert.equal(checkThumbprint(shown, shown.facts.thumbprint, seen), undefined);
    const renewed = await show('CN=client');
    const rejection = checkThumbprint(renewed, shown.facts.thumbprint, seen);
    assert.equal(rejection?.reason, 'certificate_mismatch');
    const { thumbprint: received } = renewed.facts;
    const expected = shown.facts.thumbprint;
    const facts = { what: 'x5t#S256', differs: 'value', expected, received, renewedCertificate: true };
    assert.deepEqual(rejection.facts, facts);
  });

  test('a certificate of other names, or one that was never seen, is no renewal', async () => {
    const seen = new SeenCertificates();
    const renewed = await show('CN=client');
    const isRenewal = (found: Rejection | undefined) => found?.facts.renewedCertificate;
    assert.equal(isRenewal(checkThumbprint(renewed, shown.facts.thumbprint, seen)), undefined);
    seen.remember(shown.facts);
    assert.equal(isRenewal(checkThumbprint(await show('CN=thief'), shown.facts.thumbprint, seen)), undefined);
    assert.equal(isRenewal(checkThumbprint(renewed, shown.facts.thumbprint, new SeenCertificates())), undefined);
  });

  test('a mismatch teaches nothing, so that strangers cannot crowd out the certificates of clients', async () => {
    const seen = new SeenCertificates();
    checkThumbprint(shown, 'another', seen);
    const rejection = checkThumbprint(await show('CN=client'), shown.facts.thumbprint, seen);
    assert.equal(rejection?.facts.renewedCertificate, undefined);
    assert.equal(rejection?.reason, 'certificate_mismatch');
  });
});
