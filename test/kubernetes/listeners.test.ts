// Tests of the listeners of Gateways and ListenerSets, and of their conditions.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CLASS,
  conditionOf,
  configurationOf,
  type Loose,
  NOW,
  secretOf,
  statusOf,
  translated,
} from '../support/manifests.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';

const pair = await makeCertificate({ names: ['a.example.com', '*.example.com'] });
const other = await makeCertificate({ names: ['b.example.com'] });
const ca = await makeCa();

const gateway = (listeners: string, more = '') => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec:
  gatewayClassName: hf
  ${more}
  listeners: ${listeners}
`;
const https = (name: string, rest: string) => `{ name: ${name}, port: 443, protocol: HTTPS, ${rest} }`;
const cert = (rest = '') => `tls: { certificateRefs: [{ name: cert${rest} }] }`;

/** `TYPE: STATUS REASON` of all conditions of a listener. */
function verdicts(status: Loose, listener: string): Record<string, string | undefined> {
  const found = status.listeners.find((one: { name: string }) => one.name === listener);
  return Object.fromEntries(
    ['Accepted', 'Conflicted', 'ResolvedRefs', 'Programmed'].map((type) => [
      type,
      conditionOf(found?.conditions, type),
    ]),
  );
}

const GOOD = {
  Accepted: 'True Accepted',
  Conflicted: 'False NoConflicts',
  ResolvedRefs: 'True ResolvedRefs',
  Programmed: 'True Programmed',
};

test('a listener that is valid says so, and its Gateway waits for the data plane', () => {
  const result = translated(CLASS, gateway('[{ name: a, port: 80, protocol: HTTP }]'));
  const status = statusOf(result, 'Gateway', 'gw');
  assert.deepEqual(verdicts(status, 'a'), GOOD);
  assert.equal(conditionOf(status.conditions, 'Accepted'), 'True Accepted');
  assert.equal(conditionOf(status.conditions, 'Programmed'), 'False AddressNotAssigned');
  assert.deepEqual(
    status.listeners[0].supportedKinds.map(({ kind }: { kind: string }) => kind),
    ['HTTPRoute', 'GRPCRoute'],
  );
  assert.deepEqual(result.dataPlanes[0]?.ports, [{ name: 'p80', port: 80, targetPort: 10_080 }]);
});

describe('a certificate that cannot be used keeps a listener from serving:', () => {
  const refused = (reason: string) => ({
    ...GOOD,
    ResolvedRefs: `False ${reason}`,
    Programmed: 'False Invalid',
  });
  for (const [what, listener, secret, reason] of [
    ['no Secret', cert(), '', 'InvalidCertificateRef'],
    ['another kind', cert(', kind: Odd'), secretOf('infra', 'cert', pair), 'InvalidCertificateRef'],
    ['another group', cert(', group: a.b'), secretOf('infra', 'cert', pair), 'InvalidCertificateRef'],
    ['no PEM', cert(), secretOf('infra', 'cert', { cert: 'Hello', key: 'Hello' }), 'InvalidCertificateRef'],
    [
      "another one's key",
      cert(),
      secretOf('infra', 'cert', { cert: pair.cert, key: other.key }),
      'InvalidCertificateRef',
    ],
    ['another namespace', cert(', namespace: far'), secretOf('far', 'cert', pair), 'RefNotPermitted'],
  ] as const) {
    test(what, () => {
      const status = statusOf(translated(CLASS, gateway(`[${https('a', listener)}]`), secret), 'Gateway', 'gw');
      assert.deepEqual(verdicts(status, 'a'), refused(reason));
      assert.equal(conditionOf(status.conditions, 'Programmed'), 'False Invalid');
    });
  }

  test('one that has expired', () => {
    const listeners = gateway(`[${https('a', cert())}]`);
    const late = translated({ now: NOW + 1e9 }, CLASS, listeners, secretOf('infra', 'cert', pair));
    assert.deepEqual(verdicts(statusOf(late, 'Gateway', 'gw'), 'a'), refused('InvalidCertificateRef'));
  });
});

describe('a grant in the namespace of a Secret', () => {
  const grant = (from: string, to: string, namespace = 'far') => `
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: { name: g, namespace: ${namespace} }
spec: { from: [${from}], to: [${to}] }
`;
  const gateways = '{ group: gateway.networking.k8s.io, kind: Gateway, namespace: infra }';
  const secrets = '{ group: "", kind: Secret }';
  for (const [what, text, granted] of [
    ['for all Secrets', grant(gateways, secrets), true],
    ['for this Secret', grant(gateways, '{ group: "", kind: Secret, name: cert }'), true],
    ['for another Secret', grant(gateways, '{ group: "", kind: Secret, name: other }'), false],
    ['for another kind', grant(gateways, '{ group: "", kind: Service }'), false],
    [
      'from another kind',
      grant('{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: infra }', secrets),
      false,
    ],
    ['from another group', grant('{ group: "", kind: Gateway, namespace: infra }', secrets), false],
    [
      'from another namespace',
      grant('{ group: gateway.networking.k8s.io, kind: Gateway, namespace: far }', secrets),
      false,
    ],
    ['in the namespace of the Gateway', grant(gateways, secrets, 'infra'), false],
  ] as const) {
    test(`${what} ${granted ? 'counts' : 'does not count'}`, () => {
      const listeners = gateway(`[${https('a', cert(', namespace: far'))}]`);
      const status = statusOf(translated(CLASS, listeners, secretOf('far', 'cert', pair), text), 'Gateway', 'gw');
      assert.equal(verdicts(status, 'a')['ResolvedRefs'], granted ? 'True ResolvedRefs' : 'False RefNotPermitted');
    });
  }
});

test('kinds of routes that are not known are told, and the others stay', () => {
  const listener = (kinds: string) =>
    gateway(`[{ name: a, port: 80, protocol: HTTP, allowedRoutes: { kinds: ${kinds} } }]`);
  const mixed = statusOf(translated(CLASS, listener('[{ kind: Odd }, { kind: HTTPRoute }]')), 'Gateway', 'gw');
  assert.deepEqual(verdicts(mixed, 'a'), { ...GOOD, ResolvedRefs: 'False InvalidRouteKinds' });
  assert.equal(mixed.listeners[0].supportedKinds.length, 1);
  const odd = statusOf(translated(CLASS, listener('[{ kind: HTTPRoute, group: odd.example }]')), 'Gateway', 'gw');
  assert.deepEqual(odd.listeners[0].supportedKinds, []);
  assert.equal(verdicts(odd, 'a')['Programmed'], 'False Invalid');
});

test('protocols, modes, ports and hostnames that are not served are not accepted', () => {
  const listeners = `[
    { name: tcp, port: 1000, protocol: TCP },
    { name: tls, port: 1001, protocol: TLS, tls: { mode: Passthrough } },
    { name: port, port: 60000, protocol: HTTP },
    { name: host, port: 1002, protocol: HTTP, hostname: "a.*.example.com" },
    { name: good, port: 80, protocol: HTTP },
  ]`;
  const result = translated(CLASS, gateway(listeners));
  const status = statusOf(result, 'Gateway', 'gw');
  const accepted = (name: string) => verdicts(status, name)['Accepted'];
  assert.equal(accepted('tcp'), 'False UnsupportedProtocol');
  assert.equal(accepted('tls'), 'False UnsupportedProtocol');
  assert.equal(accepted('port'), 'False PortUnavailable');
  assert.equal(accepted('host'), 'False UnsupportedValue');
  assert.deepEqual(status.listeners[0].supportedKinds, []);
  assert.equal(conditionOf(status.conditions, 'Accepted'), 'True ListenersNotValid');
  assert.deepEqual(
    result.dataPlanes[0]?.ports.map(({ port }) => port),
    [80],
  );
});

test('of listeners that take the same requests none serves, in whatever order they stand', () => {
  const listeners = [
    '{ name: a, port: 80, protocol: HTTP, hostname: a.example.com }',
    '{ name: b, port: 80, protocol: HTTP, hostname: A.example.com }',
    '{ name: c, port: 80, protocol: HTTP }',
    `{ name: d, port: 443, protocol: HTTP }`,
    https('e', cert()),
  ];
  for (const order of [listeners, listeners.toReversed()]) {
    const text = gateway(`[${order.join(', ')}]`);
    const status = statusOf(translated(CLASS, text, secretOf('infra', 'cert', pair)), 'Gateway', 'gw');
    for (const [name, conflict] of Object.entries({
      a: 'True HostnameConflict',
      b: 'True HostnameConflict',
      c: 'False NoConflicts',
      d: 'True ProtocolConflict',
      e: 'True ProtocolConflict',
    })) {
      assert.equal(verdicts(status, name)['Conflicted'], conflict, name);
      assert.equal(
        verdicts(status, name)['Programmed'],
        conflict.startsWith('True') ? conflict.replace('True', 'False') : 'True Programmed',
      );
    }
  }
});

describe('clients have to show a certificate', () => {
  const frontend = (validation: string) => `tls: { frontend: { default: { validation: ${validation} } } }`;
  const authorities = (namespace: string) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: ca, namespace: ${namespace} }
data: { ca.crt: ${JSON.stringify(ca.cert)} }
`;
  const both = `[${https('a', cert())}, { name: plain, port: 80, protocol: HTTP }]`;
  const listenerOf = (text: string, ...more: readonly string[]) => {
    const result = translated(CLASS, gateway(both, text), secretOf('infra', 'cert', pair), ...more);
    const status = statusOf(result, 'Gateway', 'gw');
    return { status, configuration: configurationOf(result) };
  };

  test('of the CA that the Gateway names', () => {
    const { status, configuration } = listenerOf(
      frontend('{ caCertificateRefs: [{ name: ca }] }'),
      authorities('infra'),
    );
    assert.deepEqual(verdicts(status, 'a'), GOOD);
    const secure = configuration.listeners.find(({ name }: { name: string }) => name === 'p443');
    assert.equal(secure.client_certificate.request, 'required');
    assert.equal(secure.client_certificate.verify, 'chain');
    const plain = configuration.listeners.find(({ name }: { name: string }) => name === 'p80');
    assert.equal(plain.client_certificate, undefined);
  });

  for (const [what, validation, more, reason] of [
    ['not there', '{ caCertificateRefs: [{ name: ca }] }', '', 'InvalidCACertificateRef'],
    [
      'another kind',
      '{ caCertificateRefs: [{ name: ca, kind: Service }] }',
      authorities('infra'),
      'InvalidCACertificateKind',
    ],
    ['not granted', '{ caCertificateRefs: [{ name: ca, namespace: far }] }', authorities('far'), 'RefNotPermitted'],
    ['not named', '{}', '', undefined],
    [
      'of a mode that is not known',
      '{ mode: Odd, caCertificateRefs: [{ name: ca }] }',
      authorities('infra'),
      'InvalidCACertificateRef',
    ],
  ] as const) {
    test(`and where the CA is ${what}, no one is let in`, () => {
      const { status, configuration } = listenerOf(frontend(validation), more);
      const found = verdicts(status, 'a');
      assert.equal(found['Accepted'], 'False NoValidCACertificate');
      if (reason !== undefined) assert.equal(found['ResolvedRefs'], `False ${reason}`);
      assert.deepEqual(verdicts(status, 'plain'), GOOD);
      assert.deepEqual(
        configuration.listeners.map(({ name }: { name: string }) => name),
        ['p80'],
      );
    });
  }
});

test('a certificate is chosen for the hostnames of its listeners, whatever it names', () => {
  const listeners = `[
    ${https('all', cert())},
    ${https('own', `hostname: "*.example.com", ${cert()}`)},
    ${https('other', 'hostname: b.example.com, tls: { certificateRefs: [{ name: other }] }')},
  ]`;
  const secrets = [secretOf('infra', 'cert', pair), secretOf('infra', 'other', other)];
  const certificates = (text: string) =>
    configurationOf(translated(CLASS, gateway(text), ...secrets)).listeners[0].tls.certificates;
  assert.deepEqual(
    certificates(listeners).map(({ names }: Loose) => names),
    [undefined, ['b.example.com']],
  );
  const narrow = `[${https('own', `hostname: "*.example.com", ${cert()}`)}]`;
  assert.deepEqual(
    certificates(narrow).map(({ names }: Loose) => names),
    [['**.example.com']],
  );
});

test('hostnames of several listeners of one port have separate connections', () => {
  const hosts = (listeners: string) =>
    configurationOf(translated(CLASS, gateway(listeners), secretOf('infra', 'cert', pair))).listeners[0].tls.sni_hosts;
  const all = https('all', cert());
  const own = https('own', `hostname: "*.example.com", ${cert()}`);
  const one = https('one', `hostname: a.example.com, ${cert()}`);
  assert.deepEqual(hosts(`[${all}, ${own}, ${one}]`), ['a.example.com', '**.example.com']);
  assert.equal(hosts(`[${own}]`), undefined);
  assert.equal(hosts(`[${all}]`), undefined);
});

describe('a ListenerSet', () => {
  const set = (namespace: string, listeners: string, name = 'set') => `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  parentRef: { name: gw, namespace: infra }
  listeners: ${listeners}
`;
  const allowing = (from: string) =>
    gateway('[{ name: a, port: 80, protocol: HTTP }]', `allowedListeners: { namespaces: { from: ${from} } }`);
  const mine = '[{ name: a, port: 8080, protocol: HTTP }]';

  test('is part of a Gateway that allows it, and of no other', () => {
    for (const [parent, namespace, admitted] of [
      [allowing('All'), 'team', true],
      [allowing('Same'), 'infra', true],
      [allowing('Same'), 'team', false],
      [allowing('None'), 'infra', false],
      [allowing('Odd'), 'infra', false],
      [gateway('[{ name: a, port: 80, protocol: HTTP }]'), 'infra', false],
    ] as const) {
      const result = translated(CLASS, parent, set(namespace, mine));
      const status = statusOf(result, 'ListenerSet', 'set');
      assert.equal(conditionOf(status.conditions, 'Accepted'), admitted ? 'True Accepted' : 'False NotAllowed');
      assert.equal(statusOf(result, 'Gateway', 'gw').attachedListenerSets, admitted ? 1 : 0);
      assert.deepEqual(
        result.dataPlanes[0]?.ports.map(({ port }) => port),
        admitted ? [80, 8080] : [80],
      );
    }
  });

  test('with another protocol on a port of the Gateway is told so, though the protocol is not served anyway', () => {
    const status = statusOf(
      translated(CLASS, allowing('All'), set('team', '[{ name: x, port: 80, protocol: TCP }]')),
      'ListenerSet',
      'set',
    );
    assert.deepEqual(verdicts(status, 'x'), {
      Accepted: 'False ProtocolConflict',
      Conflicted: 'True ProtocolConflict',
      ResolvedRefs: 'True ResolvedRefs',
      Programmed: 'False ProtocolConflict',
    });
    assert.equal(conditionOf(status.conditions, 'Accepted'), 'False ListenersNotValid');
  });

  test('takes nothing from a listener that was there before', () => {
    const older = set('one', '[{ name: x, port: 9000, protocol: HTTP }]', 'older');
    const younger = set(
      'two',
      '[{ name: y, port: 9000, protocol: HTTP }, { name: z, port: 80, protocol: HTTP }]',
      'younger',
    );
    const result = translated(CLASS, allowing('All'), older, younger);
    assert.equal(verdicts(statusOf(result, 'ListenerSet', 'older'), 'x')['Conflicted'], 'False NoConflicts');
    const late = statusOf(result, 'ListenerSet', 'younger');
    assert.equal(verdicts(late, 'y')['Conflicted'], 'True HostnameConflict');
    assert.equal(verdicts(late, 'z')['Conflicted'], 'True HostnameConflict');
    assert.deepEqual(verdicts(statusOf(result, 'Gateway', 'gw'), 'a'), GOOD);
  });
});
