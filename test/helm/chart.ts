// The chart under the real Helm: kept renderings, refused values, exact texts.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { RESTART_KEYS } from '../../src/config/schema/marked-keys.ts';
import { dataPlaneLabels } from '../../src/controller/names.ts';
import { CASES, goldenFile, gatewayOf, only, readObjects } from './golden.ts';
import { helm, KUBERNETES, lint, skip, template, templateText, withoutSecrets } from './helm.ts';
import { REFUSED } from './refused.ts';

describe('the chart', { skip }, () => {
  for (const name of CASES) {
    test(`${name}: passes helm lint --strict, and is rendered as it is kept (GOLDEN=write keeps it anew)`, () => {
      const { status, stdout, stderr } = lint(name);
      assert.equal(status, 0, `${stdout}${stderr}`);
      const rendered = template(name);
      assert.equal(rendered.status, 0, rendered.stderr);
      const text = withoutSecrets(rendered.stdout);
      if (process.env['GOLDEN'] === 'write') writeFileSync(goldenFile(name), text);
      assert.equal(text, readFileSync(goldenFile(name), 'utf8'));
    });
  }

  for (const [what, [values, message]] of Object.entries(REFUSED)) {
    test(`refuses ${what}, and says what to do`, () => {
      const { status, stderr } = template('smallest', values);
      assert.notEqual(status, 0, 'it was rendered');
      assert.match(stderr, message);
    });
  }

  test('needs no upstreams where every listener decides for another proxy, and misses them where one forwards', () => {
    const values = readFileSync(join(import.meta.dirname, '../../deploy/envoy-gateway/holdfast-values.yaml'), 'utf8');
    const { status, stderr } = templateText(values, undefined);
    assert.equal(status, 0, stderr);
    const forwarding = values.replace(/mode: decide\n\s*dialect: envoy-http\n\s*path_prefix: \/decide/, 'mode: proxy');
    assert.notEqual(forwarding, values);
    assert.match(templateText(forwarding, undefined).stderr, /config\.upstreams is missing/);
  });

  test('refuses everything that cannot be right at once', () => {
    const { stderr } = template('smallest', {
      replicas: 3,
      config: { admin: { bind: '[::]:9901' }, telemetry: { bind: '[::1]:9902' } },
    });
    for (const message of [/config\.telemetry/, /replicas is 3/, /config\.admin/]) assert.match(stderr, message);
  });
});

/** A change of each key that a reload refuses. */
const RESTARTS: Readonly<Record<string, object>> = {
  workers: { config: { workers: 3 } },
  'listeners.*.bind': { config: { listeners: [{ ...listenerOf(), bind: '0.0.0.0:9443' }] } },
  'listeners.*.proxy_protocol': {
    config: { listeners: [{ ...listenerOf(), proxy_protocol: 'required', trusted_peers: [{ cidr: '10.0.0.1/32' }] }] },
  },
  'admin.bind': { config: { admin: { bind: '127.0.0.1:9911' } } },
  'telemetry.bind': { config: { telemetry: { bind: '0.0.0.0:9912' } } },
  'replay.store': { config: { replay: { store: 'redis', redis: { url: 'redis://redis:6379' } } } },
  'replay.capacity': { config: { replay: { capacity: 5000 } } },
};

describe('memory', { skip }, () => {
  test('that is not limited, and a number of connections that fits, are taken', () => {
    for (const values of [
      { resources: { limits: null }, config: { listeners: [{ ...listenerOf(), limits: { connections: 100_000 } }] } },
      {
        resources: { limits: { memory: '2Gi' } },
        config: { listeners: [{ ...listenerOf(), limits: { connections: 10_000 } }] },
      },
      { resources: { limits: { memory: 1_073_741_824 } }, config: { workers: 4 } },
    ]) {
      const { status, stderr } = template('smallest', values);
      assert.equal(status, 0, stderr);
    }
  });
});

/** Changes that the gateway takes up while it runs. */
const LIVE: readonly object[] = [
  { config: { log: { level: 'warn' } } },
  { config: { defaults: { dpop: { nonce: 'required' } } } },
  { config: { listeners: [{ ...listenerOf(), limits: { connections: 5 } }] } },
  { config: { upstreams: { orders: { connections: 5 } } } },
  { files: { 'routes-more.yaml': 'routes: []' } },
];

function listenerOf(): object {
  const tls = { certificates: [{ cert: 'tls/public/tls.crt', key_file: 'tls/public/tls.key' }] };
  return { name: 'public', bind: '0.0.0.0:8443', origins: ['https://api.example.com'], tls };
}

describe('a change of the values', { skip }, () => {
  const deployment = (values: object) => {
    const { status, stdout, stderr } = template('smallest', values);
    assert.equal(status, 0, stderr);
    return only(readObjects(stdout), 'Deployment');
  };
  const before = skip ? undefined : deployment({});
  const mark = (one = before) => one?.['spec'].template.metadata.annotations['holdfast/restart-keys'];

  for (const key of RESTART_KEYS) {
    test(`rolls the pods for ${key}, which a reload refuses`, () => {
      const change = RESTARTS[key];
      assert.ok(change !== undefined, 'no change of this key is known here');
      assert.notEqual(mark(deployment(change)), mark());
    });
  }

  test('touches no pod where the gateway takes it up while it runs', () => {
    for (const values of LIVE) assert.deepEqual(deployment(values), before);
  });

  test('rolls the pods for a new listener, and not for another order of them', () => {
    const [one, two] = [listenerOf(), { ...listenerOf(), name: 'two', bind: '0.0.0.0:8444' }];
    const service = { ports: { two: { port: 8443 } } };
    const both = (...listeners: object[]) => mark(deployment({ service, config: { listeners } }));
    assert.notEqual(both(one, two), mark());
    assert.equal(both(two, one), both(one, two));
  });
});

describe('the NetworkPolicy', { skip }, () => {
  const openingsTo = (port: number, values: object = {}) => {
    const { spec } = only(readObjects(template('smallest', values).stdout), 'NetworkPolicy');
    return spec.ingress.filter((rule: { ports: { port: number }[] }) => rule.ports.some((one) => one.port === port));
  };

  test('opens the telemetry port to a Prometheus of one namespace, and never to every pod', () => {
    const [rule, ...others] = openingsTo(9902);
    assert.deepEqual(others, []);
    assert.equal(rule.from.length, 1);
    for (const selector of ['namespaceSelector', 'podSelector'])
      assert.notDeepEqual(rule.from[0][selector]?.matchLabels ?? {}, {}, selector);
  });

  test('opens it to the pods that are named, and an empty list is no pod', () => {
    const from = [{ podSelector: { matchLabels: { app: 'scraper' } } }];
    assert.deepEqual(openingsTo(9902, { networkPolicy: { telemetry: from } })[0].from, from);
    assert.deepEqual(openingsTo(9902, { networkPolicy: { telemetry: [] } }), []);
    assert.equal(openingsTo(8443, { networkPolicy: { telemetry: [] } }).length, 1);
  });
});

describe("the NetworkPolicies of the controller's chart", { skip }, () => {
  const CONTROLLER = join(ROOT, 'helm/holdfast-controller');
  const rendered = (values: object = {}) => {
    const sets = Object.entries(values).map(
      ([key, value]) => `--set-json=networkPolicy.${key}=${JSON.stringify(value)}`,
    );
    const { status, stdout, stderr } = helm('template', 'holdfast-controller', CONTROLLER, ...KUBERNETES, ...sets);
    assert.equal(status, 0, stderr);
    return readObjects(stdout).filter(({ kind }) => kind === 'NetworkPolicy');
  };
  const rules = (values: object = {}) =>
    rendered(values).map(({ spec }) => (spec.ingress ?? []).map(({ ports, from }: Rule) => [ports[0]?.port, from]));

  test('choose the pods of data planes by what the controller labels them with, and its own', () => {
    const chosen = rendered().map(({ spec }) => Object.entries(spec.podSelector.matchLabels as Labels));
    const [ofDataPlanes = [], ofController] = chosen;
    const labels = dataPlaneLabels({ namespace: 'shop', name: 'open' }, 'a.example/b');
    assert.ok(ofDataPlanes.length > 0 && ofDataPlanes.every(([key, value]) => labels[key] === value));
    assert.deepEqual(ofController, [
      ['app.kubernetes.io/name', 'holdfast-controller'],
      ['app.kubernetes.io/instance', 'holdfast-controller'],
    ]);
  });

  test('open listeners to all or to those that are named, and metrics never to every pod', () => {
    const from = [{ podSelector: { matchLabels: { app: 'scraper' } } }];
    assert.deepEqual(rules({ telemetry: from }), [
      [
        [10_001, undefined],
        [9902, from],
      ],
      [[9902, from]],
    ]);
    assert.deepEqual(rules({ telemetry: [], clients: from }), [[[10_001, from]], []]);
    const [, [, byDefault] = []] = rules()[0] ?? [];
    assert.equal(byDefault.length, 1);
    assert.deepEqual(rules({ enabled: false }), []);
  });
});

/** What the tests look at. */
type Labels = Readonly<Record<string, string>>;
interface Rule {
  readonly ports: readonly { readonly port: number }[];
  readonly from?: unknown;
}

describe('the Secret of nonces', { skip }, () => {
  const secretsOf = (values: object) =>
    readObjects(template('smallest', values).stdout).filter(({ kind }) => kind === 'Secret');

  test('is random, long enough, and kept when the release goes', () => {
    const nonce = { generate: true };
    const [one, other] = [secretsOf({ nonce })[0], secretsOf({ nonce })[0]];
    const bytes = Buffer.from(one?.['data'].current, 'base64');
    assert.ok(bytes.length >= 32);
    assert.notEqual(one?.['data'].current, other?.['data'].current);
    assert.equal(one?.['metadata'].annotations['helm.sh/resource-policy'], 'keep');
  });

  test('is not made unless it is wanted, nor where one is named', () => {
    assert.deepEqual(secretsOf({}), []);
    assert.deepEqual(secretsOf({ nonce: { generate: true, existingSecret: 'mine' } }), []);
  });
});

test('the chart, the image and the program have one version', { skip }, () => {
  const { stdout } = helm('show', 'chart', new URL('../../helm/holdfast', import.meta.url).pathname);
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  assert.match(stdout, new RegExp(`^version: ${version}$`, 'm'));
  assert.match(stdout, new RegExp(`^appVersion: ${version}$`, 'm'));
  const rendered = gatewayOf({ name: 'smallest', objects: readObjects(template('smallest').stdout) });
  assert.equal(rendered.container['image'], `holdfast:${version}`);
});
