// Fuzzed answers, frames and certificates: every request ends, and workers live on.

import assert from 'node:assert/strict';
import { createSecureContext } from 'node:tls';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { FLAG, FRAME, frame, PREFACE, settings } from '../support/frames.ts';
import { HOST } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { ANSWERS, answered, CLIENT_FRAMES, play, type Rig, scripts, SERVER_FRAMES, startRig } from './wire.ts';

/** Rounds of sixteen peers at once: few in `npm run test:system`, many in `npm run test:nightly`.. */
const NIGHTLY = process.env['TRIALS'] !== undefined;
const ROUNDS = NIGHTLY ? 400 : 6;
const AT_ONCE = 16;
/** Other peers each night; the same ones in `npm run test:system`, so that what they find can be played again. */
const SEED = NIGHTLY ? Date.now() : 9449;
const HELLO = Buffer.concat([PREFACE, settings(), frame(FRAME.settings, FLAG.ack, 0)]);

const many = <Value>(one: fc.Arbitrary<Value>) => fc.array(one, { minLength: AT_ONCE, maxLength: AT_ONCE });

/** Plays rounds against one gateway, which must then serve as before, with the workers it began with. */
async function survive<Value>(
  t: TestContext,
  values: fc.Arbitrary<Value>,
  round: (rig: Rig, all: Value[]) => Promise<unknown>,
): Promise<void> {
  // Said before: an assertion within Node ends the process, and whatever was kept for later.
  process.stderr.write(`# ${t.name}: seed ${SEED}\n`);
  const rig = await startRig(t);
  const restarts = () => rig.gateway.count('holdfast_worker_restarts_total');
  const property = fc.asyncProperty(many(values), async (all) => {
    await round(rig, all);
    assert.equal(await restarts(), 0, 'a worker was restarted');
  });
  await fc.assert(property, { numRuns: ROUNDS, seed: SEED, endOnFailure: true });
  rig.heal();
  assert.match(await askWell(rig, '/open/good'), /^HTTP\/1\.1 200 OK[^]*ok$/);
  assert.match(await askWell(rig, '/two/good'), /^HTTP\/1\.1 200 OK/);
}

/** Until connections that the upstream has closed are heard of. */
async function askWell(rig: Rig, path: string): Promise<string> {
  for (let left = 50; ; left -= 1) {
    const text = await ask(rig, 'GET', path);
    if (text.startsWith('HTTP/1.1 200') || left === 0) return text;
  }
}

async function ask({ connect }: Rig, method: string, path: string, more = ''): Promise<string> {
  const socket = await connect({ ALPNProtocols: ['http/1.1'] });
  assert.ok(socket, 'the gateway does not shake hands');
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n${more}\r\n`);
  return answered(socket);
}

const WEBSOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const ASKED: readonly (readonly [method: string, more: string])[] = [
  ['GET', ''],
  ['HEAD', ''],
  ['POST', 'Content-Length: 0\r\n'],
  ['GET', WEBSOCKET],
];

test('answers of an upstream over HTTP/1.1', async (t) => {
  await survive(t, scripts(ANSWERS), async (rig, all) => {
    rig.over1 = [...all];
    await Promise.all(all.map((_, nth) => ask(rig, ASKED[nth % 4]?.[0] ?? '', `/open/${nth}`, ASKED[nth % 4]?.[1])));
  });
});

test('frames of an upstream over HTTP/2', async (t) => {
  await survive(t, scripts(SERVER_FRAMES), async (rig, all) => {
    rig.over2 = [...all];
    await Promise.all(all.map((_, nth) => ask(rig, nth % 2 === 0 ? 'GET' : 'DELETE', `/two/${nth}`)));
  });
});

test('frames of clients over HTTP/2', async (t) => {
  await survive(t, scripts(CLIENT_FRAMES), async ({ connect }, all) => {
    const one = async (script: (typeof all)[number]) => {
      const socket = await connect({ ALPNProtocols: ['h2'] });
      assert.ok(socket, 'the gateway does not shake hands');
      const ended = answered(socket);
      socket.write(HELLO);
      await play(socket, script);
      if (script.end === 'stay') socket.end();
      await ended;
    };
    await Promise.all(all.map(one));
  });
});

test('certificates of clients', async (t) => {
  const { der, key } = await makeCertificate({ names: ['client.example.com', '192.0.2.1', 'spiffe://example.com/a'] });
  const edits = fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 });
  let shown = 0;
  await survive(t, edits, async ({ connect }, all) => {
    const one = async (changes: (typeof all)[number]) => {
      const changed = Buffer.from(der);
      for (const [at, octet] of changes) changed[at] = octet;
      const cert = `-----BEGIN CERTIFICATE-----\n${changed.toString('base64')}\n-----END CERTIFICATE-----\n`;
      if (!isShowable(cert, key)) return;
      const socket = await connect({ cert, key, ALPNProtocols: ['http/1.1'] });
      socket?.write(`GET /open/1 HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
      if (socket !== undefined) shown += (await answered(socket)) === '' ? 0 : 1;
    };
    await Promise.all(all.map(one));
  });
  assert.ok(shown > 0, 'no changed certificate came through');
});

/** Whether OpenSSL takes it with this key on the client's side. */
function isShowable(cert: string, key: string): boolean {
  try {
    createSecureContext({ cert, key });
    return true;
  } catch {
    return false;
  }
}
