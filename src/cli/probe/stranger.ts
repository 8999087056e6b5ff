// The certificate of a stranger: self-signed, with the subject of another one.

import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { formatPem } from '../../certificate/encoding.ts';
import type { ShownCertificate } from './wire.ts';

/** DER: one element of a tag (X.690 §8.1). */
function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 128) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = Buffer.from(length.toString(16).padStart(length > 255 ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | size.length]), size, content]);
}

const sequence = (...contents: readonly Uint8Array[]) => element(0x30, ...contents);

/** ecdsa-with-SHA256, 1.2.840.10045.4.3.2. */
const ECDSA_SHA256 = sequence(element(0x06, Buffer.from([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])));

/** Seconds around now for which it is valid. */
const VALIDITY = 3600;

/** CN=probe. */
const NAME = sequence(
  element(0x31, sequence(element(0x06, Buffer.from([0x55, 0x04, 0x03])), element(0x0c, Buffer.from('probe')))),
);

/** A certificate of the stranger's own key, valid now, with the subject of this one as subject and issuer: all that can be imitated. */
export function imitateCertificate(pem?: string): ShownCertificate {
  const subject = pem === undefined ? NAME : subjectOf(new X509Certificate(pem).raw);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const now = Date.now();
  const body = sequence(
    element(0xa0, element(0x02, Buffer.from([2]))),
    element(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ECDSA_SHA256,
    subject,
    sequence(time(now - VALIDITY * 1000), time(now + VALIDITY * 1000)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = element(0x03, Buffer.from([0]), sign('sha256', body, privateKey));
  return {
    cert: formatPem([sequence(body, ECDSA_SHA256, signature)]),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

/** UTCTime (RFC 5280 §4.1.2.5.1). */
const time = (at: number) =>
  element(
    0x17,
    Buffer.from(
      `${new Date(at)
        .toISOString()
        .slice(2)
        .replace(/[-:T]|\..*/g, '')}Z`,
    ),
  );

/** The subject as it stands there: behind version (absent in v1), serial, algorithm, issuer and validity (RFC 5280 §4.1). */
function subjectOf(der: Buffer): Buffer {
  let at = contentAt(der, contentAt(der, 0));
  for (let left = der[at] === 0xa0 ? 5 : 4; left > 0; left--) at = endOf(der, at);
  return der.subarray(at, endOf(der, at));
}

function contentAt(der: Buffer, at: number): number {
  const length = der[at + 1] ?? 0;
  return at + 2 + (length < 128 ? 0 : length & 0x7f);
}

function endOf(der: Buffer, at: number): number {
  const [length, start] = [der[at + 1] ?? 0, contentAt(der, at)];
  return start + (length < 128 ? length : der.readUIntBE(at + 2, length & 0x7f));
}
