// Mode decide over HTTP: questions, permits, and refusals that never look like permits.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import {
  type Answered,
  CLIENT_CA,
  ORIGIN,
  type RequestWishes,
  startTestGateway,
  type TestGateway,
} from '../support/gateway.ts';
import { makeCertificate, type TestCertificate } from '../support/pki.ts';
import {
  CLIENT,
  HOLDER,
  issue,
  OTHER_CLIENT,
  type ProofWishes,
  prove,
  SUBJECT,
  THIEF,
  TO_CERTIFICATE,
  TO_KEY,
} from './credentials.ts';

const ROUTES = `
- { name: dpop, match: { path: /dpop/* }, require: dpop, scope: [orders:read] }
- name: nonce
  match: { path: /nonce/* }
  require: dpop
  dpop: { nonce: required }
- name: bearer
  match: { path: /bearer/* }
  require: token
  forward: { authorization: bearer, identity: { X-Auth-Issuer: "@issuer", X-Extra: email } }
  weaker_than_defaults: [require, authorization]
- name: open
  match: { path: /open/* }
  require: public
  weaker_than_defaults: [require]
- name: page
  match: { path: /page/* }
  require: dpop
  cors: { origins: ["https://app.example.net"] }
`;

type Dialect = 'forwarded' | 'envoy-http';
type Pairs = readonly (readonly [string, string])[];

interface Ask extends RequestWishes {
  readonly method?: string;
  /** Instead of the fields that describe the request. */
  readonly description?: Pairs;
  readonly path?: string;
}

const LISTENER = (dialect: Dialect, cidr = '127.0.0.0/8') =>
  `mode: decide\ndialect: ${dialect}\n${dialect === 'envoy-http' ? 'path_prefix: /decide\n' : ''}trusted_peers: [{ cidr: ${cidr} }]`;

const start = (t: TestContext, dialect: Dialect, cidr?: string) =>
  startTestGateway(t, { listener: LISTENER(dialect, cidr), routes: ROUTES });

/** As the product asks: about a GET of `path` unless the wishes say otherwise. */
function ask(gateway: TestGateway, dialect: Dialect, path: string, wishes: Ask = {}): Promise<Answered> {
  const { method = 'GET', fields = [], description, path: asked, ...others } = wishes;
  const described: Pairs =
    dialect === 'forwarded'
      ? [
          ['X-Forwarded-Method', method],
          ['X-Forwarded-Proto', 'https'],
          ['X-Forwarded-Host', 'api.example.com'],
          ['X-Forwarded-Uri', path],
        ]
      : [['X-Forwarded-Proto', 'https']];
  const all = { ...others, fields: [...(description ?? described), ...fields] };
  return dialect === 'forwarded'
    ? gateway.request('GET', asked ?? '/auth', { host: 'holdfast.internal', ...all })
    : gateway.request(method, asked ?? `/decide${path}`, all);
}

async function askDpop(
  gateway: TestGateway,
  dialect: Dialect,
  path: string,
  { proving, ...wishes }: Ask & { readonly proving?: ProofWishes } = {},
): Promise<Answered> {
  const token = wishes.token ?? (await issue(gateway, TO_KEY));
  const proof = await prove(gateway, token, wishes.method ?? 'GET', path, proving);
  return await ask(gateway, dialect, path, { token, proof, ...wishes });
}

for (const dialect of ['forwarded', 'envoy-http'] as const) {
  describe(`dialect ${dialect}`, () => {
    test('a good request passes; every field that any route sets is set, empty where there is no value', async (t) => {
      const gateway = await start(t, dialect);
      const forged = [
        ['X-Auth-Subject', 'admin'],
        ['X-Extra', 'forged'],
      ] as const;
      const { status, fields, body } = await askDpop(gateway, dialect, '/dpop/1?a=b', { fields: forged });
      assert.equal(status, 200);
      assert.equal(body, '');
      assert.equal(fields.one('X-Auth-Subject'), SUBJECT);
      assert.equal(fields.one('X-Auth-Binding'), 'dpop');
      // Of another route: the client's own must not get through.
      assert.equal(fields.one('X-Extra'), '');
      assert.equal(fields.one('Authorization'), '');
      assert.equal(fields.one('DPoP'), '');
      assert.equal(fields.one('Cache-Control'), 'no-store');
      assert.equal(gateway.upstream.seen.length, 0);
      await gateway.logged({ route: 'dpop', outcome: 'permitted', method: 'GET', path: '/dpop/1' });
    });

    test('a public route passes without identity: the fields are set to nothing', async (t) => {
      const gateway = await start(t, dialect);
      const { status, fields } = await ask(gateway, dialect, '/open/1', { fields: [['X-Auth-Subject', 'admin']] });
      assert.equal(status, 200);
      assert.equal(fields.one('X-Auth-Subject'), '');
      assert.equal(fields.one('X-Auth-Issuer'), '');
    });

    test('the access token goes on as Bearer where the route says so', async (t) => {
      const gateway = await start(t, dialect);
      const token = await issue(gateway);
      const { status, fields } = await ask(gateway, dialect, '/bearer/1', { token });
      assert.equal(status, 200);
      assert.equal(fields.one('Authorization'), `Bearer ${token}`);
    });

    test('htm and htu are held against the request that is described', async (t) => {
      const gateway = await start(t, dialect);
      const refused = async (proving: ProofWishes, wishes: Ask = {}) =>
        (await askDpop(gateway, dialect, '/dpop/1', { proving, ...wishes })).reason;
      assert.equal(await refused({ claims: { htm: 'POST' } }), 'proof_method_mismatch');
      assert.equal(await refused({ claims: { htu: `${ORIGIN}/dpop/2` } }), 'proof_uri_mismatch');
      assert.equal(await refused({ claims: { htu: 'https://holdfast.internal/auth' } }), 'proof_uri_mismatch');
      assert.equal(await refused({ claims: { htu: `${ORIGIN}/decide/dpop/1` } }), 'proof_uri_mismatch');
      assert.equal(await refused({ key: THIEF }), 'proof_key_mismatch');
    });

    test('a refusal carries status, challenge, problem and reason as in proxy mode', async (t) => {
      const gateway = await start(t, dialect);
      const { status, fields, reason } = await ask(gateway, dialect, '/dpop/1');
      assert.equal(status, 401);
      assert.equal(reason, 'credentials_missing');
      assert.match(fields.one('WWW-Authenticate') ?? '', /^DPoP /);
      assert.equal(fields.one('X-Holdfast-Reason'), 'credentials_missing');
      assert.equal(fields.one('X-Holdfast-Status'), '401');
      assert.equal(fields.one('Content-Type'), 'application/problem+json');
    });

    test('a nonce is asked for, taken, and brought anew when it ages', async (t) => {
      let now = 1_800_000_000;
      const gateway = await startTestGateway(t, { listener: LISTENER(dialect), routes: ROUTES, now: () => now });
      const first = await askDpop(gateway, dialect, '/nonce/1');
      assert.deepEqual([first.status, first.reason], [401, 'nonce_required']);
      const nonce = first.fields.one('DPoP-Nonce');
      assert.ok(nonce !== undefined);
      const second = await askDpop(gateway, dialect, '/nonce/1', { proving: { claims: { nonce } } });
      assert.deepEqual([second.status, second.fields.one('DPoP-Nonce')], [200, undefined]);
      now += 90;
      const third = await askDpop(gateway, dialect, '/nonce/1', { proving: { claims: { nonce } } });
      assert.equal(third.status, 200);
      assert.ok(third.fields.one('DPoP-Nonce') !== undefined);
    });

    test('a proof passes once, whoever asks', async (t) => {
      const gateway = await start(t, dialect);
      const token = await issue(gateway, TO_KEY);
      const proof = await prove(gateway, token, 'GET', '/dpop/1');
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => ask(gateway, dialect, '/dpop/1', { token, proof })),
      );
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
      assert.ok(answers.every(({ status, reason }) => status === 200 || reason === 'proof_replayed'));
    });

    test('a stranger may not ask at all', async (t) => {
      const gateway = await start(t, dialect, '192.0.2.0/24');
      for (const path of ['/open/1', '/dpop/1']) {
        const { status, reason } = await ask(gateway, dialect, path);
        assert.deepEqual([status, reason], [403, 'peer_unknown']);
      }
    });

    test('of a CA that clients have certificates of as well, the one with the name of the proxy may ask', async (t) => {
      const peers = `trusted_peers: [{ certificate_san: proxy.internal }]
client_certificate: { request: required, verify: chain, ca_file: clients.pem }
client_certificate_from: { format: xfcc }`;
      const listener = LISTENER(dialect).replace(/trusted_peers: .*/, peers);
      const routes = `${ROUTES}- { name: mtls, match: { path: /mtls/* }, require: mtls }\n`;
      const gateway = await startTestGateway(t, { listener, routes });
      const proxy = await makeCertificate({ names: ['proxy.internal'], ca: CLIENT_CA });
      const token = await issue(gateway, TO_CERTIFICATE);
      const fields = [['X-Forwarded-Client-Cert', `Cert="${encodeURIComponent(CLIENT.cert)}"`]] as const;
      const askAs = async (client: TestCertificate, told: Pairs = fields) =>
        (await ask(gateway, dialect, '/mtls/1', { token, client, fields: told })).reason ?? 'permitted';
      assert.equal(await askAs(proxy), 'permitted');
      assert.equal(await askAs(proxy, []), 'certificate_missing');
      for (const client of [CLIENT, OTHER_CLIENT]) assert.equal(await askAs(client), 'peer_unknown');
    });

    test('no refusal has a status that lets the request pass: gRPC, OPTIONS * and preflights', async (t) => {
      const gateway = await start(t, dialect);
      const grpc = await ask(gateway, dialect, '/dpop/1', {
        method: 'POST',
        fields: [
          ['Content-Type', 'application/grpc'],
          ['TE', 'trailers'],
        ],
      });
      assert.equal(grpc.status, 401);
      const ended = await ask(gateway, dialect, '/open/1', { method: 'OPTIONS', fields: [['Max-Forwards', '0']] });
      assert.notEqual(ended.status, 200);
      if (dialect === 'forwarded') assert.ok(ended.status >= 300);
      const preflight = await ask(gateway, dialect, '/page/1', {
        method: 'OPTIONS',
        fields: [
          ['Origin', 'https://app.example.net'],
          ['Access-Control-Request-Method', 'GET'],
        ],
      });
      // Envoy passes any status but 200 on to the client; nginx, Caddy and Traefik let every 2xx pass.
      assert.equal(preflight.status, dialect === 'envoy-http' ? 204 : 403);
      assert.equal(preflight.fields.one('Access-Control-Allow-Origin'), 'https://app.example.net');
    });

    test('a permit says Vary where the route has cors, listed origin or not, so that fronts know whose fields count', async (t) => {
      const gateway = await start(t, dialect);
      const corsOf = async (path: string, origin: string) => {
        const { status, fields } = await askDpop(gateway, dialect, path, { fields: [['Origin', origin]] });
        return [status, fields.one('Vary'), fields.one('Access-Control-Allow-Origin')];
      };
      assert.deepEqual(await corsOf('/page/1', 'https://app.example.net'), [200, 'Origin', 'https://app.example.net']);
      assert.deepEqual(await corsOf('/page/1', 'https://evil.example'), [200, 'Origin', undefined]);
      assert.deepEqual((await ask(gateway, dialect, '/open/1')).fields.all('Vary'), []);
    });

    test('hostile paths are refused as in proxy mode', async (t) => {
      const gateway = await start(t, dialect);
      for (const path of [
        '/open/../dpop/1',
        '/open/%2e%2e/dpop/1',
        '/open//dpop/1',
        '/open/..%2Fdpop/1',
        '/open/%5c..%5cdpop',
      ])
        assert.notEqual((await ask(gateway, dialect, path)).status, 200, path);
    });
  });
}

describe('a description that is not whole', () => {
  const WHOLE: Pairs = [
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'api.example.com'],
    ['X-Forwarded-Uri', '/open/1'],
  ];

  test('is refused where a part is missing, empty or there twice: a client could have written one of them', async (t) => {
    const gateway = await start(t, 'forwarded');
    const reasonOf = async (description: Pairs) => {
      const { status, reason } = await ask(gateway, 'forwarded', '', { description });
      return status === 200 ? 'permit' : reason;
    };
    assert.equal(await reasonOf(WHOLE), 'permit');
    for (const [at, [name]] of WHOLE.entries()) {
      assert.equal(await reasonOf(WHOLE.toSpliced(at, 1)), 'request_malformed', `without ${name}`);
      assert.equal(await reasonOf(WHOLE.with(at, [name, ''])), 'request_malformed', `${name} empty`);
      assert.equal(await reasonOf([...WHOLE, WHOLE[at]!]), 'request_malformed', `${name} twice`);
    }
  });

  test('is refused where a part is not what it should be', async (t) => {
    const gateway = await start(t, 'forwarded');
    const wrong: Pairs = [
      ['X-Forwarded-Method', 'GE T'],
      ['X-Forwarded-Proto', 'ftp'],
      ['X-Forwarded-Proto', 'https, http'],
      ['X-Forwarded-Host', 'api.example.com, evil.example'],
      ['X-Forwarded-Host', 'api.example.com/x'],
      ['X-Forwarded-Uri', 'open/1'],
      ['X-Forwarded-Uri', 'https://evil.example/open/1'],
      ['X-Forwarded-Uri', '*'],
    ];
    for (const [name, value] of wrong) {
      const description = WHOLE.map((pair): readonly [string, string] => (pair[0] === name ? [name, value] : pair));
      const { status } = await ask(gateway, 'forwarded', '', { description });
      assert.ok(status >= 400, `${name}: ${value} got ${status}`);
    }
  });

  test('counts for a host that is no origin of the listener as in proxy mode: misdirected', async (t) => {
    const gateway = await start(t, 'forwarded');
    const description = WHOLE.map((pair): readonly [string, string] =>
      pair[0] === 'X-Forwarded-Host' ? ['X-Forwarded-Host', 'evil.example'] : pair,
    );
    assert.equal((await ask(gateway, 'forwarded', '', { description })).reason, 'misdirected');
  });

  test('is refused without the path prefix of the dialect, and where the prefix is only the beginning of a name', async (t) => {
    const gateway = await start(t, 'envoy-http');
    for (const path of ['/open/1', '/decideopen/1', '/Decide/open/1', '/decide'])
      assert.equal((await ask(gateway, 'envoy-http', '', { path })).reason, 'request_malformed', path);
  });

  test('names for Envoy what it has to remove, with the fields that have no value', async (t) => {
    const gateway = await start(t, 'envoy-http');
    const { fields } = await ask(gateway, 'envoy-http', '/open/1');
    const removed = fields.one('x-envoy-auth-headers-to-remove')?.split(',') ?? [];
    for (const name of ['x-original-url', 'x-auth-subject', 'client-cert']) assert.ok(removed.includes(name), name);
    assert.ok(!removed.includes('x-forwarded-for'));
  });
});

describe('the address of the client', () => {
  const LIMITED = {
    more: 'drain: { delay: 0s, grace: 5s }\nrate_limits: { hourly: { key: address, rate: 1/h, burst: 1 } }',
    routes:
      '- { name: open, match: { path: /open/* }, require: public, rate_limit: hourly, weaker_than_defaults: [require] }',
  };
  for (const dialect of ['forwarded', 'envoy-http'] as const) {
    test(`is what the front writes, never a Forwarded that it passes on: ${dialect}`, async (t) => {
      const gateway = await startTestGateway(t, { ...LIMITED, listener: LISTENER(dialect) });
      const from = async (...fields: Pairs) => (await ask(gateway, dialect, '/open/1', { fields })).status;
      assert.equal(await from(['X-Forwarded-For', '198.51.100.1']), 200);
      for (const forged of ['for=203.0.113.7', 'For="[2001:db8::7]";proto=https', 'for=203.0.113.8, for=203.0.113.9']) {
        assert.equal(await from(['Forwarded', forged], ['X-Forwarded-For', '198.51.100.1']), 429, forged);
        assert.equal(await from(['X-Forwarded-For', '203.0.113.7, 198.51.100.1'], ['Forwarded', forged]), 429, forged);
      }
      assert.equal(await from(['Forwarded', 'for=198.51.100.1'], ['X-Forwarded-For', '198.51.100.2']), 200);
    });
  }
  test('comes in Forwarded where the policy says that the front writes it', async (t) => {
    const listener = LISTENER('forwarded').replace('}]', ', forwarding: forwarded }]');
    const gateway = await startTestGateway(t, { ...LIMITED, listener });
    const from = async (node: string, other: string) =>
      (
        await ask(gateway, 'forwarded', '/open/1', {
          fields: [
            ['Forwarded', `for=${node}`],
            ['X-Forwarded-For', other],
          ],
        })
      ).status;
    assert.equal(await from('198.51.100.1', '203.0.113.1'), 200);
    assert.equal(await from('198.51.100.1', '203.0.113.2'), 429);
    assert.equal(await from('198.51.100.2', '203.0.113.1'), 200);
    const lines = [
      ['Forwarded', 'for=203.0.113.3'],
      ['Forwarded', 'for=198.51.100.1'],
    ] as const;
    assert.equal((await ask(gateway, 'forwarded', '/open/1', { fields: lines })).status, 429);
  });
});

test('the key of the holder is what matters, not the proxy that asks', async (t) => {
  const gateway = await start(t, 'forwarded');
  const token = await issue(gateway, TO_KEY);
  const good = await askDpop(gateway, 'forwarded', '/dpop/1', { token, proving: { key: HOLDER } });
  const stolen = await ask(gateway, 'forwarded', '/dpop/1', { token, scheme: 'Bearer' });
  assert.deepEqual([good.status, stolen.reason], [200, 'binding_downgraded']);
});
