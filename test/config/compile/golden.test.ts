// Good configurations, from the file to the table that each compiles to.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compilePolicy } from '../../../src/config/compile/compile.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { readPolicyFile } from '../../../src/config/read/read.ts';
import type { Demand, PathNode, Policy, Route, RouteGroup } from '../../../src/policy/policy.ts';

const FOLDER = join(import.meta.dirname, '../../policies/good');
const CONFIGURATIONS = globSync('*.yaml', { cwd: FOLDER });

function compiled(name: string): Policy {
  const read = readPolicyFile(join(FOLDER, name), { env: {} });
  const result = 'problems' in read ? read : compilePolicy(read, 0);
  if ('policy' in result) return result.policy;
  assert.fail(result.problems.map(formatProblem).join('\n'));
}

/** Everything that was compiled but what depends on the text alone; issuers and upstreams by name where routes refer to them. */
function summary(policy: Policy): string {
  const { id, managedFields, routeTable, routes, listeners, issuers, upstreams, resourceMetadata, ...others } = policy;
  const rest = {
    ...others,
    ...(resourceMetadata.size > 0 && { resourceMetadata: [...resourceMetadata] }),
    withoutUpstreamNonce: [...others.withoutUpstreamNonce].map(({ name }) => name),
  };
  assert.ok(/^[0-9a-f]{8}$/.test(id) && managedFields.names.has('dpop'));
  const table = [...routeTable].flatMap(([listener, { exact, wildcard, subdomains, every }]) => [
    ...[...exact].flatMap(([host, node]) => lines(`${listener} ${host}`, node)),
    ...[...wildcard].flatMap(([host, node]) => lines(`${listener} *.${host}`, node)),
    ...[...subdomains].flatMap(([host, node]) => lines(`${listener} **.${host}`, node)),
    ...lines(`${listener} any host`, every),
  ]);
  const sections = Object.entries({
    listener: listeners,
    issuer: issuers,
    upstream: upstreams,
    route: routes.map(brief),
  });
  const items = sections.flatMap(([kind, all]) =>
    all.flatMap(({ name, ...item }) => [`${kind} ${name}`, ...keys(item)]),
  );
  return [...items, 'rest', ...keys(rest), 'table', ...table.map((line) => `  ${line}`), ''].join('\n');
}

/** One line for each key; what is undefined is left out. */
function keys(item: object): readonly string[] {
  const given = Object.entries(item).filter(([, value]) => value !== undefined);
  return given.map(([key, value]) => `  ${key}: ${JSON.stringify(value instanceof Set ? [...value] : value)}`);
}

function brief({ demand, shadow, upstream, split, mirrors, forward, ...rest }: Route): { readonly name: string } {
  const named = ({ issuers, ...others }: Demand) => ({ issuers: issuers.map(({ name }) => name), ...others });
  const { identity, ...forwarding } = forward;
  const fields = identity.map(
    ({ field, source }) => `${field}: ${'fact' in source ? `@${source.fact}` : source.claims.join()}`,
  );
  return {
    ...rest,
    upstream: upstream.name,
    ...(split && { split: split.map((share) => ({ ...share, upstream: share.upstream?.name })) }),
    ...(mirrors && { mirrors: mirrors.map((mirror) => ({ ...mirror, upstream: mirror.upstream.name })) }),
    demand: named(demand),
    ...(shadow && { shadow: named(shadow) }),
    forward: forwarding,
    identity: fields,
  } as { readonly name: string };
}

function lines(place: string, node: PathNode | undefined): readonly string[] {
  return groups(node)
    .toSorted((a, b) => b.rank - a.rank)
    .map(
      ({ routes, allow, ordered = routes }) =>
        `${place} ${routes[0]?.match.path} ${allow} → ${ordered.map(({ name }) => name).join(', ')}`,
    );
}

function groups(node: PathNode | undefined): readonly RouteGroup[] {
  if (node === undefined) return [];
  const inner = [...node.literals.values(), node.anySegment].flatMap(groups);
  return [node.exact, node.below, ...inner].filter((group) => group !== undefined);
}

for (const name of CONFIGURATIONS) {
  test(`${name} compiles to what is written beside it`, () => {
    const expected = readFileSync(join(FOLDER, name.replace('.yaml', '.compiled.txt')), 'utf8');
    assert.equal(summary(compiled(name)), expected);
  });
}

test('there are good configurations to compile', () => {
  assert.ok(CONFIGURATIONS.length >= 3);
});
