// The chain for Client-Cert-Chain: verified at every step, the same for every connection.

import 'reflect-metadata';
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import * as x509 from '@peculiar/x509';
import { buildChain, readAuthorities } from '../../src/certificate/chain.ts';
import { makeCa, makeCertificate, type TestCa, type TestCertificate } from '../support/pki.ts';
import rfc9440 from '../vectors/rfc9440.json' with { type: 'json' };

const root = await makeCa({ subject: 'CN=Root' });
const upper = await makeCa({ subject: 'CN=Upper', ca: root });
const lower = await makeCa({ subject: 'CN=Lower', ca: upper });
const leaf = await makeCertificate({ subject: 'CN=client', ca: lower });
/** Another key under the name of the root. */
const stranger = await makeCa({ subject: 'CN=Root' });

const ders = (...certificates: TestCertificate[]) => certificates.map(({ der }) => der);
const chain = (offered: readonly Uint8Array[], ca: readonly Uint8Array[]) =>
  buildChain(leaf.der, offered, ca).map((der) => Buffer.from(der));

describe('a chain', () => {
  test('has the nearest issuer first, the trust anchor last, and no leaf (RFC 9440 §2.3)', () => {
    assert.deepEqual(chain(ders(lower, upper), ders(root)), ders(lower, upper, root));
  });

  test('is that of RFC 9440 appendix A', () => {
    const [issuer, anchor] = rfc9440.chain_der_base64.map((base64) => Buffer.from(base64, 'base64'));
    assert.ok(issuer && anchor);
    const built = buildChain(Buffer.from(rfc9440.leaf_der_base64, 'base64'), [issuer], [anchor]);
    assert.deepEqual(built, [issuer, anchor]);
  });

  test('does not depend on the order, the repetition or the surplus of what the client offered', () => {
    const expected = ders(lower, upper, root);
    assert.deepEqual(chain(ders(leaf, stranger, upper, lower, lower, root), ders(root)), expected);
  });

  test('needs nothing from the client where the authorities are complete, as after a resumption', () => {
    assert.deepEqual(chain([], ders(root, upper, lower)), ders(lower, upper, root));
  });

  test('is built from certificates that are parsed already', () => {
    const authorities = readAuthorities(`${root.cert}\n${upper.cert}`);
    assert.ok(authorities);
    assert.deepEqual(buildChain(new X509Certificate(leaf.der), ders(lower), authorities), ders(lower, upper, root));
  });

  test('prefers an authority to an offered certificate, and the one that lasts longer', async () => {
    const renewed = await issue(upper, upper, root);
    const throughOld = ders(lower, upper, root);
    const throughRenewed = [lower.der, renewed, root.der];
    assert.deepEqual(chain([lower.der, renewed], ders(upper, root)), throughOld);
    assert.deepEqual(chain(ders(lower), [upper.der, renewed, root.der]), throughRenewed);
    assert.deepEqual(chain(ders(lower), [renewed, upper.der, root.der]), throughRenewed);
  });
});

test('a certificate under the name and key identifier of its issuer is not taken for a self-signed one', async () => {
  const successor = await issue(root, stranger, root);
  const parsed = new X509Certificate(successor);
  assert.ok(parsed.checkIssued(parsed) && !parsed.verify(parsed.publicKey));
  assert.deepEqual(buildChain(successor, [], ders(root)), ders(root));
});

describe('no chain', () => {
  test('without an authority at its end', () => {
    assert.deepEqual(chain(ders(lower, upper, root), []), []);
    assert.deepEqual(chain(ders(lower, upper, root), ders(stranger)), []);
    assert.deepEqual(chain(ders(lower), ders(root)), []);
  });

  test('from names alone: another key under the name and key identifier of the root signed nothing', async () => {
    const forged = await issue(root, stranger, stranger);
    assert.ok(new X509Certificate(upper.der).checkIssued(new X509Certificate(forged)));
    assert.deepEqual(chain(ders(lower, upper), [forged]), []);
    assert.deepEqual(chain(ders(lower, upper), [forged, root.der]), ders(lower, upper, root));
  });

  test('through a certificate that is no CA, be it an authority itself', async () => {
    const alone = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=Root',
      keys: stranger.signer,
      signingAlgorithm: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
    });
    const authority = Buffer.from(alone.rawData);
    const { der } = await makeCertificate({ subject: 'CN=client', ca: stranger });
    assert.ok(new X509Certificate(der).verify(new X509Certificate(authority).publicKey));
    assert.ok(new X509Certificate(der).checkIssued(new X509Certificate(authority)));
    assert.deepEqual(buildChain(der, [], [authority]), []);
  });

  test('for a self-signed leaf, trusted or not: the leaf is never repeated', async () => {
    const alone = await makeCertificate({ subject: 'CN=alone' });
    assert.deepEqual(buildChain(alone.der, [], ders(root)), []);
    assert.deepEqual(buildChain(alone.der, ders(alone), ders(alone)), []);
  });

  test('of more than ten certificates', async () => {
    const cas = [root];
    for (let depth = 1; depth <= 10; depth++)
      cas.push(await makeCa({ subject: `CN=CA ${depth}`, ca: cas[depth - 1]! }));
    const build = async (ca: TestCa) => buildChain((await makeCertificate({ ca })).der, [], ders(...cas)).length;
    assert.equal(await build(cas[9]!), 10);
    assert.equal(await build(cas[10]!), 0);
  });

  test('from certificates beyond the tenth that the client offered', () => {
    const padding = Array.from({ length: 9 }, () => stranger);
    assert.deepEqual(chain(ders(...padding, lower), ders(upper, root)), ders(lower, upper, root));
    assert.deepEqual(chain(ders(...padding, stranger, lower), ders(upper, root)), []);
  });

  test('and no exception from bytes that are no certificates', () => {
    assert.deepEqual(chain([Buffer.from('junk')], ders(root)), []);
    assert.deepEqual(buildChain(Buffer.alloc(0), [], []), []);
  });
});

describe('authorities', () => {
  test('are read from PEM with text around it', () => {
    assert.deepEqual(
      readAuthorities(`# root\n${root.cert}\n\nupper:\n${upper.cert}`)?.map(({ raw }) => raw),
      ders(root, upper),
    );
  });

  test('are nothing where there is none, or one that does not parse', () => {
    assert.equal(readAuthorities(''), undefined);
    assert.equal(readAuthorities(root.key), undefined);
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
    assert.equal(readAuthorities(`${root.cert}\n${broken}`), undefined);
  });
});

/** Name and extensions of `model` and the key of `holder`, signed by `issuer`, for a year longer. */
async function issue(model: TestCa, holder: TestCa, issuer: TestCa): Promise<Buffer> {
  const { subject, issuer: issuerName, notBefore, notAfter, extensions } = new x509.X509Certificate(model.der);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '02',
    subject,
    issuer: issuerName,
    notBefore,
    notAfter: new Date(notAfter.getTime() + 365 * 86_400_000),
    publicKey: holder.signer.publicKey,
    signingKey: issuer.signer.privateKey,
    signingAlgorithm: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
    extensions,
  });
  return Buffer.from(certificate.rawData);
}
