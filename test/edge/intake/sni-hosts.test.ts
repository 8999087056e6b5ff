// Hosts that SNI tells apart: requests on the connection of another host.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '../../../src/edge/listen/connection.ts';
import { compileIntake, readFacts } from '../../../src/edge/intake/facts.ts';
import { compileManagedFields } from '../../../src/policy/managed-fields.ts';
import { otherConnection } from '../../../src/edge/intake/origin.ts';
import { Rejection } from '../../../src/rejection/rejection.ts';
import { cpuTime } from '../../support/cpu-time.ts';
import { makeListener } from '../../support/edge.ts';

const ORIGINS = ['*', '*:8443'].map((authority) => ({
  scheme: 'https' as const,
  authority,
  pathPrefix: '',
  wildcard: true,
}));
const HOSTS = ['two.example', '**.wild.example', 'four.wild.example'];

/** A request for a host over a connection for a name. @param sniHosts undefined: none are told apart */
function ask(
  servername: string | undefined,
  host: string,
  trusted = false,
  sniHosts: readonly string[] | undefined = HOSTS,
) {
  const tls = { certificates: [], minVersion: 'TLSv1.2', ...(sniHosts && { sniHosts: new Set(sniHosts) }) } as const;
  const listener = makeListener({ tls, origins: ORIGINS });
  const rules = compileIntake(listener, compileManagedFields([], [listener]), 'holdfast-test');
  const connection: Connection = {
    remoteAddress: '192.0.2.7',
    remotePort: 1,
    localAddress: '192.0.2.1',
    localPort: 2,
    servername,
    evidence: undefined,
    trustedUntil: trusted ? Number.POSITIVE_INFINITY : 0,
  };
  const request = { method: 'GET', target: '/', httpVersion: '1.1', rawHeaders: ['Host', host] };
  const facts = readFacts(request, connection, rules, 1);
  return facts instanceof Rejection ? facts : undefined;
}

for (const [named, asked] of [
  ['one.example', 'one.example'],
  ['one.example', 'other.example'],
  ['two.example', 'two.example'],
  ['TWO.example', 'two.EXAMPLE:8443'],
  ['three.wild.example', 'five.a.wild.example'],
  ['four.wild.example', 'four.wild.example'],
  [undefined, 'two.example'],
] as const) {
  test(`a request for ${asked} is taken on a connection for ${named ?? 'no name'}`, () => {
    assert.equal(ask(named, asked), undefined);
  });
}

for (const [named, asked] of [
  ['one.example', 'two.example'],
  ['two.example', 'one.example'],
  ['two.example', 'two.example.'],
  ['three.wild.example', 'four.wild.example'],
  ['four.wild.example', 'five.wild.example'],
  ['three.wild.example', 'wild.example'],
  ['a\u0000b', 'two.example'],
] as const) {
  test(`a request for ${asked} is misdirected on a connection for ${JSON.stringify(named)}`, () => {
    assert.equal(ask(named, asked)?.reason, 'misdirected');
  });
}

test('a thousand times as many hosts cost no more', () => {
  const many = Array.from({ length: 50_000 }, (_, nth) => `**.h${nth}.example`);
  const [few, all] = [many.slice(0, 50), many].map((patterns) => {
    const sniHosts = new Set(patterns);
    const asked = { scheme: 'https', authority: 'a.b.h7.example' } as const;
    const refuse = () => {
      for (let times = 0; times < 2000; times++) otherConnection(sniHosts, 'one.example', asked);
    };
    refuse();
    return Math.min(...Array.from({ length: 5 }, () => cpuTime(refuse)));
  });
  assert.ok(Number(all) < 20 * Number(few), `${all} against ${few}`);
});

test('the refusal says both names, and for whom the connection was', () => {
  const { facts } = ask('one.example', 'two.example') ?? assert.fail('it was taken');
  assert.deepEqual(facts, {
    what: 'SNI',
    differs: 'value',
    expected: ['one.example'],
    received: 'two.example',
    receivedIn: 'Host',
  });
});

test('what a trusted peer passes on came over other connections, and without the key nothing is compared', () => {
  assert.equal(ask('balancer.internal', 'two.example', true), undefined);
  assert.equal(ask('one.example', 'two.example', false, []), undefined);
});
