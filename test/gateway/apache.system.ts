// Behind a real Apache httpd that terminates TLS, set up as docs/balancers.md has it.

import assert from 'node:assert/strict';
import { before, describe, test, type TestContext } from 'node:test';
import { startApache } from '../support/balancers.ts';
import type { TestGateway } from '../support/gateway.ts';
import { findProgram, INSTALLING } from '../support/programs.ts';
import { assertAddress, assertCertificates, assertProofs, seenBy } from './balanced.ts';
import { BALANCER, CLIENT_ADDRESS, FILES, fitSnippet, startBehind, through } from './behind.ts';
import { CLIENT, dpop, issue, TO_CERTIFICATE } from './credentials.ts';

/** Apache writes the same field in the same format as nginx. */
const LISTENER = 'terminating-nginx';

async function balance(t: TestContext, gateway: TestGateway, change = (text: string) => text) {
  const { port, text } = await fitSnippet('apache', 'terminating', gateway);
  await startApache(t, change(text), FILES);
  return through(gateway, port);
}

describe('Apache httpd', () => {
  before(() => findProgram('apache2'), INSTALLING);

  test('terminates TLS, and says who called and with which certificate', async (t) => {
    const gateway = await startBehind(t, LISTENER);
    const client = await balance(t, gateway);
    await assertAddress(client, `${CLIENT_ADDRESS}, ${BALANCER}`);
    await assertProofs(client);
    await assertCertificates(client);
    for (const path of ['/dpop/a%2Cb', '/dpop/caf%C3%A9', '/dpop/a%20b?q=%7B1%7D']) {
      assert.equal((await dpop(client, 'GET', path)).status, 200, path);
      assert.equal(gateway.upstream.seen.at(-1)?.target, path, 'the path goes on as it came');
    }
  });

  test('with its other way to name the certificate writes blanks for line breaks, which are refused where they matter', async (t) => {
    const gateway = await startBehind(t, LISTENER);
    const client = await balance(t, gateway, (text) =>
      text.replace('"expr=%{escape:%{SSL_CLIENT_CERT}}"', '"%{SSL_CLIENT_CERT}s"'),
    );
    const token = await issue(gateway, TO_CERTIFICATE);
    const refused = await client.request('GET', '/mtls/1', { token, client: CLIENT });
    assert.equal(refused.reason, 'certificate_field_malformed');
    assert.equal((await client.request('GET', '/open/1', { client: CLIENT })).status, 200);
    assert.equal(seenBy(gateway).one('ssl-client-cert'), undefined);
  });
});
