// The verifiers of docs/assertion.md in Node, Python and Go.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { dpop, SUBJECT } from '../gateway/credentials.ts';
import { portOf, startTestGateway } from '../support/gateway.ts';
import { findGo, findPython, type Found } from './programs.ts';

const FOLDER = join(import.meta.dirname, '../../docs/verify-assertion');
const VERIFIERS: Readonly<Record<string, Found>> = {
  'verify.mjs': { file: process.execPath, args: [join(FOLDER, 'verify.mjs')] },
  'verify.py': findPython(['pyjwt==2.10.1', 'cryptography==45.0.7'], join(FOLDER, 'verify.py')),
  'verify.go': findGo('go-verify-assertion', FOLDER),
};

const FIRST = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const POLICY = {
  routes: '- { name: orders, match: { path: /orders/* }, upstream: orders, require: dpop }',
  more: `drain: { delay: 0s, grace: 5s }
defaults: { forward: { assertion: { field: X-Assertion, key_files: [first.pem], issuer: "https://gateway.internal" } } }`,
  files: { 'first.pem': FIRST.export({ type: 'pkcs8', format: 'pem' }) },
};

/** Standard output where the program ends with 0; undefined: it refused. */
async function run({ file, args }: Exclude<Found, { skip: string }>, env: object, ...more: string[]) {
  const child = spawn(file, [...args, ...more], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let [text, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  const status = await new Promise((resolve) => child.once('close', resolve));
  return status === 0 ? { claims: JSON.parse(text) as Record<string, unknown> } : { refused: said };
}

for (const [name, found] of Object.entries(VERIFIERS)) {
  describe(`docs/verify-assertion/${name}`, { skip: 'skip' in found ? found.skip : false }, () => {
    test('takes an assertion for its request, and refuses it for another one, another audience and other keys', async (t) => {
      if ('skip' in found) return;
      const gateway = await startTestGateway(t, POLICY);
      await dpop(gateway, 'GET', '/orders/1');
      const assertion = gateway.upstream.seen[0]?.fields.one('X-Assertion') ?? '';
      const env = {
        ASSERTION_KEYS: `http://127.0.0.1:${portOf(gateway.running.telemetry)}/assertion-keys`,
        ASSERTION_ISSUER: 'https://gateway.internal',
        ASSERTION_AUDIENCE: 'orders',
      };
      const url = 'https://api.example.com/orders/1';
      assert.equal((await run(found, env, assertion, 'GET', url)).claims?.['sub'], SUBJECT);
      assert.ok((await run(found, env, assertion, 'POST', url)).refused);
      assert.ok((await run(found, env, assertion, 'GET', `${url}0`)).refused);
      assert.ok((await run(found, { ...env, ASSERTION_AUDIENCE: 'invoices' }, assertion, 'GET', url)).refused);
      assert.ok((await run(found, env, `${assertion.slice(0, -6)}AAAAAA`, 'GET', url)).refused);
    });
  });
}
