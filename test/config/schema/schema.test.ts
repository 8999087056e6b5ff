// The schema: each type of value, and the JSON Schema.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { jsonSchema } from '../../../src/config/schema/json-schema.ts';
import { checkConfig } from '../../../src/config/schema/check.ts';
import { bind, duration, durationOrNone, size, sizeOrNone } from '../../../src/config/schema/values.ts';

type Data = Record<string, unknown>;

const minimal = () => ({
  version: 1,
  listeners: [{ name: 'public', bind: '127.0.0.1:8443' } as Data],
  issuers: { login: { issuer: 'https://login.example.com', audience: ['https://api.example.com'] } as Data },
  upstreams: { orders: { targets: ['http://127.0.0.1:9000'] } as Data },
  routes: [{ name: 'orders', match: { path: '/orders/*' }, upstream: 'orders' } as Data],
});

const findings = (data: unknown) => {
  const checked = checkConfig(data, () => 'written');
  return 'findings' in checked ? checked.findings.map(({ path, message }) => `${path.join('.')}: ${message}`) : [];
};

describe('values', () => {
  const reads = (schema: z.ZodType, written: unknown) => {
    const parsed = schema.safeParse(written);
    return parsed.success ? parsed.data : 'refused';
  };

  it('take durations in ms, s, m and h as seconds, and nothing that only looks like one', () => {
    assert.deepEqual(
      ['250ms', '60s', '5m', '1h'].map((written) => reads(duration(), written)),
      [0.25, 60, 300, 3600],
    );
    for (const written of [
      '60',
      60,
      '',
      ' 60s',
      '60s ',
      '60 s',
      '-1s',
      '1.5s',
      '1e3s',
      '1d',
      '0s',
      '٦s',
      '1m30s',
      null,
    ]) {
      assert.equal(reads(duration(), written), 'refused', String(written));
    }
  });

  it('hold durations to their bounds, both included', () => {
    const bounded = duration('0s', '10m');
    assert.deepEqual(
      ['0s', '10m', '601s', '11m', '9999999999s'].map((written) => reads(bounded, written)),
      [0, 600, 'refused', 'refused', 'refused'],
    );
  });

  it('take sizes in powers of 1024', () => {
    assert.deepEqual(
      ['512B', '16KiB', '10Mi', '10MiB', '1GiB'].map((written) => reads(size, written)),
      [512, 16_384, 10_485_760, 10_485_760, 1_073_741_824],
    );
    for (const written of ['16', 16, '16KB', '16kiB', '16K', '0MiB', '-1KiB', '1.5MiB', '']) {
      assert.equal(reads(size, written), 'refused', String(written));
    }
  });

  it('take false for none where none is a choice, since YAML 1.1 tools write off and no so', () => {
    assert.deepEqual([reads(durationOrNone, 'none'), reads(sizeOrNone, false)], ['none', 'none']);
    assert.equal(reads(durationOrNone, true), 'refused');
    assert.equal(reads(duration(), false), 'refused');
  });

  it('take addresses with a port, in brackets, and unix sockets', () => {
    assert.deepEqual(reads(bind, '0.0.0.0:8443'), { host: '0.0.0.0', port: 8443 });
    assert.deepEqual(reads(bind, '[::]:8443'), { host: '::', port: 8443 });
    assert.deepEqual(reads(bind, 'unix:/run/holdfast.sock'), { path: '/run/holdfast.sock' });
    for (const written of [
      '8443',
      ':8443',
      '::1:8443',
      '127.0.0.1',
      '127.0.0.1:65536',
      'unix:relative.sock',
      'a b:1',
    ]) {
      assert.equal(reads(bind, written), 'refused', written);
    }
  });
});

describe('values that would fail later', () => {
  it('an acr that no challenge can carry is refused (RFC 9470 §3: separated by spaces, in a field)', () => {
    for (const acr of ['gold plus', 'größer', '金', 'a\tb', '']) {
      const [route] = minimal().routes;
      assert.deepEqual(
        findings({ ...minimal(), routes: [{ ...route, acr: [acr] }] }).map((found) => found.replace(/: .*/, '')),
        ['routes.0.acr.0'],
        acr,
      );
    }
  });

  it('a replay store that is larger than one process can hold is refused', () => {
    assert.deepEqual(findings({ ...minimal(), replay: { capacity: 16_000_000 } }), []);
    assert.equal(findings({ ...minimal(), replay: { capacity: 16_000_001 } }).length, 1);
  });
});

describe('a misspelt word', () => {
  it('is called that, with the words that there are', () => {
    const [listener] = minimal().listeners;
    assert.deepEqual(findings({ ...minimal(), listeners: [{ ...listener, mode: 'procksy' }] }), [
      'listeners.0.mode: is "written", expected proxy or decide',
    ]);
  });
});

describe('the JSON Schema', () => {
  const written = jsonSchema() as Data;
  const accepts = (data: unknown) => z.fromJSONSchema(written).safeParse(data).success;

  it('takes the smallest configuration, and one that uses most of the contract', () => {
    assert.equal(accepts(minimal()), true);
    assert.equal(accepts(large()), true);
    assert.deepEqual(findings(large()), []);
  });

  it('takes a main file whose routes, issuers and upstreams are all included', () => {
    const { version, listeners } = minimal();
    assert.equal(accepts({ version, listeners, include: ['routes.d/*.yaml'] }), true);
    const entry = { files: 'a.yaml', routes: ['*.example.com/*'], upstreams: ['b'], environment: ['C'] };
    assert.equal(accepts({ version, listeners, include: [entry, { files: 'b.yaml' }] }), true);
    for (const wrong of [{ routes: ['a/*'] }, { files: 'a.yaml', hosts: [] }, { files: 'a.yaml', routes: ['/a'] }])
      assert.equal(accepts({ version, listeners, include: [wrong] }), false, JSON.stringify(wrong));
  });

  it('refuses unknown keys and values of the wrong kind, like the schema', () => {
    for (const change of [
      { version: 2 },
      { lisenters: [] },
      { drain: '5s' },
      { nonce: { lifetime: 120 } },
      { routes: {} },
    ]) {
      assert.equal(accepts({ ...minimal(), ...change }), false, JSON.stringify(change));
    }
  });

  it('takes ${NAME} wherever a single value stands', () => {
    const data = { ...minimal(), workers: '${W}', nonce: { lifetime: '${LIFETIME:-2m}' }, log: { level: '${LEVEL}' } };
    assert.equal(accepts(data), true);
  });

  it('describes every key for the hover help', () => {
    const undescribed: string[] = [];
    const visit = (node: Data, path: string): void => {
      for (const [key, inner] of Object.entries((node.properties ?? {}) as Record<string, Data>)) {
        if (typeof inner.description !== 'string' || inner.description === '') undescribed.push(`${path}.${key}`);
        visit(inner, `${path}.${key}`);
      }
      const inside = [node.items, node.additionalProperties, ...((node.anyOf ?? []) as unknown[])];
      for (const one of inside) if (typeof one === 'object' && one !== null) visit(one as Data, path);
    };
    visit(written, '');
    assert.deepEqual(undescribed, []);
  });

  it('shows durations and sizes as they are written, defaults included', () => {
    const nonce = ((written.properties as Data).nonce as Data).properties as Data;
    const lifetime = nonce.lifetime as { default: unknown; anyOf: readonly Data[] };
    assert.equal(lifetime.default, '2m');
    assert.match('90s', new RegExp(String(lifetime.anyOf[0]?.pattern)));
  });

  function large(): unknown {
    return {
      ...minimal(),
      include: ['routes.d/*.yaml'],
      workers: 'auto',
      listeners: [
        {
          name: 'public',
          bind: '[::]:8443',
          mode: 'proxy',
          origins: ['https://api.example.com', 'https://*.example.com', 'https://www.example.com/api'],
          tls: { certificates: [{ cert: 'tls/tls.crt', key_file: 'tls/tls.key' }], min_version: 'TLSv1.3' },
          http2: false,
          client_certificate: { request: 'optional', verify: 'chain', ca_file: 'ca.pem', crl_file: 'ca.crl' },
          trusted_peers: [{ cidr: '10.0.0.0/8', certificate_san: 'lb.internal' }, { cidr: 'fd00::/8' }],
          client_certificate_from: { format: 'pem-escaped', field: 'ssl-client-cert' },
          proxy_protocol: false,
          explain_to_clients: true,
          limits: { header_size: '16KiB', request_body: 'none', connections: 100, idle_timeout: '5m' },
        },
      ],
      log: { level: 'debug', sample_successes: 0.5 },
      issuers: {
        login: {
          issuer: 'https://login.example.com/realms/main',
          audience: ['https://api.example.com'],
          keys: { jwks_uri: 'https://login.example.com/keys?tenant=a' },
          algorithms: ['ES256'],
          scope_claim: ['scp'],
        },
      },
      replay: { store: 'memory', capacity: 100_000, when_unavailable: 'reject' },
      nonce: { secret_files: ['secrets/b', 'secrets/a'], lifetime: '10m' },
      defaults: {
        dpop: { nonce: 'on-skew' },
        forward: { identity: { 'X-Sub': ['sub', 'uid'] } },
        timeouts: { total: '1h' },
      },
      upstreams: { orders: { targets: ['unix:/run/orders.sock'], retries: 0, connections: 8 } },
      routes: [
        {
          name: 'orders',
          match: { listeners: ['public'], host: '*.example.com', path: '/a/*/b', methods: ['GET', 'M-SEARCH'] },
          upstream: 'orders',
          issuers: ['login'],
          audience: ['https://api.example.com/orders'],
          require: 'dpop',
          dpop: { nonce: 'required' },
          forward: { authorization: 'bearer', client_certificate: [{ format: 'rfc9440', field: 'Client-Cert' }] },
          timeouts: { total: false },
          scope: { any: ['orders:read', 'orders:write'] },
          claims: { tenant: 'acme', '/realm_access/roles': ['admin', 1, true] },
          acr: ['urn:example:loa3'],
          max_auth_age: '10m',
          shadow: { require: 'mtls', dpop: { nonce: 'required' } },
          cors: { origins: ['https://app.example.com', 'capacitor://localhost'], expose: ['ETag'], credentials: true },
          encoded: ['slash'],
          rewrite: { strip_prefix: '/a' },
          limits: { request_body: '1GiB' },
          weaker_than_defaults: ['encoded', 'authorization'],
        },
      ],
    };
  }
});
