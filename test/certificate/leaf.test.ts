// Certificates as facts: complete DER, thumbprints as in RFC 8705, safe names.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readCertificate } from '../../src/certificate/leaf.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';
import rfc8705 from '../vectors/rfc8705.json' with { type: 'json' };
import rfc9440 from '../vectors/rfc9440.json' with { type: 'json' };

const ROOM = 'ROOM-FOR-SIXTEEN';
const plain = await makeCertificate({ names: ['a.example.com', 'spiffe://example.com/a', '10.0.0.1'] });
/** Its common name and DNS name can be overwritten byte by byte: the signature breaks, and nobody looks at it. */
const roomy = await makeCertificate({ names: [ROOM] });

function facts(der: Uint8Array) {
  const read = readCertificate(der);
  assert.ok(read);
  return read;
}

function overwritten(bytes: string): Buffer {
  const der = Buffer.from(roomy.der);
  for (let at = der.indexOf(ROOM); at >= 0; at = der.indexOf(ROOM))
    der.write(bytes.padEnd(ROOM.length, '_'), at, 'latin1');
  return der;
}

describe('what is no certificate', () => {
  test('nothing may follow the DER, not even a second certificate', () => {
    assert.equal(readCertificate(Buffer.concat([plain.der, Buffer.of(0)])), undefined);
    assert.equal(readCertificate(Buffer.concat([plain.der, roomy.der])), undefined);
  });

  test('nothing may precede the DER, and nothing may be missing', () => {
    assert.equal(readCertificate(Buffer.concat([Buffer.of(0), plain.der])), undefined);
    assert.equal(readCertificate(plain.der.subarray(0, -1)), undefined);
    assert.equal(readCertificate(new Uint8Array()), undefined);
  });

  test('PEM is no DER, although Node takes either', () => {
    assert.equal(readCertificate(Buffer.from(plain.cert)), undefined);
  });

  test('BER that is not DER is refused, because its thumbprint would have several spellings', () => {
    assert.equal(plain.der.readUInt16BE(0), 0x3082);
    const longLength = Buffer.concat([Buffer.of(0x30, 0x83, 0), plain.der.subarray(2)]);
    assert.equal(readCertificate(longLength), undefined);
  });

  for (const time of ['991399120000Z', 'ZZZZZZZZZZZZZ', '260230000000Z', '2611211200+01', '26112112:0:0Z']) {
    test(`a certificate whose dates are no dates is refused: ${time}`, () => {
      const notBefore = plain.der.indexOf(Buffer.of(0x17, 13));
      const notAfter = plain.der.indexOf(Buffer.of(0x17, 13), notBefore + 2);
      for (const at of [notBefore, notAfter]) {
        const der = Buffer.from(plain.der);
        der.write(time, at + 2);
        // Often enough to meet the leftover memory of which Node makes a date once in some hundred times.
        for (let again = 0; again < 200; again++) assert.equal(readCertificate(der), undefined);
      }
    });
  }

  test('no bytes whatever make the reader throw, and what it takes it gives back', () => {
    const mutated = fc
      .tuple(fc.nat(plain.der.length - 1), fc.integer({ min: 0, max: 255 }))
      .map(([at, byte]) => Buffer.from(plain.der).fill(byte, at, at + 1));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), mutated), (der) => {
        const read = readCertificate(der);
        if (read !== undefined) assert.deepEqual(read.der, Buffer.from(der));
      }),
    );
  });
});

describe('facts', () => {
  test('the thumbprint is base64url SHA-256 of the DER (RFC 8705 appendix A)', () => {
    const read = facts(Buffer.from(rfc8705.cert_der_base64, 'base64'));
    assert.equal(read.thumbprint, rfc8705['x5t#S256']);
    assert.equal(read.subject, 'CN=mtls');
    assert.equal(read.issuer, 'CN=mtls');
  });

  test('validity is in seconds, and distinguished names begin with the narrowest part (RFC 4514)', () => {
    const read = facts(Buffer.from(rfc9440.leaf_der_base64, 'base64'));
    assert.equal(read.notBefore, Date.UTC(2020, 0, 14, 22, 55, 33) / 1000);
    assert.equal(read.notAfter, Date.UTC(2021, 0, 23, 22, 55, 33) / 1000);
    assert.equal(read.subject, 'CN=BC');
    assert.equal(read.issuer, "CN=LA Intermediate CA,O=Let's Authenticate");
  });

  test('alternative names of type URI and DNS are listed, others are not', () => {
    const read = facts(plain.der);
    assert.deepEqual(read.dnsNames, ['a.example.com']);
    assert.deepEqual(read.uris, ['spiffe://example.com/a']);
  });

  test('a certificate without names has empty names', () => {
    const read = facts(Buffer.from(rfc8705.cert_der_base64, 'base64'));
    assert.deepEqual([read.dnsNames, read.uris, read.chain], [[], [], []]);
  });

  test('validity ends with that of the first in the chain to expire (RFC 5280 §6.1.3)', async () => {
    const ca = await makeCa({ notAfter: 1_900_000_000 });
    const { der } = await makeCertificate({ ca, notAfter: 1_950_000_000 });
    assert.equal(readCertificate(der)?.notAfter, 1_950_000_000);
    assert.equal(readCertificate(der, [ca.der])?.notAfter, 1_900_000_000);
    assert.equal(readCertificate(ca.der, [der])?.notAfter, 1_900_000_000);
    assert.equal(readCertificate(der, [Buffer.from('junk')]), undefined);
  });

  test('a certificate without a subject has an empty one, and parts of one name are joined by a plus sign', async () => {
    assert.equal(facts((await makeCertificate({ subject: '', names: ['a.example.com'] })).der).subject, '');
    assert.equal(facts((await makeCertificate({ subject: 'CN=a+OU=b, O=c' })).der).subject, 'O=c,CN=a+OU=b');
  });

  test('the chain is kept as it is given', () => {
    assert.deepEqual(readCertificate(plain.der, [roomy.der])?.chain, [roomy.der]);
  });
});

describe('names written by an attacker', () => {
  test('an alternative name cannot bring others with it: commas and quotes are part of the one name', async () => {
    const dns = 'a.example.com, DNS:bank.example.com';
    const uri = 'https://a.example.com/?a=1, DNS:bank.example.com, URI:"spiffe://bank/"\\';
    const { der } = await makeCertificate({ subject: 'CN=a', names: [dns, uri] });
    assert.deepEqual(facts(der).dnsNames, [dns]);
    assert.deepEqual(facts(der).uris, [uri]);
  });

  test('a URI cannot pass for a DNS name', async () => {
    const { der } = await makeCertificate({ subject: 'CN=a', names: ['urn:DNS:bank.example.com'] });
    assert.deepEqual(facts(der).dnsNames, []);
  });

  for (const bytes of ['a\0.example.com', 'a\nX-Admin: 1', 'a\r\nX: 1', 'a\x7f', 'a\xe9', 'a\xff\xfe']) {
    test(`an alternative name with other than printable ASCII is left out: ${JSON.stringify(bytes)}`, () => {
      assert.deepEqual(facts(overwritten(bytes)).dnsNames, []);
    });

    test(`a distinguished name stays on one line of printable ASCII: ${JSON.stringify(bytes)}`, () => {
      const { subject, issuer } = facts(overwritten(bytes));
      assert.match(subject, /^CN=a\\[0-9A-F]{2}[\x20-\x7e]*$/);
      assert.equal(issuer, subject);
    });
  }

  test('a common name cannot pass for several parts', () => {
    assert.equal(facts(overwritten('a,O=Bank+OU=\\;')).subject, 'CN=a\\,O=Bank\\+OU=\\\\\\;__');
    assert.equal(facts(overwritten('a + OU=b')).subject, 'CN=a \\+ OU=b________');
  });

  test('characters beyond ASCII are escaped byte by byte, so that text cannot be turned around', async () => {
    const { der } = await makeCertificate({ subject: 'CN=J\u00fcrgen \u202e\u{1f511}' });
    assert.equal(facts(der).subject, 'CN=J\\C3\\BCrgen \\E2\\80\\AE\\F0\\9F\\94\\91');
  });

  test('subject and issuer are not confused', async () => {
    const ca = await makeCa({ subject: 'CN=CA, O=Example' });
    const { der } = await makeCertificate({ subject: 'CN=leaf', ca });
    assert.equal(facts(der).subject, 'CN=leaf');
    assert.equal(facts(der).issuer, 'O=Example,CN=CA');
  });
});
