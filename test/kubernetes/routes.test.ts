// Tests of routes: their listeners, their keys in a configuration, and their conditions.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CLASS,
  conditionOf,
  type Loose,
  configurationOf,
  pathsOf,
  routesOf,
  statusOf,
  translated,
} from '../support/manifests.ts';

const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec:
  gatewayClassName: hf
  listeners:
    - { name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: All } } }
`;
const service = (name: string, namespace = 'infra', more = '') => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ports: [{ name: web, port: 8080${more} }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: ${namespace}, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ name: web, port: 3000 }]
endpoints: [{ addresses: [10.1.0.2] }, { addresses: [10.1.0.1] }, { addresses: [10.1.0.3], conditions: { ready: false } }]
`;
const route = (spec: string, { name = 'r', namespace = 'infra', kind = 'HTTPRoute' } = {}) => `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;
const TO_GATEWAY = 'parentRefs: [{ name: gw, namespace: infra }]';
const BACKEND = 'backendRefs: [{ name: one, port: 8080 }]';
const rules = (...all: readonly string[]) => `rules: [${all.map((one) => `{ ${one} }`).join(', ')}]`;
const simple = (more: string) => route(`{ ${TO_GATEWAY}, ${rules(more)} }`);

function verdict(result: ReturnType<typeof translated>, type: string, name = 'r', kind = 'HTTPRoute') {
  return conditionOf(statusOf(result, kind, name).parents[0]?.conditions, type);
}

test('a route leads to the ready pods of its Service', () => {
  const result = translated(CLASS, GATEWAY, service('one'), simple(BACKEND));
  assert.equal(verdict(result, 'Accepted'), 'True Accepted');
  assert.equal(verdict(result, 'ResolvedRefs'), 'True ResolvedRefs');
  assert.deepEqual(configurationOf(result).upstreams, {
    'infra.one.8080': { targets: ['http://10.1.0.1:3000', 'http://10.1.0.2:3000'], insecure_plain_http: true },
  });
  const [first] = routesOf(result);
  assert.deepEqual(first.match, { listeners: ['p80'], path: '/*' });
  assert.equal(first.upstream, 'infra.one.8080');
  assert.equal(statusOf(result, 'Gateway', 'gw').listeners[0].attachedRoutes, 1);
});

describe('a route is refused where', () => {
  const spec = (listener: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec: { gatewayClassName: hf, listeners: [{ name: http, port: 80, protocol: HTTP, ${listener} }] }
`;
  for (const [what, listener, text, reason] of [
    [
      'no listener has its section',
      '',
      route(`{ parentRefs: [{ name: gw, sectionName: x }], ${rules(BACKEND)} }`),
      'NoMatchingParent',
    ],
    [
      'no listener has its port',
      '',
      route(`{ parentRefs: [{ name: gw, port: 81 }], ${rules(BACKEND)} }`),
      'NoMatchingParent',
    ],
    [
      'its namespace is not allowed',
      '',
      route(`{ ${TO_GATEWAY}, ${rules(BACKEND)} }`, { namespace: 'team' }),
      'NotAllowedByListeners',
    ],
    [
      'its namespace is not selected',
      'allowedRoutes: { namespaces: { from: Selector, selector: { matchLabels: { a: b } } } }',
      route(`{ ${TO_GATEWAY}, ${rules(BACKEND)} }`, { namespace: 'team' }),
      'NotAllowedByListeners',
    ],
    [
      'the selector cannot be read',
      'allowedRoutes: { namespaces: { from: Selector, selector: { matchExpressions: [{ key: a, operator: Odd }] } } }',
      simple(BACKEND),
      'NotAllowedByListeners',
    ],
    [
      'its kind is not allowed',
      'allowedRoutes: { kinds: [{ kind: GRPCRoute }] }',
      simple(BACKEND),
      'NotAllowedByListeners',
    ],
    [
      'no hostname is shared',
      'hostname: a.example.com',
      route(`{ ${TO_GATEWAY}, hostnames: [b.example.com], ${rules(BACKEND)} }`),
      'NoMatchingListenerHostname',
    ],
  ] as const) {
    test(what, () => {
      const result = translated(CLASS, spec(listener), service('one'), text);
      assert.equal(verdict(result, 'Accepted'), `False ${reason}`);
      assert.deepEqual(pathsOf(result), []);
      assert.equal(statusOf(result, 'Gateway', 'gw').listeners[0].attachedRoutes, 0);
    });
  }
});

test('labels of a namespace are looked up, and a namespace that is not known has none', () => {
  const selecting = (selector: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec:
  gatewayClassName: hf
  listeners: [{ name: a, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: Selector, selector: ${selector} } } }]
---
apiVersion: v1
kind: Namespace
metadata: { name: team, labels: { env: prod, tier: web } }
`;
  for (const [selector, admitted] of [
    ['{ matchLabels: { env: prod } }', true],
    ['{ matchLabels: { env: dev } }', false],
    ['{ matchLabels: { constructor: a } }', false],
    ['{ matchExpressions: [{ key: env, operator: In, values: [prod, dev] }] }', true],
    ['{ matchExpressions: [{ key: env, operator: NotIn, values: [prod] }] }', false],
    ['{ matchExpressions: [{ key: toString, operator: Exists }] }', false],
    ['{ matchExpressions: [{ key: other, operator: DoesNotExist }] }', true],
    ['{}', true],
  ] as const) {
    const result = translated(
      CLASS,
      selecting(selector),
      route(`{ ${TO_GATEWAY}, ${rules(BACKEND)} }`, { namespace: 'team' }),
    );
    assert.equal(verdict(result, 'Accepted')?.split(' ')[0], admitted ? 'True' : 'False', selector);
  }
});

describe('a backend that cannot be had is answered 500:', () => {
  for (const [what, backend, more, reason] of [
    ['it is not there', '{ name: none, port: 8080 }', '', 'BackendNotFound'],
    ['its port is not there', '{ name: one, port: 1 }', '', 'BackendNotFound'],
    ['it is of another kind', '{ name: one, kind: Odd, port: 8080 }', '', 'InvalidKind'],
    ['it is of another group', '{ name: one, group: odd.example, port: 8080 }', '', 'InvalidKind'],
    [
      'it is in another namespace',
      '{ name: far, namespace: far, port: 8080 }',
      service('far', 'far'),
      'RefNotPermitted',
    ],
    [
      'it is a name of elsewhere',
      '{ name: out, port: 8080 }',
      'apiVersion: v1\nkind: Service\nmetadata: { name: out, namespace: infra }\nspec: { type: ExternalName, externalName: a.example, ports: [{ port: 8080 }] }\n',
      'BackendNotFound',
    ],
  ] as const) {
    test(what, () => {
      const result = translated(CLASS, GATEWAY, service('one'), more, simple(`backendRefs: [${backend}]`));
      assert.equal(verdict(result, 'Accepted'), 'True Accepted');
      assert.equal(verdict(result, 'ResolvedRefs'), `False ${reason}`);
      assert.deepEqual(routesOf(result)[0].upstreams, [{ weight: 1 }]);
    });
  }
});

test('backends share requests by weight; what is not there keeps its share, and gets 500 for it', () => {
  const backends =
    '[{ name: one, port: 8080, weight: 7 }, { name: none, port: 1, weight: 2 }, { name: one, port: 8080, weight: 1 }, { name: two, port: 8080, weight: 0 }]';
  const result = translated(CLASS, GATEWAY, service('one'), service('two'), simple(`backendRefs: ${backends}`));
  assert.deepEqual(routesOf(result)[0].upstreams, [
    { name: 'infra.one.8080', weight: 8 },
    { weight: 2 },
    { name: 'infra.two.8080', weight: 0 },
  ]);
  const none = translated(CLASS, GATEWAY, simple('matches: []'));
  assert.deepEqual(routesOf(none)[0].upstreams, [{}]);
});

test('matches become those of the configuration', () => {
  const result = translated(
    CLASS,
    GATEWAY,
    service('one'),
    route(
      `{ ${TO_GATEWAY}, hostnames: ["*.Example.com"], ${rules(
        `${BACKEND}, matches: [{ path: { type: Exact, value: /a } }, { path: { type: PathPrefix, value: /b/ }, method: POST }]`,
        `${BACKEND}, matches: [{ headers: [{ name: X-Env, value: canary }, { name: x-env, value: other }], queryParams: [{ name: v, value: "2" }] }]`,
      )} }`,
    ),
  );
  const host = '**.example.com';
  assert.deepEqual(
    routesOf(result).map(({ match }) => match),
    [
      { listeners: ['p80'], host, path: '/a' },
      { listeners: ['p80'], host, path: '/b/*', methods: ['POST'], head: false },
      { listeners: ['p80'], host, path: '/*', headers: { 'x-env': 'canary' }, query: { v: '2' } },
    ],
  );
});

test('of equal matches the older route stays, then the first by name, then the first rule', () => {
  const timed = (name: string, time: string) =>
    route(`{ ${TO_GATEWAY}, ${rules(BACKEND)} }`, { name }).replace(
      'namespace:',
      `creationTimestamp: "${time}", namespace:`,
    );
  const winner = (...texts: readonly string[]) =>
    routesOf(translated(CLASS, GATEWAY, service('one'), ...texts)).map(({ name }) => name);
  const [early, late] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'];
  assert.deepEqual(winner(timed('a', late), timed('b', early)), ['infra.b.0.0.0.0']);
  assert.deepEqual(winner(timed('b', early), timed('a', early)), ['infra.a.0.0.0.0']);
  assert.deepEqual(winner(route(`{ ${TO_GATEWAY}, ${rules(BACKEND, BACKEND)} }`)), ['infra.r.0.0.0.0']);
});

describe('what is not supported is never served as if it were not there:', () => {
  for (const [what, text] of [
    ['a path by expression', `${BACKEND}, matches: [{ path: { type: RegularExpression, value: /a } }]`],
    ['a path with a star', `${BACKEND}, matches: [{ path: { type: Exact, value: "/a/*" } }]`],
    ['a path that no request has', `${BACKEND}, matches: [{ path: { type: Exact, value: "/a/../b" } }]`],
  ] as const) {
    test(`${what} refuses the route`, () => {
      const result = translated(CLASS, GATEWAY, service('one'), route(`{ ${TO_GATEWAY}, ${rules(text, BACKEND)} }`));
      assert.equal(verdict(result, 'Accepted'), 'False UnsupportedValue');
      assert.deepEqual(pathsOf(result), []);
    });
  }
  for (const [what, text] of [
    ['a member of a match', `${BACKEND}, matches: [{ path: { value: /a }, cookies: [] }]`],
    [
      'a field by expression',
      `${BACKEND}, matches: [{ path: { value: /a }, headers: [{ type: RegularExpression, name: a, value: b }] }]`,
    ],
    [
      'a field that is a credential',
      `${BACKEND}, matches: [{ path: { value: /a }, headers: [{ name: Authorization, value: b }] }]`,
    ],
    ['a field that cannot be read', `${BACKEND}, matches: [{ path: { value: /a }, headers: [7] }]`],
    [
      'a parameter with a name of the environment',
      `${BACKEND}, matches: [{ path: { value: /a }, queryParams: [{ name: "\${HOME}", value: b }] }]`,
    ],
    [
      'a parameter that is no name in JSON',
      `${BACKEND}, matches: [{ path: { value: /a }, queryParams: [{ name: __proto__, value: b }] }]`,
    ],
    ['a filter', `${BACKEND}, matches: [{ path: { value: /a } }], filters: [{ type: Odd }]`],
    [
      'a filter by reference',
      `${BACKEND}, matches: [{ path: { value: /a } }], filters: [{ type: ExtensionRef, extensionRef: {} }]`,
    ],
    [
      'a filter that asks another service',
      `${BACKEND}, matches: [{ path: { value: /a } }], filters: [{ type: ExternalAuth, externalAuth: { protocol: HTTP, backendRef: { name: one, port: 8080 }, http: {} } }]`,
    ],
    [
      'a filter on a backend',
      `matches: [{ path: { value: /a } }], backendRefs: [{ name: one, port: 8080, filters: [{ type: CORS }] }]`,
    ],
    ['a member of the rule', `${BACKEND}, matches: [{ path: { value: /a } }], odd: 1`],
    ['a timeout', `${BACKEND}, matches: [{ path: { value: /a } }], timeouts: { request: soon }`],
    [
      'a field that the gateway sets',
      `${BACKEND}, matches: [{ path: { value: /a } }], filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-Auth-Subject, value: root }] } }]`,
    ],
  ] as const) {
    test(`${what} is answered by the gateway itself, and the other rule is served`, () => {
      const result = translated(
        CLASS,
        GATEWAY,
        service('one'),
        route(`{ ${TO_GATEWAY}, ${rules(text, `${BACKEND}, matches: [{ path: { value: /b } }]`)} }`),
      );
      assert.equal(verdict(result, 'Accepted'), 'True Accepted');
      assert.equal(verdict(result, 'PartiallyInvalid'), 'True UnsupportedValue');
      const [odd, good] = routesOf(result);
      assert.equal(odd.match.path, '/a/*');
      assert.ok(odd.respond.status >= 500, JSON.stringify(odd));
      assert.deepEqual([good.match.path, good.upstream], ['/b/*', 'infra.one.8080']);
    });
  }
});

test('filters and timeouts become keys of the route', () => {
  const result = translated(
    CLASS,
    GATEWAY,
    service('one'),
    service('two'),
    simple(`${BACKEND}, timeouts: { request: 1m30s, backendRequest: 500ms }, filters: [
      { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-A, value: a }], add: [{ name: X-B, value: b }], remove: [X-C] } },
      { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: X-D, value: d }] } },
      { type: URLRewrite, urlRewrite: { hostname: in.example, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new/ } } },
      { type: RequestMirror, requestMirror: { backendRef: { name: two, port: 8080 }, percent: 42 } },
    ]`),
  );
  const { request_fields, response_fields, rewrite, timeouts, mirror } = routesOf(result)[0];
  assert.deepEqual(request_fields, { set: { 'X-A': 'a' }, add: { 'X-B': 'b' }, remove: ['X-C'] });
  assert.deepEqual(response_fields, { set: { 'X-D': 'd' } });
  assert.deepEqual(mirror, [{ upstream: 'infra.two.8080', percent: 42 }]);
  assert.deepEqual(rewrite, { host: 'in.example', prefix: '/new' });
  assert.deepEqual(timeouts, { total: '90000ms', response_header: '500ms' });
});

test('a redirect needs no backend', () => {
  const filter =
    '{ type: RequestRedirect, requestRedirect: { scheme: https, hostname: b.example, port: 8443, statusCode: 301 } }';
  const result = translated(CLASS, GATEWAY, simple(`filters: [${filter}]`));
  assert.equal(verdict(result, 'Accepted'), 'True Accepted');
  assert.deepEqual(routesOf(result)[0].redirect, { scheme: 'https', host: 'b.example', port: 8443, status: 301 });
});

test('redirect and rewrite in one rule exclude each other', () => {
  const both = '[{ type: RequestRedirect, requestRedirect: {} }, { type: URLRewrite, urlRewrite: {} }]';
  const result = translated(CLASS, GATEWAY, simple(`filters: ${both}`));
  assert.equal(verdict(result, 'Accepted'), 'False IncompatibleFilters');
  assert.equal(statusOf(result, 'Gateway', 'gw').listeners[0].attachedRoutes, 0);
});

test('an HTTPRoute and a GRPCRoute do not share a hostname: the older one has it', () => {
  const spec = `{ ${TO_GATEWAY}, hostnames: [a.example.com], ${rules(BACKEND)} }`;
  const result = translated(
    CLASS,
    GATEWAY,
    service('one'),
    route(spec, { name: 'h' }),
    route(spec, { name: 'g', kind: 'GRPCRoute' }),
  );
  assert.equal(verdict(result, 'Accepted', 'h'), 'True Accepted');
  assert.equal(verdict(result, 'Accepted', 'g', 'GRPCRoute'), 'False HostnameConflict');
});

test('calls of gRPC match by service and method, and reach backends over HTTP/2', () => {
  const matches =
    '[{ method: { service: a.B, method: C } }, { method: { service: a.B } }, { headers: [{ name: v, value: "1" }] }]';
  const result = translated(
    CLASS,
    GATEWAY,
    service('one'),
    route(`{ ${TO_GATEWAY}, ${rules(`${BACKEND}, matches: ${matches}`)} }`, { kind: 'GRPCRoute' }),
  );
  assert.deepEqual(pathsOf(result), ['/a.B/C', '/a.B/*', '/*']);
  assert.equal(configurationOf(result).upstreams['infra.one.8080.h2'].http2, true);
});

test('requests for the hostname of a listener are not for one with a wider hostname', () => {
  const wide = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec:
  gatewayClassName: hf
  listeners:
    - { name: all, port: 80, protocol: HTTP }
    - { name: wide, port: 80, protocol: HTTP, hostname: "*.example.com" }
    - { name: exact, port: 80, protocol: HTTP, hostname: a.example.com }
`;
  const spec = (section: string, hostnames: string) =>
    route(`{ parentRefs: [{ name: gw, sectionName: ${section} }], hostnames: ${hostnames}, ${rules(BACKEND)} }`);
  const result = translated(CLASS, wide, service('one'), spec('wide', '[a.example.com, b.example.com]'));
  const hosts = (configurationOf(result).routes as Loose[]).map(({ match, respond }) => [match.host, respond?.status]);
  assert.deepEqual(hosts, [
    ['b.example.com', undefined],
    ['a.example.com', 404],
    ['**.example.com', 404],
  ]);
});

test('an entry that is no longer ours is taken out of the status', () => {
  const text = route(`{ parentRefs: [{ name: other }], ${rules(BACKEND)} }`).replace(
    'spec:',
    'status: { parents: [{ controllerName: holdfast.internal/controller }] }\nspec:',
  );
  assert.deepEqual(statusOf(translated(CLASS, GATEWAY, text), 'HTTPRoute', 'r'), { parents: [] });
  assert.equal(statusOf(translated(CLASS, GATEWAY, text.replace(/status.*\n/, '')), 'HTTPRoute', 'r'), undefined);
});
