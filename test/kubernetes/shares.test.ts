// Tests of shares: what one namespace writes takes no room from the others.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { allAtOnce } from '../../src/long-work.ts';
import { namespaceShares, type SharePart } from '../../src/kubernetes/namespace-shares.ts';
import { translate } from '../../src/kubernetes/translate.ts';
import {
  clusterOf,
  conditionOf,
  CONTROLLER,
  type Loose,
  manifests,
  NOW,
  secretOf,
  statusOf,
} from '../support/manifests.ts';
import { makeCertificate } from '../support/pki.ts';
import { GATEWAY_SECRET, sharedGateway } from '../support/shared-gateway.ts';

/** Text that does not get shorter by compression, the same in each run. */
function noise(seed: number, length: number): string {
  let text = '';
  for (let at = 0; text.length < length; at++) {
    text += createHash('sha512').update(`${seed} ${at}`).digest('base64url');
  }
  return text.slice(0, length);
}

const created = (index: number) => new Date(1_710_000_000_000 + index * 1000).toISOString();
/** Routes of some kilobytes each that hold for their own path alone. */
const routes = (namespace: string, count: number, fields: number): Loose[] =>
  Array.from({ length: count }, (_, index) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: `r${index}`, namespace, generation: 1, creationTimestamp: created(index) },
    spec: {
      parentRefs: [{ name: 'gw', namespace: 'infra' }],
      hostnames: [`${namespace}.example.com`],
      rules: [
        {
          matches: [{ path: { value: `/r${index}` } }],
          filters: [
            {
              type: 'RequestHeaderModifier',
              requestHeaderModifier: {
                set: Array.from({ length: fields }, (_unused, at) => ({
                  name: `X-H${at}`,
                  value: noise(index * 1000 + at, 4000),
                })),
              },
            },
          ],
        },
      ],
    },
  }));
const BIG = 14;
const SHARED = manifests(sharedGateway(), GATEWAY_SECRET);
/** Objects as they are: YAML of this length takes long to read. */
const world = (...objects: readonly Loose[]) =>
  translate(clusterOf([...SHARED, ...objects]), { controllerName: CONTROLLER, now: NOW });
const routesOf = ({ dataPlanes }: ReturnType<typeof world>): Loose[] =>
  (dataPlanes[0]?.configuration as Loose)?.routes.filter(({ name }: Loose) => !/^none\b/.test(name));
const accepted = (result: ReturnType<typeof world>, namespace: string) =>
  result.statuses
    .filter((one) => one.kind === 'HTTPRoute' && one.namespace === namespace)
    .map(({ name, status }) => [name, conditionOf((status as Loose).parents[0].conditions, 'Accepted')] as const);
const bytesOf = ({ dataPlanes }: ReturnType<typeof world>) =>
  gzipSync(JSON.stringify(dataPlanes[0]?.configuration)).length;

test('a namespace that fills the Secret loses its newest routes, and the others lose nothing', () => {
  const others = routes('calm', 2, 1);
  const alone = world(...others);
  const result = world(...others, ...routes('evil', 32, BIG));
  assert.ok(bytesOf(result) < 1_044_480);
  const told = accepted(result, 'evil');
  const served = told.filter(([, verdict]) => verdict === 'True Accepted').map(([name]) => name);
  assert.ok(served.length > 5 && served.length < 30, `${served.length}`);
  const newest = told.filter(([, verdict]) => verdict !== 'True Accepted');
  assert.ok(newest.every(([, verdict]) => verdict === 'False NamespaceShareExceeded'));
  const number = (name: string) => Number(name.slice(1));
  assert.ok(Math.max(...served.map(number)) < Math.min(...newest.map(([name]) => number(name))));
  assert.deepEqual(accepted(result, 'calm'), accepted(alone, 'calm'));
  const own = (one: ReturnType<typeof world>) => routesOf(one).filter(({ name }) => !name.startsWith('evil.'));
  assert.deepEqual(own(result), own(alone));
});

/** Names that have nothing in common with others. */
const odd = (index: number, what: string) => createHash('sha256').update(`${what} ${index}`).digest('hex').slice(0, 12);

/** A small route with a path, a policy and a Service with three pods for itself. */
function small(index: number): readonly Loose[] {
  const [namespace, name, service] = [`team-${index % 20}`, odd(index, 'route'), odd(index, 'service')];
  const metadata = { namespace, generation: 1, creationTimestamp: created(index) };
  return [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { ...metadata, name },
      spec: {
        parentRefs: [{ name: 'gw', namespace: 'infra' }],
        hostnames: ['api.example.com'],
        rules: [
          {
            matches: [{ path: { value: `/${odd(index, 'path')}/v1` } }],
            backendRefs: [{ name: service, port: 8080 }],
          },
        ],
      },
    },
    {
      apiVersion: 'holdfast.internal/v1alpha1',
      kind: 'HoldfastPolicy',
      metadata: { ...metadata, name },
      spec: {
        targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name }],
        scope: [`${odd(index, 'scope')}:read`],
      },
    },
    { apiVersion: 'v1', kind: 'Service', metadata: { ...metadata, name: service }, spec: { ports: [{ port: 8080 }] } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, name: service, labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      ports: [{ port: 8080, protocol: 'TCP', name: '' }],
      endpoints: [1, 2, 3].map((at) => ({
        addresses: [`10.${(index * at) % 199}.${index % 256}.${(index + at) % 256}`],
        conditions: { ready: true },
      })),
    },
  ];
}

test('a thousand small routes, each with names, policy and Service for itself, take less than a tenth of the Secret', () => {
  const result = world(...Array.from({ length: 1000 }, (_, index) => small(index)).flat());
  assert.equal(routesOf(result).length, 1001);
  assert.ok(bytesOf(result) < 104_448, `${bytesOf(result)}`);
});

test('requests for a route without room are answered 503, and are none of a wider route', () => {
  const [wide] = routes('evil', 1, 1);
  wide.metadata.name = 'wide';
  wide.spec.rules[0].matches[0].path.value = '/';
  const result = world(wide, ...routes('evil', 32, BIG));
  const withheld = routesOf(result).filter(({ respond }) => respond?.status === 503);
  assert.ok(withheld.length > 5);
  assert.equal(routesOf(result).length, 34);
  assert.deepEqual(withheld.at(-1).match, { listeners: ['p80', 'p443'], host: 'evil.example.com', path: '/r31/*' });
});

test('a namespace without room for as much as its places is out, with its listeners', async () => {
  const pair = await makeCertificate({ names: ['evil.example.com'] });
  const set = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'ListenerSet',
    metadata: { name: 'set', namespace: 'evil', generation: 1, creationTimestamp: created(0) },
    spec: {
      parentRef: { name: 'gw', namespace: 'infra' },
      listeners: Array.from({ length: 12 }, (_, at) => ({
        name: `l${at}`,
        port: 443,
        protocol: 'HTTPS',
        hostname: `h${at}.evil.example.com`,
        tls: { certificateRefs: [{ name: `own${at}` }] },
      })),
    },
  };
  const secrets = Array.from({ length: 12 }, (_, at) =>
    JSON.parse(secretOf('evil', `own${at}`, { cert: `${pair.cert}\n${noise(at, 190_000)}`, key: pair.key })),
  );
  const result = world(set, ...secrets, ...routes('evil', 2, 1));
  assert.deepEqual(
    accepted(result, 'evil').map(([, verdict]) => verdict),
    ['False NamespaceShareExceeded', 'False NamespaceShareExceeded'],
  );
  const status = statusOf(result, 'ListenerSet', 'set');
  assert.equal(conditionOf(status.conditions, 'Accepted'), 'False ListenersNotValid');
  assert.equal(conditionOf(status.listeners[0].conditions, 'Accepted'), 'False NamespaceShareExceeded');
  assert.deepEqual(
    routesOf(result).map(({ name }) => name),
    ['shop.good.0.0.0.0'],
  );
  assert.ok(bytesOf(result) < 1_044_480);
});

const part = (count: number, length: number, seed = 0): SharePart => ({
  fixed: [],
  routes: Array.from({ length: count }, (_, at) => ({
    whole: noise(seed + at, length),
    upstreams: [],
    held: 'held',
  })),
});

test('what fits is left alone, whatever its shares', () => {
  assert.deepEqual(allAtOnce(namespaceShares([], new Map([['a', part(70, 10_000)]]))), new Map());
  assert.deepEqual(
    allAtOnce(
      namespaceShares(
        [],
        new Map([
          [
            'a',
            {
              ...part(0, 0),
              routes: Array.from({ length: 20_000 }, (_, at) => ({
                whole: `${at}${'a'.repeat(400)}`,
                upstreams: [],
                held: '',
              })),
            },
          ],
        ]),
      ),
    ),
    new Map(),
  );
});

test('the bound is the largest part of the whole with which everything fits', () => {
  const parts = new Map([
    ['a', part(10, 10_000)],
    ['b', part(40, 30_000, 1000)],
    ['c', part(40, 30_000, 2000)],
  ]);
  const shares = allAtOnce(namespaceShares([], parts));
  assert.deepEqual([...shares.keys()], ['b', 'c']);
  // A quarter each: 250,000 bytes of base64, which is three quarters of its length.
  for (const served of shares.values()) assert.ok(served >= 10 && served <= 12, `${served}`);
});

test('texts that compress well are bounded as well: data planes have to read them', () => {
  const long: SharePart = {
    fixed: [],
    routes: Array.from({ length: 500 }, () => ({ whole: 'a'.repeat(131_072), upstreams: [], held: '' })),
  };
  const served = allAtOnce(namespaceShares([], new Map([['a', long]]))).get('a');
  assert.ok(served !== undefined && served > 100 && served < 257, `${served}`);
});

test('an upstream of many routes counts once', () => {
  const upstreams = [noise(1, 300_000)];
  const many: SharePart = {
    fixed: [],
    routes: Array.from({ length: 500 }, () => ({ whole: 'route', upstreams, held: '' })),
  };
  assert.deepEqual(allAtOnce(namespaceShares([], new Map([['a', many]]))), new Map());
});
