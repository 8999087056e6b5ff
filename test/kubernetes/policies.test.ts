// Tests of policies: the Gateway's is the floor, and what cannot be applied is withheld.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { conditionOf, type Loose, routesOf, statusOf, translated } from '../support/manifests.ts';
import { classWith } from '../support/shared-gateway.ts';

const ISSUERS = `configuration: { issuers: {
  main: { issuer: "https://login.example", audience: [api], keys: { jwks_uri: "https://login.example/keys" } },
  other: { issuer: "https://other.example", audience: [api], keys: { jwks_uri: "https://other.example/keys" } } } }`;
const CLASS = classWith(`{ floor: { require: public }, withoutPolicy: public, ${ISSUERS} }`);
const CLUSTER = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec:
  gatewayClassName: hf
  listeners:
    - { name: one, port: 80, protocol: HTTP, hostname: "*.one.example", allowedRoutes: { namespaces: { from: All } } }
    - { name: two, port: 81, protocol: HTTP, hostname: "*.two.example", allowedRoutes: { namespaces: { from: All } } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: team }
spec:
  parentRefs: [{ name: gw, namespace: infra }]
  hostnames: [a.one.example, a.two.example]
  rules:
    - { name: read, matches: [{ path: { value: /read } }], backendRefs: [{ name: s, port: 80 }] }
    - { name: write, matches: [{ path: { value: /write } }], backendRefs: [{ name: s, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: s, namespace: team }
spec: { ports: [{ port: 80 }] }
`;
const policy = (namespace: string, name: string, targets: string, demand: string) => `
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec: { targetRefs: [${targets}], ${demand} }
`;
const GATEWAY = '{ group: gateway.networking.k8s.io, kind: Gateway, name: gw }';
const ROUTE = '{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: r }';
const part = (target: string, section: string) => target.replace(' }', `, sectionName: ${section} }`);
const onGateway = (demand: string, target = GATEWAY) => policy('infra', 'gateway', target, demand);
const onRoute = (demand: string, target = ROUTE) => policy('team', 'route', target, demand);

/** `require` of each route by `host path`; 503 where it is withheld. */
function requirements(result: ReturnType<typeof translated>): Record<string, unknown> {
  return Object.fromEntries(
    routesOf(result).map(({ match, require: wanted, respond }) => [
      `${match.host} ${match.path}`,
      respond?.status === 503 ? 503 : wanted,
    ]),
  );
}
const everywhere = (wanted: unknown) => ({
  'a.one.example /read/*': wanted,
  'a.two.example /read/*': wanted,
  'a.one.example /write/*': wanted,
  'a.two.example /write/*': wanted,
});
const verdict = (result: ReturnType<typeof translated>, name: string, type = 'Accepted') =>
  conditionOf(statusOf(result, 'HoldfastPolicy', name).ancestors[0]?.conditions, type);

describe('a route without a policy', () => {
  test('demands the holder, unless the class says something else', () => {
    assert.deepEqual(
      requirements(translated(classWith(`{ ${ISSUERS.replace(/other: .*/, '} }')} }`), CLUSTER)),
      everywhere('sender-constrained'),
    );
  });

  test('is withheld where the class has no issuer that could make a token', () => {
    const result = translated(classWith('{}'), CLUSTER);
    assert.deepEqual(requirements(result), everywhere(503));
    const [parent] = statusOf(result, 'HTTPRoute', 'r').parents;
    assert.equal(conditionOf(parent.conditions, 'holdfast.internal/PolicyAffected'), 'True Withheld');
  });

  test('is withheld on a public floor, unless the class says that such routes are public', () => {
    assert.deepEqual(requirements(translated(classWith('{ floor: { require: public } }'), CLUSTER)), everywhere(503));
    assert.deepEqual(requirements(translated(CLASS, CLUSTER)), everywhere('public'));
  });
});

const MAIN = 'issuers: [main]';

test("the Gateway's policy is the floor of all its routes", () => {
  const result = translated(CLASS, CLUSTER, onGateway(`require: dpop, ${MAIN}, scope: [a], dpop: { max_age: 30s }`));
  assert.deepEqual(requirements(result), everywhere('dpop'));
  assert.equal(verdict(result, 'gateway'), 'True Accepted');
});

test('a weaker policy of a route changes nothing', () => {
  const floor = onGateway(`require: dpop, ${MAIN}, scope: [a], dpop: { max_age: 30s, nonce: required }`);
  for (const weaker of [
    'require: public',
    `require: token, ${MAIN}`,
    'dpop: { max_age: 10m, nonce: none }',
    'issuers: [main, other]',
    'scope: [a]',
    'forward: { host: upstream }',
  ]) {
    const routes = routesOf(translated(CLASS, CLUSTER, floor, onRoute(weaker)));
    assert.equal(routes.length, 4, weaker);
    for (const { require: wanted, issuers, scope, dpop } of routes) {
      assert.deepEqual(
        { wanted, issuers, scope, dpop },
        { wanted: 'dpop', issuers: ['main'], scope: ['a'], dpop: { max_age: '30s', nonce: 'required' } },
        weaker,
      );
    }
  }
});

test('a stricter policy of a route or of one of its rules counts there alone', () => {
  const floor = onGateway(`require: token, ${MAIN}, scope: [a]`);
  const whole = translated(CLASS, CLUSTER, floor, onRoute('require: dpop, scope: [b]'));
  assert.deepEqual(requirements(whole), everywhere('dpop'));
  assert.deepEqual(routesOf(whole)[0].scope, ['a', 'b']);
  const rule = translated(CLASS, CLUSTER, floor, onRoute('require: dpop', part(ROUTE, 'write')));
  assert.deepEqual(requirements(rule), {
    ...everywhere('dpop'),
    'a.one.example /read/*': 'token',
    'a.two.example /read/*': 'token',
  });
});

test('a policy of a listener counts on that listener', () => {
  const result = translated(CLASS, CLUSTER, onGateway(`require: dpop, ${MAIN}`, part(GATEWAY, 'two')));
  assert.deepEqual(requirements(result), {
    'a.one.example /read/*': 'public',
    'a.two.example /read/*': 'dpop',
    'a.one.example /write/*': 'public',
    'a.two.example /write/*': 'dpop',
  });
});

test('several policies on one target hold together', () => {
  const result = translated(
    CLASS,
    CLUSTER,
    policy('team', 'first', ROUTE, `require: token, ${MAIN}`),
    policy('team', 'second', ROUTE, 'require: dpop, scope: [b]'),
  );
  assert.deepEqual(requirements(result), everywhere('dpop'));
});

describe('a route is withheld from everyone, and its policy says why, where', () => {
  for (const [what, floor, own, found] of [
    ['it cannot be met together with the floor', `require: mtls, ${MAIN}`, 'require: dpop', 'False Conflicted'],
    ['issuers have nothing in common', `require: dpop, ${MAIN}`, 'issuers: [other]', 'False Conflicted'],
    ['a key is not known', `require: dpop, ${MAIN}`, 'requires: dpop', 'False Invalid'],
    ['a key is not one of a policy', `require: dpop, ${MAIN}`, 'upstream: s', 'False Invalid'],
    ['a value is not known', `require: dpop, ${MAIN}`, 'scope: 7', 'False Invalid'],
    ['an issuer is not declared', 'require: dpop', 'issuers: [none]', 'False Invalid'],
    [
      'it names a file',
      `require: dpop, ${MAIN}`,
      'resource: { identifier: "https://a.one.example", signed_metadata: { key_file: /etc/passwd } }',
      'False Invalid',
    ],
    ['it looks at tokens of a public route', 'require: public', 'scope: [a]', 'False Invalid'],
    ['it demands certificates for which no one asks', `require: token, ${MAIN}`, 'require: mtls', 'False Invalid'],
  ] as const) {
    test(what, () => {
      const result = translated(CLASS, CLUSTER, onGateway(floor), onRoute(own));
      assert.deepEqual(requirements(result), everywhere(503));
      assert.equal(verdict(result, 'route'), found);
      const [type = ''] = found.split(' ').slice(1);
      assert.equal(verdict(result, 'route', type)?.split(' ')[0], 'True');
      assert.equal(verdict(result, 'gateway'), 'True Accepted');
      assert.deepEqual(
        result.events.map(({ name, reason }) => [name, reason]),
        [['route', type]],
      );
    });
  }

  test('the floor itself does not compile, and then it is every route of the Gateway', () => {
    const other =
      CLUSTER.split('---')[1]
        ?.replace('name: r,', 'name: other,')
        .replace(/hostnames.*/, 'hostnames: [b.one.example]') ?? '';
    const result = translated(CLASS, CLUSTER, other, onGateway('require: dpop, issuers: [none]'));
    assert.ok(Object.values(requirements(result)).every((wanted) => wanted === 503));
    assert.equal(verdict(result, 'gateway'), 'False Invalid');
    const [parent] = statusOf(result, 'HTTPRoute', 'other').parents;
    assert.equal(conditionOf(parent.conditions, 'Accepted'), 'True Accepted');
    assert.equal(conditionOf(parent.conditions, 'holdfast.internal/PolicyAffected'), 'True Withheld');
  });

  test('a rule that the policy names is not there, which could be the one to protect', () => {
    const result = translated(CLASS, CLUSTER, onRoute(`require: dpop, ${MAIN}`, part(ROUTE, 'wriet')));
    assert.deepEqual(requirements(result), everywhere(503));
  });

  test('a listener that the policy names is not there', () => {
    const result = translated(CLASS, CLUSTER, onGateway(`require: dpop, ${MAIN}`, part(GATEWAY, 'three')));
    assert.deepEqual(requirements(result), everywhere(503));
  });

  test('the targets of a policy in its namespace cannot be read', () => {
    const result = translated(CLASS, CLUSTER, policy('team', 'route', '7', `require: dpop, ${MAIN}`));
    assert.deepEqual(requirements(result), everywhere(503));
    assert.deepEqual(
      requirements(translated(CLASS, CLUSTER, policy('far', 'route', '7', 'require: dpop'))),
      everywhere('public'),
    );
  });
});

test('a policy counts in its own namespace alone', () => {
  const foreign = policy('far', 'foreign', `${ROUTE}, ${GATEWAY}`, 'require: mtls');
  const result = translated(CLASS, CLUSTER, foreign, onGateway(`require: dpop, ${MAIN}`));
  assert.deepEqual(requirements(result), everywhere('dpop'));
  assert.equal(verdict(result, 'foreign'), 'False TargetNotFound');
});

test('the joint demand is in the status of every policy that has a part in it', () => {
  const result = translated(CLASS, CLUSTER, onGateway(`require: token, ${MAIN}`), onRoute('require: dpop'));
  for (const name of ['gateway', 'route']) {
    const { effective, routes } = statusOf(result, 'HoldfastPolicy', name);
    assert.equal(routes, 4);
    assert.deepEqual(effective[0].demand, { require: 'dpop', issuers: ['main'] });
    assert.deepEqual(effective.map(({ route }: Loose) => route)[0], 'HTTPRoute team/r');
  }
  assert.deepEqual(result.effective[0]?.policies, ['infra/gateway', 'team/route']);
});

test('what a policy demands beyond the defaults of a file is written so that it compiles', () => {
  const result = translated(
    CLASS,
    CLUSTER,
    onGateway('dpop: { max_age: 5m }'),
    onRoute(`require: token, ${MAIN}, dpop: { max_age: 5m }, encoded: [slash]`),
  );
  assert.deepEqual(routesOf(result)[0].weaker_than_defaults, ['require', 'max_age', 'encoded']);
});

test('a text with the sign of the environment stays a text', () => {
  const result = translated(CLASS, CLUSTER, onRoute(`require: dpop, ${MAIN}, claims: { home: "\${HOME}" }`));
  assert.deepEqual(routesOf(result)[0].claims, { home: '$${HOME}' });
});
