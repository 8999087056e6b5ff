// The Secret of nonces, against an API server that answers what Helm asks.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { serve } from '../support/issuer-server.ts';
import { readObjects } from './golden.ts';
import { helmAt, skip } from './helm.ts';

const NAME = 'gw-holdfast-nonce';
const SECRETS = { name: 'secrets', singularName: '', namespaced: true, kind: 'Secret', verbs: ['get', 'list'] };

/** An API server with these Secrets in the namespace `edge`. */
async function startApi(t: TestContext, secrets: Readonly<Record<string, object>>) {
  const api = await serve(t);
  const pages: Record<string, object> = {
    '/version': { major: '1', minor: '34', gitVersion: 'v1.34.0' },
    '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [SECRETS] },
  };
  for (const [name, data] of Object.entries(secrets)) {
    const metadata = { name, namespace: 'edge' };
    pages[`/api/v1/namespaces/edge/secrets/${name}`] = { apiVersion: 'v1', kind: 'Secret', metadata, data };
  }
  const absent = { apiVersion: 'v1', kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 };
  api.answer = ({ url = '' }, response) => {
    const page = pages[url.split('?', 1)[0] ?? ''];
    response.writeHead(page ? 200 : 404, { 'Content-Type': 'application/json' }).end(JSON.stringify(page ?? absent));
  };
  return api;
}

describe('the Secret of nonces in a cluster', { skip }, () => {
  const dataFrom = async (t: TestContext, secrets: Readonly<Record<string, object>>) => {
    const api = await startApi(t, secrets);
    const { status, stdout, stderr } = await helmAt(api.origin, 'nonce-generated');
    assert.equal(status, 0, stderr);
    assert.ok(
      api.seen.some((path) => path.includes(NAME)),
      'it was not looked up',
    );
    return readObjects(stdout).find(({ kind }) => kind === 'Secret')?.['data'];
  };

  test('is kept by an upgrade, with keys that were added since', async (t) => {
    const kept = { current: 'b2xk', next: 'bmV3' };
    assert.deepEqual(await dataFrom(t, { [NAME]: kept }), kept);
  });

  test('is made where there is none', async (t) => {
    assert.deepEqual(Object.keys(await dataFrom(t, {})), ['current']);
  });
});
