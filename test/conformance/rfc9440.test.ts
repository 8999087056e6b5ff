// RFC 9440 from the client's handshake to the upstream's fields, on real connections.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requestFields } from '../../src/edge/fields/request-fields.ts';
import { CLIENT, issue, OTHER_CLIENT, TO_CERTIFICATE } from '../gateway/credentials.ts';
import { type Fields, startTestGateway } from '../support/gateway.ts';
import { makePermit, makeRules } from '../support/forwarding.ts';
import { policyOf } from '../support/policies.ts';

const VERIFYING = 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }';
const ROUTES = `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;
const FORWARDING = 'defaults: { forward: { client_certificate: [{ format: rfc9440, field: Client-Cert }] } }\n';
const ALL = { listener: VERIFYING, routes: ROUTES, more: FORWARDING };

/** The bytes of a list of byte sequences (RFC 9651 §3.1, §3.3.5), of which each must be canonical base64. */
function readBytes(value: string): Buffer[] {
  return value.split(', ').map((item) => {
    const [, text = ''] = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(item) ?? assert.fail(item);
    const bytes = Buffer.from(text, 'base64');
    assert.equal(bytes.toString('base64'), text);
    return bytes;
  });
}

const certificateFields = (fields: Fields) => [fields.all('client-cert'), fields.all('client-cert-chain')];
const forged = [
  ['Client-Cert', `:${OTHER_CLIENT.der.toString('base64')}:`],
  ['client-cert', ':AAAA:'],
  ['CLIENT-CERT-CHAIN', ':AAAA:'],
] as const;

describe('a connection with a certificate', () => {
  test('puts the certificate of the handshake, once, in the place of whatever the client wrote', async (t) => {
    const gateway = await startTestGateway(t, ALL);
    const token = await issue(gateway, TO_CERTIFICATE);
    await gateway.request('GET', '/any/1', { token, client: CLIENT, fields: forged });
    await gateway.request('GET', '/open/1', { client: CLIENT, fields: forged });
    assert.equal(gateway.upstream.seen.length, 2);
    for (const { fields } of gateway.upstream.seen) {
      assert.deepEqual(readBytes(fields.one('client-cert') ?? ''), [CLIENT.der]);
    }
  });

  test('says the same on every connection of one client', async (t) => {
    const gateway = await startTestGateway(t, ALL);
    for (let count = 0; count < 3; count++) await gateway.request('GET', '/open/1', { client: CLIENT });
    const said = gateway.upstream.seen.map(({ fields }) => certificateFields(fields));
    assert.deepEqual(said, [said[0], said[0], said[0]]);
  });
});

test('a connection without a certificate brings neither field, whatever the client wrote, on public routes too', async (t) => {
  const gateway = await startTestGateway(t, ALL);
  const token = await issue(gateway);
  await gateway.request('GET', '/any/1', { token, fields: forged });
  await gateway.request('GET', '/open/1', { fields: forged });
  assert.equal(gateway.upstream.seen.length, 2);
  for (const seen of gateway.upstream.seen) assert.deepEqual(certificateFields(seen.fields), [[], []]);
});

test('where it is not configured, neither field is written, and both are removed all the same', async (t) => {
  assert.deepEqual(policyOf({}).routes[0]?.forward.clientCertificate, []);
  const gateway = await startTestGateway(t, { listener: VERIFYING, routes: ROUTES });
  await gateway.request('GET', '/open/1', { client: CLIENT, fields: forged });
  assert.deepEqual(
    gateway.upstream.seen.map(({ fields }) => certificateFields(fields)),
    [[[], []]],
  );
});

test('a chain never goes without Client-Cert: a field of another name carries the certificate alone', () => {
  const der = Buffer.from('leaf');
  const facts = { der, thumbprint: 't', chain: [der], subject: '', issuer: '', uris: [], dnsNames: [] };
  const certificate = {
    facts: { ...facts, notBefore: 0, notAfter: 1 },
    verify: 'chain',
    trusted: true,
  } as const;
  const names = (field: string) => {
    const rules = makeRules({ forward: { clientCertificate: [{ format: 'rfc9440', field }] } });
    const received = {
      transaction: { rawHeaders: [], httpVersion: '1.1' },
      facts: {
        method: 'GET',
        origin: { scheme: 'https', authority: 'api.example.com', pathPrefix: '' },
        path: '/',
        matchPath: '/',
        now: 0,
        peer: { address: undefined, trusted: false },
      },
      upstreamToken: undefined,
      correlation: { requestField: undefined, interaction: undefined },
    } as const;
    return requestFields(received, rules, makePermit({ certificate }).facts).filter((name) => /cert/i.test(name));
  };
  assert.deepEqual(names('Client-Cert'), ['Client-Cert', 'Client-Cert-Chain']);
  assert.deepEqual(names('X-Certificate'), ['X-Certificate']);
});

test('an answer has neither field, and one that varies by them is for no other client', async (t) => {
  const gateway = await startTestGateway(t, ALL);
  gateway.upstream.answer = (_request, response) =>
    response.writeHead(200, ['Client-Cert', ':AAAA:', 'client-cert-chain', ':AAAA:', 'Vary', 'Client-Cert']).end();
  const { fields } = await gateway.request('GET', '/open/1', { client: CLIENT });
  assert.deepEqual(certificateFields(fields), [[], []]);
  assert.deepEqual(fields.all('vary'), ['*']);
});
