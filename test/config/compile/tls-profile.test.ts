// TLS profiles of listeners: which version each begins with, and what contradicts it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertProblems, policyOf, warningsOf } from '../../support/policies.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

const ca = await makeCa();
const [ec, rsa] = [
  await makeCertificate({ ca, names: ['api.example.com'] }),
  await makeCertificate({ ca, names: ['api.example.com'], key: 'RSA' }),
];

/** A listener with these further keys of `tls`. */
const withTls = (more: string, { chain, key } = ec) =>
  [
    {
      listeners: `- name: public
  bind: "0.0.0.0:8443"
  tls: { certificates: [{ cert: tls.crt, key_file: tls.key }]${more} }
  origins: [https://api.example.com]`,
    },
    { files: { 'listeners.0.tls.certificates.0.cert': chain, 'listeners.0.tls.certificates.0.key_file': key } },
  ] as const;

describe('TLS profiles', () => {
  const profileOf = (more: string) => {
    const { profile, minVersion } = policyOf(...withTls(more)).listeners[0]?.tls ?? {};
    return [profile, minVersion];
  };

  test('modern is TLS 1.3 alone; the others begin with TLS 1.2, unless min_version says otherwise', () => {
    assert.deepEqual(profileOf(''), ['intermediate', 'TLSv1.2']);
    assert.deepEqual(profileOf(', profile: modern'), ['modern', 'TLSv1.3']);
    assert.deepEqual(profileOf(', profile: fapi'), ['fapi', 'TLSv1.2']);
    assert.deepEqual(profileOf(', profile: fapi, min_version: TLSv1.3'), ['fapi', 'TLSv1.3']);
    assert.deepEqual(profileOf(', min_version: TLSv1.3'), ['intermediate', 'TLSv1.3']);
  });

  test('modern with TLS 1.2 is a contradiction', () => {
    const [sections, surroundings] = withTls(', profile: modern, min_version: «TLSv1.2');
    assertProblems(
      sections,
      ['listeners[0].tls.min_version: is TLSv1.2 under profile: modern, expected TLSv1.3, or profile: intermediate'],
      surroundings,
    );
  });

  test('fapi with an EC certificate and TLS 1.2 is worth a look: two of three FAPI profiles have RSA suites alone', () => {
    const [warning, ...others] = warningsOf(...withTls(', profile: fapi'));
    assert.match(warning ?? '', /^listeners\[0\]\.tls\.certificates\[0\]\.cert: has an EC key, .*FAPI 1\.0 Advanced/);
    assert.deepEqual(others, []);
    assert.deepEqual(warningsOf(...withTls(', profile: fapi, min_version: TLSv1.3')), []);
    assert.deepEqual(warningsOf(...withTls(', profile: fapi', rsa)), []);
    assert.deepEqual(warningsOf(...withTls('')), []);
  });
});
