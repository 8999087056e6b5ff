// Client-Cert and Client-Cert-Chain against RFC 9440, RFC 8705 and published vectors.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatClientCert, formatClientCertChain, readClientCert } from '../../src/certificate/client-cert.ts';
import { readCertificate } from '../../src/certificate/leaf.ts';
import rfc8705 from '../vectors/rfc8705.json' with { type: 'json' };
import rfc9440 from '../vectors/rfc9440.json' with { type: 'json' };
import binary from '../vectors/structured-field-binary.json' with { type: 'json' };

const decode = (base64: string) => Buffer.from(base64, 'base64');

describe('what is written', () => {
  const facts = readCertificate(decode(rfc9440.leaf_der_base64), rfc9440.chain_der_base64.map(decode));
  assert.ok(facts);

  test('is the field of RFC 9440 figure 2, character by character', () => {
    assert.equal(formatClientCert(facts), rfc9440['Client-Cert']);
  });

  test('is the chain of RFC 9440 figure 3: a list, the leaf not repeated, the anchor last', () => {
    assert.equal(formatClientCertChain(facts), rfc9440['Client-Cert-Chain']);
  });

  test('is no field at all where there is no chain', () => {
    assert.equal(formatClientCertChain({ ...facts, chain: [] }), undefined);
  });
});

describe('what is read', () => {
  test('is the certificate of RFC 8705 appendix A', () => {
    assert.deepEqual(readClientCert(rfc8705.client_cert_header_rfc9440), decode(rfc8705.cert_der_base64));
  });

  for (const { name, raw, must_fail: mustFail = false, expected } of binary.tests) {
    test(`agrees with the structured-field vector: ${name}`, () => {
      const read = readClientCert(raw.join(', '));
      const value = expected?.[0];
      if (mustFail || value === undefined || !('value' in value)) assert.equal(read, undefined);
      else assert.deepEqual(read, decodeBase32(value.value));
    });
  }

  for (const value of [
    '',
    'aGVsbG8=',
    ':aGVsbG8=:;a',
    ':aGVsbG8=:;a=1',
    ':aGVsbG8=:, :aGVsbG8=:',
    ':aGVsbG8=::aGVsbG8=:',
    ':aGVsbG8=:,',
    ':aGVsbG8=: x',
    ':aGVsbG8=:\t',
    ':aG=VsbG8:',
    ':aGVsbG8==:',
    ':aGVsbA=:',
    ':a:',
    ':=:',
    '(:aGVsbG8=:)',
    '"aGVsbG8="',
    ':aGVs\nbG8=:',
    ':aGVsbG8%3D:',
  ]) {
    test(`is not one byte sequence and nothing else: ${JSON.stringify(value)}`, () => {
      assert.equal(readClientCert(value), undefined);
    });
  }

  test('may have spaces around it (RFC 9651 §4.2)', () => {
    assert.deepEqual(readClientCert('  :aGVsbG8=: '), Buffer.from('hello'));
  });
});

/** RFC 4648 §6, as the vectors spell bytes. */
function decodeBase32(text: string): Buffer {
  const bits = Array.from(text.replaceAll('=', ''))
    .map((character) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(character).toString(2).padStart(5, '0'))
    .join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}
