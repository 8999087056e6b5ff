// Managed fields: no spelling of a name that only the gateway may set gets past it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkFieldName, compileManagedFields, signedFields } from '../../src/policy/managed-fields.ts';
import type { ForwardRules } from '../../src/policy/policy.ts';

const FORWARD: ForwardRules = {
  host: 'preserve',
  authorization: 'remove',
  exchange: undefined,
  identity: [],
  encoding: 'strict',
  remove: [],
  clientCertificate: [],
  assertion: undefined,
};

const managed = compileManagedFields(
  [
    { forward: { ...FORWARD, identity: [{ field: 'X-Auth-Subject', source: { claims: ['sub'] } }] } },
    { forward: { ...FORWARD, remove: ['x-internal'], clientCertificate: [{ format: 'rfc9440', field: 'My-Cert' }] } },
  ],
  [{ clientCertificateFrom: { format: 'pem-escaped', field: 'front-cert' } }, { clientCertificateFrom: undefined }],
);

function standings(names: readonly string[]): readonly string[] {
  return names.map((name) => `${name} ${checkFieldName(managed, name)}`);
}

const each = (standing: string, ...names: readonly string[]) =>
  assert.deepEqual(
    standings(names),
    names.map((name) => `${name} ${standing}`),
  );

describe('managed fields', () => {
  test('the fields that every gateway manages are removed in any case', () => {
    each(
      'managed',
      'Forwarded',
      'X-Real-IP',
      'DPoP',
      'dpop',
      'X-Original-URL',
      'X-Rewrite-URL',
      'X-HTTP-METHOD-OVERRIDE',
    );
    each('managed', 'X-HTTP-Method', 'X-Method-Override');
  });

  test('Proxy is removed: CGI makes HTTP_PROXY of it, which clients of the upstream obey', () => {
    each('managed', 'Proxy', 'PROXY');
    each('free', 'Proxy-Connection');
  });

  test('what frames the message is free under its own name, and its imitations are forbidden', () => {
    each('free', 'Content-Length', 'transfer-encoding');
    each('forbidden', 'Content_Length', 'content.length', 'Transfer_Encoding', 'TransferEncoding');
  });

  test('X-Forwarded- is managed whatever follows, known or not', () => {
    each(
      'managed',
      'X-Forwarded-For',
      'x-forwarded-proto',
      'X-Forwarded-Anything-At-All',
      'X-Forwarded-',
      'X-Forwarded',
    );
    each('managed', 'X-Forwarded-Client-Cert', 'X-Forwarded-Tls-Client-Cert');
  });

  test('certificate fields of every format that some product uses are managed, configured here or not', () => {
    each(
      'managed',
      'Client-Cert',
      'client-cert-chain',
      'ssl-client-cert',
      'X-SSL-Client-Cert',
      'X-Amzn-Mtls-Clientcert',
    );
  });

  test('fields by which other products name caller, address or request are managed, families of them as prefixes', () => {
    each('managed', 'X-Client-IP', 'True-Client-IP', 'CF-Connecting-IP', 'Fastly-Client-IP', 'X-Azure-ClientIP');
    each(
      'managed',
      'X-Original-URI',
      'X-Original-Method',
      'X-Original-Host',
      'X-Host',
      'X-Envoy-Original-Path',
      'X-Scheme',
    );
    each(
      'managed',
      'Remote-User',
      'X-Remote-User',
      'X-WebAuth-User',
      'X-Auth-Request-Email',
      'X-Consumer-Username',
      'SM_USER',
    );
    each(
      'managed',
      'X-Amzn-Oidc-Identity',
      'X-Amzn-Oidc-Anything',
      'X-MS-CLIENT-PRINCIPAL',
      'X-MS-Client-Principal-Id',
    );
    each(
      'managed',
      'X-Goog-Iap-Jwt-Assertion',
      'Cf-Access-Jwt-Assertion',
      'Tailscale-User-Login',
      'X-Remote-Extra-Scopes',
    );
    each(
      'forbidden',
      'X_Client_IP',
      'REMOTE_USER',
      'X_Amzn_Oidc_Data',
      'XMsClientPrincipal',
      'SM-User',
      'OIDC_CLAIM_sub',
    );
    each('free', 'X-Amzn-Trace-Id', 'X-Request-Host', 'X-Host-Id', 'X-Goog-Api-Key', 'Remote-Users', 'X-MS-Request-Id');
    each(
      'free',
      'X-Consumer-App',
      'X-WebAuthn-Challenge',
      'X-Voucher-Code',
      'X-Hostname',
      'Shibuya',
      'X-Remote-Control',
      'CF-Ray',
      'X-Client-Version',
      'X-Auth-Token',
    );
  });

  test('what one route or listener configures is managed for all', () => {
    each('managed', 'X-Auth-Subject', 'x-auth-subject', 'X-Internal', 'my-cert', 'Front-Cert');
  });

  test('the same letters and digits with other separators are forbidden: CGI and its heirs would read them as the managed name', () => {
    each(
      'forbidden',
      'Client_Cert',
      'CLIENT_CERT',
      'ClientCert',
      'Client.Cert',
      'Client--Cert',
      '_Client-Cert',
      'Client-Cert_',
    );
    each('forbidden', 'X_Forwarded_For', 'X-Forwarded_For', 'XForwardedFor', 'x_forwarded-proto', 'X_FORWARDED');
    each(
      'forbidden',
      'X_Auth_Subject',
      'XAuth-Subject',
      'x~auth!subject',
      'D-PoP',
      'X_Real_IP',
      'X_HTTP_Method_Override',
    );
    each('forbidden', 'Front_Cert', 'X_Internal');
  });

  test('other fields are free, also those that only begin or end like a managed one', () => {
    each(
      'free',
      'Host',
      'Authorization',
      'Cookie',
      'Accept',
      'X-Request-Id',
      'Traceparent',
      'X-Real-IPs',
      'My-X-Forwarded-For',
    );
    each('free', 'X-Auth-Subjects', 'DPoP-Nonce', 'Client-Certs', '', '-', '__proto__', 'constructor');
  });

  test('what signatures have to cover is known by what imitations have in common with it', () => {
    const signed = signedFields({ components: ['idempotency-key', 'content-digest'] });
    assert.deepEqual(
      [...signed],
      [
        ['contentdigest', ['content-digest']],
        ['signature', ['signature']],
        ['signatureinput', ['signature-input']],
        ['idempotencykey', ['idempotency-key']],
      ],
    );
  });

  test('an answer does not change when it is asked for again, nor after a flood of other names', () => {
    const flooded = compileManagedFields([], []);
    for (let index = 0; index < 2000; index++) assert.equal(checkFieldName(flooded, `X-Junk-${index}`), 'free');
    for (const round of ['first', 'again']) {
      assert.equal(checkFieldName(flooded, 'Client_Cert'), 'forbidden', round);
      assert.equal(checkFieldName(flooded, 'Client-Cert'), 'managed', round);
      assert.equal(checkFieldName(flooded, 'X-Junk-1999'), 'free', round);
    }
    assert.ok(flooded.standings.size <= 500);
    assert.ok(checkFieldName(managed, 'x'.repeat(30_000)) === 'free');
    assert.ok([...managed.standings.keys()].every((name) => name.length <= 64));
  });
});
