// Destinations of routes in the configuration: one upstream, several, and mistakes.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describePolicy } from '../../../src/config/report/describe.ts';
import { assertProblems, compileText, configuration, policyOf } from '../../support/policies.ts';

const UPSTREAMS = 'orders: { targets: ["http://127.0.0.1:9000"] }\ncanary: { targets: ["http://127.0.0.1:9001"] }';
const route = (upstreams: string, rest = '') =>
  `- { name: orders, match: { path: /* }, upstreams: ${upstreams}${rest} }`;

describe('upstreams of a route', () => {
  test('have their weights, of which 1 is the default', () => {
    const policy = policyOf({ upstreams: UPSTREAMS, routes: route('[{ name: orders, weight: 9 }, { name: canary }]') });
    const shares = policy.routes[0]?.split?.map(({ upstream, weight }) => [upstream?.name, weight]);
    assert.deepEqual(shares, [
      ['orders', 9],
      ['canary', 1],
    ]);
    const [described] = describePolicy(policy).routes;
    assert.equal(described?.summary.upstream, 'orders 90 %, canary 10 %');
    assert.match(described?.upstream ?? '', /^90 % to orders \(http:.*\), 10 % to canary \(/);
  });

  test('stand in place of upstream, each once, and are declared', () => {
    assertProblems({ upstreams: UPSTREAMS, routes: route('«[{ name: orders }]', ', upstream: orders') }, [
      'routes[0].upstreams: stands next to upstream, expected one of the two',
    ]);
    assertProblems({ upstreams: UPSTREAMS, routes: route('[{ name: orders }, { name: «orders }]') }, [
      'routes[0].upstreams[1].name: is there before, expected each upstream once',
    ]);
    assertProblems({ upstreams: UPSTREAMS, routes: route('[{ name: «canari }, { name: orders }]') }, [
      'routes[0].upstreams[0].name: is not a declared upstream, did you mean canary?',
    ]);
  });

  test('are nothing for a listener that only decides', () => {
    const listeners =
      '- { name: public, bind: "127.0.0.1:0", mode: decide, dialect: forwarded, trusted_peers: [{ cidr: 127.0.0.1/32 }], origins: ["http://localhost:8080"] }';
    const compiled = compileText(
      configuration({ listeners, upstreams: UPSTREAMS, routes: route('[{ name: orders }]') }),
    );
    assert.ok('problems' in compiled);
    assert.match(
      compiled.problems.map(({ message }) => message).join(),
      /is nothing that listener public can do \(mode: decide\)/,
    );
  });

  test('whose weights are all 0, and an upstream without a target, are warned of', () => {
    const compiled = compileText(
      configuration({ upstreams: 'orders: { targets: [] }', routes: route('[{ name: orders, weight: 0 }]') }),
    );
    assert.ok('warnings' in compiled);
    assert.deepEqual(
      compiled.warnings.map(({ message }) => message),
      [
        'is empty: every request is refused (upstream_without_targets)',
        'has no weight above 0: every request is answered 500 (upstream_absent)',
      ],
    );
  });
});

describe('mirrors of a route', () => {
  const copied = (mirror: string, rest = '') =>
    `- { name: orders, match: { path: /* }, upstream: orders, mirror: [${mirror}]${rest} }`;

  test('are upstreams, each once, and none of those that get the requests', () => {
    const message = 'gets requests of this route already, expected each upstream once';
    for (const routes of [copied('{ upstream: «orders }'), copied('{ upstream: canary }, { upstream: «canary }')]) {
      const at = routes.includes('canary') ? 1 : 0;
      assertProblems({ upstreams: UPSTREAMS, routes }, [`routes[0].mirror[${at}].upstream: ${message}`]);
    }
    assertProblems({ upstreams: UPSTREAMS, routes: copied('{ upstream: «nowhere }') }, [
      'routes[0].mirror[0].upstream: is not a declared upstream, expected one of: orders, canary',
    ]);
  });

  test('are described with their share, and use their upstream', () => {
    const compiled = compileText(
      configuration({ upstreams: UPSTREAMS, routes: copied('{ upstream: canary, percent: 12.5 }') }),
    );
    assert.ok('policy' in compiled);
    assert.deepEqual(compiled.warnings, []);
    const [described] = describePolicy(compiled.policy).routes;
    assert.match(described?.forwards.join() ?? '', /a copy of 12.5 % of the requests to canary \(http/);
  });
});
