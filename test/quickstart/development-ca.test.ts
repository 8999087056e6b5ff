// The development certificates: chained, private, renewed only when needed.

import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { keepDevelopmentCertificates, makeDevelopmentCertificates } from '../../quickstart/development-ca.ts';

const DAY = 86_400;

suite('the development certificates', () => {
  const now = Date.now() / 1000;
  let parent: string;
  let folder: string;

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'holdfast-'));
    folder = join(parent, 'certificates');
  });

  after(() => rm(parent, { recursive: true }));

  test('are issued by their CA, fit their keys, and cannot issue others', async () => {
    const made = await makeDevelopmentCertificates(now);
    const ca = new X509Certificate(made.ca);
    assert.equal(ca.ca, true);
    for (const holder of ['server', 'alice', 'mallory'] as const) {
      const cert = new X509Certificate(made[holder].cert);
      assert.ok(cert.checkIssued(ca) && cert.verify(ca.publicKey));
      assert.ok(cert.checkPrivateKey(createPrivateKey(made[holder].key)));
      assert.equal(cert.ca, false);
    }
  });

  test('name the server by localhost and both loopback addresses', async () => {
    const cert = new X509Certificate((await makeDevelopmentCertificates(now)).server.cert);
    assert.ok(cert.checkHost('localhost'));
    assert.ok(cert.checkIP('127.0.0.1'));
    assert.ok(cert.checkIP('::1'));
    assert.equal(cert.checkHost('example.com'), undefined);
  });

  test('are for their owner alone, and the private key of the CA is nowhere', async () => {
    await keepDevelopmentCertificates(folder, now);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    const names = (await readdir(folder)).toSorted();
    assert.deepEqual(names, [
      'alice.key',
      'alice.pem',
      'ca.pem',
      'mallory.key',
      'mallory.pem',
      'server.key',
      'server.pem',
    ]);
    for (const name of names) assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600);
  });

  test('are kept while they are good for another day, then made anew together', async () => {
    const first = await keepDevelopmentCertificates(folder, now);
    assert.deepEqual(await keepDevelopmentCertificates(folder, now + 88 * DAY), first);
    const second = await keepDevelopmentCertificates(folder, now + 89.5 * DAY);
    assert.notEqual(second.ca, first.ca);
    assert.equal(await readFile(join(folder, 'ca.pem'), 'utf8'), second.ca);
    assert.deepEqual(await keepDevelopmentCertificates(folder, now + 90 * DAY), second);
  });

  test('are made anew when a file is missing, broken or from another CA', async () => {
    const foreign = await makeDevelopmentCertificates(now);
    const damages = [
      () => rm(join(folder, 'mallory.key')),
      () => writeFile(join(folder, 'alice.pem'), 'not a certificate'),
      () => writeFile(join(folder, 'ca.pem'), foreign.ca),
      () => writeFile(join(folder, 'server.key'), foreign.server.key),
    ];
    for (const damage of damages) {
      const before = await keepDevelopmentCertificates(folder, now);
      await damage();
      const made = await keepDevelopmentCertificates(folder, now);
      assert.notEqual(made.ca, before.ca);
      assert.deepEqual(await keepDevelopmentCertificates(folder, now), made);
    }
  });
});
