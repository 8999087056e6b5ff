// The image, built and run: as another user, without capabilities, read-only.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test, type TestContext } from 'node:test';
import { startAuthorizationServer } from '../../quickstart/authorization-server.ts';
import { type DevelopmentCertificates, keepDevelopmentCertificates } from '../../quickstart/development-ca.ts';
import { makeProof } from '../../quickstart/dpop-client.ts';
import { Parties, requestToken } from '../../quickstart/parties.ts';
import { makeSecrets } from '../../quickstart/secrets.ts';
import { addressesOf, CONFIG, environmentOf } from '../../quickstart/settings.ts';
import { ROOT } from '../../scripts/generate.ts';
import { canInstall, findProgram, freePort, INSTALLING } from '../support/programs.ts';
import { buildImage, type Container, podman, runOnce, startContainer } from './container.ts';

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const USER = 65_532;

/** A folder with the quickstart's configuration and certificates, readable for the user of the image, as fsGroup does it. */
async function makeFolder(t: TestContext): Promise<{ folder: string; certificates: DevelopmentCertificates }> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-image-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const certificates = await keepDevelopmentCertificates(join(folder, '.quickstart'), Date.now() / 1000);
  mkdirSync(join(folder, 'config'));
  copyFileSync(CONFIG, join(folder, 'config/quickstart.yaml'));
  for (const name of [
    '.',
    '.quickstart',
    ...readdirSync(join(folder, '.quickstart')).map((file) => join('.quickstart', file)),
  ]) {
    chownSync(join(folder, name), USER, USER);
  }
  return { folder, certificates };
}

/** Answers at once, but `/healthz?hold` when the test says so. */
async function startUpstream(t: TestContext) {
  const held = Promise.withResolvers<ServerResponse>();
  const server = createServer(({ url }, response) =>
    url?.endsWith('?hold') ? held.resolve(response) : response.end('here'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, held: held.promise };
}

/** The quickstart with its gateway in a container. */
async function startQuickstart(t: TestContext) {
  const { folder, certificates } = await makeFolder(t);
  const upstream = await startUpstream(t);
  const own = {
    gateway: await freePort(),
    admin: await freePort(),
    telemetry: await freePort(),
    page: await freePort(),
    browser: await freePort(),
    upstream: upstream.port,
  };
  const secrets = await makeSecrets();
  const audience = `https://localhost:${own.gateway}`;
  const server = await startAuthorizationServer({ port: 0, audience, certificates, secrets });
  t.after(server.close);
  const addresses = addressesOf({ ...own, issuer: Number(new URL(server.issuer).port) });
  const variables = Object.entries(environmentOf(addresses.ports)).flatMap(([name, value]) => [
    '--env',
    `${name}=${value}`,
  ]);
  const container = startContainer(
    t,
    `holdfast-test-${own.gateway}`,
    [...variables, '--volume', `${folder}:/etc/holdfast:ro`],
    ['serve', '--config', 'config/quickstart.yaml'],
  );
  await Promise.all([container.says('"serving"'), container.says('"keys loaded"')]);
  const parties = new Parties(certificates.ca, certificates);
  t.after(() => parties.close());
  const get = (path: string, fields: Record<string, string> = {}) =>
    parties.send('nobody', { method: 'GET', url: addresses.gateway + path, fields });
  return { folder, container, parties, addresses, secrets, upstream, get };
}

/** The status in /proc of process 1 of a container. */
const statusOf = (container: Container) => readFileSync(`/proc/${container.pid()}/status`, 'utf8');

describe('the image', { skip: canInstall ? false : 'containers are built and run as root on Debian' }, () => {
  before(async () => {
    await findProgram('buildah');
    await findProgram('podman');
    buildImage(version);
  }, INSTALLING);

  test('runs as a numeric user, says which version it is, and has no shell', () => {
    const [{ Config: config }] = JSON.parse(podman('image', 'inspect', 'localhost/holdfast:test'));
    assert.equal(config.User, `${USER}:${USER}`);
    assert.equal(config.Labels['org.opencontainers.image.version'], version);
    assert.equal(config.Labels['org.opencontainers.image.revision'], '0123abc');
    assert.equal(runOnce(['version']).stdout, `holdfast ${version}\n`);
    assert.equal(runOnce([], ['--entrypoint', '/bin/sh']).status, 127);
  });

  test('holds no package but those that are in the program, with a bill of materials and their licences', () => {
    const script = `const fs = require('node:fs');
      const components = JSON.parse(fs.readFileSync('/holdfast/sbom.cdx.json')).components.map(({ name }) => name);
      const licenses = fs.readFileSync('/holdfast/dist/licenses.txt', 'utf8');
      console.log(JSON.stringify({ components, licenses, files: fs.readdirSync('/holdfast'), packages: fs.readdirSync('/var/lib/dpkg/status.d'), bin: fs.readdirSync('/usr/local/bin') }));`;
    const { stdout } = runOnce(['--eval', script], ['--entrypoint', 'node']);
    const { licenses, ...lists } = JSON.parse(stdout) as { licenses: string } & Record<string, string[]>;
    const licensed = [...licenses.matchAll(/^(\S+) \d+\.\d+\.\d+\S* \(.*\)$/gm)].map(([, name]) => name!);
    assert.ok(licensed.includes('undici') && licensed.includes('ioredis') && !licensed.includes('typescript'));
    assert.deepEqual(
      licensed.filter((name) => !lists['components']!.includes(name)),
      [],
    );
    assert.deepEqual(lists['files'], ['LICENSE', 'dist', 'package.json', 'sbom.cdx.json']);
    assert.ok(lists['packages']!.includes('libc6'));
    assert.deepEqual(lists['bin'], ['node']);
  });

  test('a bad configuration ends the container with 78 and its problems', () => {
    const { status, stderr, stdout } = runOnce(['check', '--config', '/etc/holdfast/none.yaml']);
    assert.equal(status, 78);
    assert.match(stdout + stderr, /none\.yaml:1:1 cannot be read/);
  });

  test('serves the quickstart without a capability, as one process, and on a read-only root', async (t) => {
    const { container, parties, addresses, secrets, get } = await startQuickstart(t);
    assert.equal((await get('/healthz')).status, 200);
    assert.equal((await get('/orders/1')).status, 401);
    const accessToken = await requestToken(parties, addresses, secrets, 'dpop');
    // A proof dated before the start would be asked for a nonce; the clock of a proof has whole seconds.
    const proof = await makeProof(secrets.proofKey, {
      method: 'GET',
      url: `${addresses.gateway}/orders/1`,
      accessToken,
      clockOffset: 2,
    });
    const fields = { Authorization: `DPoP ${accessToken}`, DPoP: proof };
    assert.equal((await get('/orders/1', fields)).status, 200);
    const again = await get('/orders/1', fields);
    assert.deepEqual([again.status, JSON.parse(again.body).reason], [401, 'proof_replayed']);
    const own = await requestToken(parties, addresses, secrets, 'mtls');
    const bound = { method: 'GET', url: `${addresses.gateway}/partners/1`, fields: { Authorization: `Bearer ${own}` } };
    assert.equal((await parties.send('alice', bound)).status, 200);
    assert.equal((await parties.send('mallory', bound)).status, 401);
    const status = statusOf(container);
    assert.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m);
    assert.match(status, /^CapBnd:\t0+$/m);
    assert.match(status, /^CapEff:\t0+$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^NSpid:\t\d+\t1$/m);
    assert.equal(readFileSync(`/proc/${container.pid()}/task/${container.pid()}/children`, 'utf8'), '');
    assert.match(readFileSync(`/proc/${container.pid()}/mounts`, 'utf8'), /^\S+ \/ \S+ ro,/m);
    const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
    t.diagnostic(`resident memory after these requests: ${resident.toFixed(0)} MiB`);
    assert.equal((await parties.send('nobody', { method: 'GET', url: `${addresses.telemetry}/readyz` })).status, 200);
  });

  test('reads its configuration again on SIGHUP and when the mounted file is another one, and refuses a bad one', async (t) => {
    const { folder, container, get } = await startQuickstart(t);
    container.signal('HUP');
    await container.says('"policy adopted"');
    assert.equal((await get('/new')).status, 404);
    const file = join(folder, 'config/quickstart.yaml');
    const write = (text: string) => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    const good = readFileSync(file, 'utf8').replace('path: /healthz', 'path: /new');
    write(good);
    await container.says('"policy adopted"', 2);
    assert.equal((await get('/new')).status, 200);
    write(good.replace('version: 1', 'version: 2'));
    await container.says('"configuration refused: nothing was changed"');
    assert.equal((await get('/new')).status, 200);
  });

  test('SIGTERM reaches it as process 1: it finishes what is running and ends with 0', async (t) => {
    const { container, upstream, get } = await startQuickstart(t);
    const running = get('/healthz?hold');
    const held = await upstream.held;
    container.signal('TERM');
    await container.says('"draining"');
    held.end('late');
    const { status, body } = await running;
    assert.deepEqual([status, body], [200, 'late']);
    assert.equal(await container.ended, 0);
    assert.match(container.output(), /"stopped"/);
  });
});
