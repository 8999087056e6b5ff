// Trusted peers: ranges without strangers, or the key that names the risk.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from '../../../src/config/problem.ts';
import {
  assertProblems,
  compileText,
  configuration,
  policyOf,
  type Sections,
  warningsOf,
} from '../../support/policies.ts';

const listener = (keys: string): Sections => ({
  listeners: `- name: public\n  bind: "127.0.0.1:0"\n  origins: ["http://localhost:8080"]\n${keys}\n`,
});

function problemsOf(keys: string): string {
  const compiled = compileText(configuration(listener(`  ${keys}`)));
  return 'problems' in compiled ? compiled.problems.map(formatProblem).join('\n') : '';
}

test('ranges that have a large part of all addresses need a key that names the risk', () => {
  const about = (share: number, version: string, verb = 'is') =>
    `${verb} ${share} % of all ${version} addresses: nearly anybody who reaches this port chooses origin, client address and certificate`;
  const peers = (...cidrs: string[]) =>
    `trusted_peers: [${cidrs.map((cidr) => `{ cidr: "${cidr}", forwarding: x-forwarded }`).join(', ')}]`;
  const expected =
    ', expected the addresses of the proxy, certificate_san with cidr, or insecure_trusted_peers: true on the listener';
  assertProblems(listener('  trusted_peers: [{ cidr: 10.0.0.0/8 }, { cidr: «0.0.0.0/0 }]'), [
    `listeners[0].trusted_peers[1].cidr: ${about(100, 'IPv4', 'and the other ranges are')}${expected}`,
  ]);
  const eighths = Array.from({ length: 8 }, (_, index) => `${index * 32}.0.0.0/3`);
  for (const [cidrs, share, version] of [
    [['0.0.0.0/0'], 100, 'IPv4'],
    [['0.0.0.0/1', '128.0.0.0/1'], 100, 'IPv4'],
    [['128.1.2.3/1'], 50, 'IPv4'],
    [eighths, 100, 'IPv4'],
    [eighths.slice(1, 3), 25, 'IPv4'],
    [Array.from({ length: 255 }, (_, index) => `${index + 1}.0.0.0/8`), 100, 'IPv4'],
    [['::ffff:0.0.0.0/96'], 100, 'IPv4'],
    [['::ffff:0:0/97', '::ffff:128.0.0.0/97'], 100, 'IPv4'],
    // What has the IPv4-mapped addresses in it has all of IPv4.
    [['::/64'], 100, 'IPv4'],
    [['::/0'], 100, 'IPv4'],
    [['2000::/3'], 100, 'IPv6'],
    [['2000::/4', '3000::/4'], 100, 'IPv6'],
    [['2a00::/7'], 6, 'IPv6'],
  ] as const) {
    const verb = cidrs.length === 1 ? 'is' : 'and the other ranges are';
    assert.match(
      problemsOf(peers(...cidrs)),
      new RegExp(`trusted_peers\\[\\d+\\]\\.cidr: ${verb} ${share} % of all ${version} addresses`),
      cidrs.join(),
    );
    const [warning = ''] = warningsOf(listener(`  ${peers(...cidrs)}\n  insecure_trusted_peers: true\n`));
    assert.ok(warning.endsWith(about(share, version, verb)), warning);
  }
});

test('ranges of proxies, private networks and large providers need none, nor does a range beside a name', () => {
  for (const peers of [
    [
      '10.0.0.0/8',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '100.64.0.0/10',
      'fc00::/7',
      'fe80::/10',
      '127.0.0.0/8',
      '::1/128',
    ],
    [
      '173.245.48.0/20',
      '104.16.0.0/13',
      '2606:4700::/32',
      '2a06:98c0::/29',
      '13.0.0.0/8',
      '52.0.0.0/8',
      '2600:1f00::/24',
    ],
    ['0.0.0.0/5'],
  ]) {
    assert.deepEqual(
      warningsOf(
        listener(
          `  trusted_peers: [${peers.map((cidr) => `{ cidr: "${cidr}", forwarding: x-forwarded }`).join(', ')}]`,
        ),
      ),
      [],
    );
  }
  const named = 'trusted_peers: [{ cidr: 0.0.0.0/0, certificate_san: lb.internal }]';
  assert.doesNotMatch(problemsOf(named), /addresses/);
});

test('a peer says who called it in the fields that the configuration names, or in either', () => {
  const { listeners } = policyOf(
    listener(
      '  trusted_peers: [{ cidr: 10.0.0.1/32, forwarding: x-forwarded }, { cidr: 10.0.0.2/32, forwarding: forwarded }, { cidr: 10.0.0.3/32 }]',
    ),
  );
  assert.deepEqual(
    listeners[0]?.trustedPeers.map(({ forwarding }) => forwarding),
    ['x-forwarded', 'forwarded', undefined],
  );
});
