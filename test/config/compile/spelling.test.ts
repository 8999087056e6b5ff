// Warnings: weak routes near strict ones, ends of certificates, forwarding fields.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeCa, makeCertificate } from '../../support/pki.ts';
import { warningsOf } from '../../support/policies.ts';

const route = (name: string, path: string, more = '') =>
  `- { name: ${name}, match: { path: ${path} }, upstream: orders${more} }`;
const WEAK = ', require: public, weaker_than_defaults: [require]';
const spelled = (...routes: string[]) =>
  warningsOf({
    routes: routes.join('\n'),
    upstreams: 'orders: { targets: ["http://127.0.0.1:9000"] }\nother: { targets: ["http://127.0.0.1:9001"] }',
  }).filter((one) => one.includes('ignores case'));

describe('a weak route next to a strict one', () => {
  test('that takes other spellings of its path to the same upstream is warned of, once', () => {
    const [only, ...others] = spelled(route('admin', '/admin/*'), route('rest', '/*', WEAK), route('more', '/More/x'));
    assert.deepEqual(others, []);
    assert.match(only ?? '', /^routes\[1\]\.match\.path: takes \/ADMIN\/… of admin, \/mORE\/X of more, demands less /);
  });
  test('takes what is below an exact path', () => {
    assert.match(spelled(route('admin', '/123'), route('rest', '/*', WEAK)).join(), /takes \/123\/… of admin/);
  });
  test('lacks the scope of the strict one', () => {
    assert.match(
      spelled(route('admin', '/admin/*', ', scope: [admin]'), route('rest', '/*')).join(),
      /\/ADMIN\/… of admin/,
    );
  });
  test('is not warned of where it is as strict, has another upstream or other methods, or takes no such path', () => {
    const elsewhere = `- { name: rest, match: { path: /* }, upstream: other${WEAK} }`;
    const posts = (name: string, path: string, method: string, more = '') =>
      `- { name: ${name}, match: { path: ${path}, methods: [${method}] }, upstream: orders${more} }`;
    assert.deepEqual(spelled(route('admin', '/admin/*'), route('rest', '/*')), []);
    assert.deepEqual(spelled(route('admin', '/admin/*'), elsewhere), []);
    assert.deepEqual(spelled(route('admin', '/admin/*'), route('open', '/open/*', WEAK)), []);
    assert.deepEqual(spelled(posts('admin', '/admin/*', 'POST'), posts('rest', '/*', 'GET', WEAK)), []);
    assert.deepEqual(spelled(route('admin', '/%C3%A4/*'), route('rest', '/*', WEAK)), []);
  });
});

describe('a certificate', () => {
  const DAY = 86_400;
  const NOW = Math.floor(Date.now() / 1000);
  const ends = async (before: number, after: number, chained = false) => {
    const span = { notBefore: NOW - before * DAY, notAfter: NOW + after * DAY };
    const ca = await makeCa({ subject: 'CN=Root' });
    const middle = await makeCa({ subject: 'CN=Middle', ca, ...span });
    const leaf = chained
      ? await makeCertificate({ names: ['localhost'], ca: middle, notBefore: NOW - DAY, notAfter: NOW + 900 * DAY })
      : await makeCertificate({ names: ['localhost'], ...span });
    return warningsOf(
      {
        listeners:
          '- { name: public, bind: "127.0.0.1:0", origins: ["https://localhost:8080"], tls: { certificates: [{ cert: a, key_file: b }] } }',
      },
      {
        files: {
          'listeners.0.tls.certificates.0.cert': leaf.chain,
          'listeners.0.tls.certificates.0.key_file': leaf.key,
        },
      },
    ).filter((one) => one.includes('put a renewed one'));
  };
  test('that ends within 30 days is warned of', async () => {
    assert.match(
      (await ends(300, 20.5)).join(),
      /^listeners\[0\]\.tls\.certificates\[0\]\.cert: ends on \d{4}-\d\d-\d\d, in 20 days: /,
    );
    assert.match((await ends(300, 1.5)).join(), /, tomorrow: /);
    assert.match((await ends(300, 0.5)).join(), /, today: /);
  });
  test('of a short life is warned of in its last third', async () => {
    assert.deepEqual(await ends(1, 6), []);
    assert.match((await ends(6, 1.9)).join(), /tomorrow/);
  });
  test('with longer to go is not', async () => assert.deepEqual(await ends(10, 200), []));
  test('of its issuer, in the same file, counts too', async () => {
    assert.match((await ends(300, 20.5, true)).join(), /has a certificate further on \(number 2\) that ends on /);
  });
});

describe('a trusted peer', () => {
  const warned = (keys: string) =>
    warningsOf({
      listeners: `- { name: public, bind: "127.0.0.1:0", origins: ["http://localhost:8080"], ${keys} }`,
    }).filter((one) => one.includes('which fields this peer writes'));
  test('that may write either kind of forwarding fields is warned of, once per listener', () => {
    const peers = '{ cidr: 10.0.0.1/32, forwarding: forwarded }, { cidr: 10.0.0.2/32 }, { cidr: 10.0.0.3/32 }';
    const [only, ...others] = warned(`trusted_peers: [${peers}]`);
    assert.match(only ?? '', /^listeners\[0\]\.trusted_peers\[1\]: does not say/);
    assert.deepEqual(others, []);
  });
  test('that says which it writes, sends PROXY headers or asks for decisions is not', () => {
    assert.deepEqual(warned('trusted_peers: [{ cidr: 10.0.0.1/32, forwarding: x-forwarded }]'), []);
    assert.deepEqual(warned('trusted_peers: [{ cidr: 10.0.0.1/32 }], proxy_protocol: required'), []);
    assert.deepEqual(warned('trusted_peers: [{ cidr: 10.0.0.1/32 }], mode: decide, dialect: forwarded'), []);
  });
});
