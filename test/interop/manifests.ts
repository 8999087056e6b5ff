// The manifests of deploy/istio and deploy/gateway-api against published schemas.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Gateway } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/Gateway';
import { HTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';
import { ReferenceGrant } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1beta1/ReferenceGrant';
import { DestinationRule } from '@kubernetes-models/istio/networking.istio.io/v1/DestinationRule';
import { AuthorizationPolicy } from '@kubernetes-models/istio/security.istio.io/v1/AuthorizationPolicy';
import { parseAllDocuments } from 'yaml';
import { DEPLOY } from './neighbours/rig.ts';

const KINDS = { Gateway, HTTPRoute, ReferenceGrant, AuthorizationPolicy, DestinationRule } as const;

/** Kinds of Kubernetes itself: its API server takes them in test/cluster/istio.cluster.ts. */
const CORE: ReadonlySet<string> = new Set(['Role', 'RoleBinding']);

interface Manifest {
  readonly kind: keyof typeof KINDS;
  readonly spec: Readonly<Record<string, unknown>>;
}

function readManifests(folder: string): readonly Manifest[] {
  const files = readdirSync(join(DEPLOY, folder)).filter((file) => !file.endsWith('-values.yaml'));
  const all = files.flatMap((file) =>
    parseAllDocuments(readFileSync(join(DEPLOY, folder, file), 'utf8')).map((one) => one.toJS() as Manifest),
  );
  return all.filter(({ kind }) => !CORE.has(kind));
}

/**
 * Throws what the schema says. The published schema is that of the standard channel, which has no ExternalAuth: such filters are
 * taken out, and held against the experimental channel's members below.
 */
function validate(manifest: Manifest): void {
  const Kind = KINDS[manifest.kind] as unknown as new (data: object) => { validate(): void };
  const standard = JSON.parse(JSON.stringify(manifest, (name, value: unknown) => (name === 'filters' ? [] : value)));
  new Kind(standard as object).validate();
}

const filtersOf = ({ spec }: Manifest) =>
  (
    spec as { rules?: { filters?: { type: string; externalAuth: Record<string, object | string> }[] }[] }
  ).rules?.flatMap(({ filters = [] }) => filters) ?? [];

for (const folder of ['istio', 'gateway-api']) {
  test(`every manifest of deploy/${folder} fits its schema`, () => {
    const manifests = readManifests(folder);
    assert.ok(manifests.length >= 3);
    for (const manifest of manifests) validate(manifest);
  });
}

test('the filters ask Holdfast, over each protocol with the members of that protocol alone', () => {
  const filters = readManifests('gateway-api').flatMap(filtersOf);
  assert.deepEqual(
    filters.map(({ type, externalAuth }) => [type, externalAuth['protocol'], Object.keys(externalAuth).toSorted()]),
    [
      ['ExternalAuth', 'GRPC', ['backendRef', 'grpc', 'protocol']],
      ['ExternalAuth', 'HTTP', ['backendRef', 'http', 'protocol']],
    ],
  );
});

test('a manifest with a wrong word is refused, so that the schemas are known to say something', () => {
  const changed = (kind: Manifest['kind'], word: string, other: string) => {
    const found = ['istio', 'gateway-api'].flatMap(readManifests).find((one) => one.kind === kind);
    return JSON.parse(JSON.stringify(found).replace(word, other)) as Manifest;
  };
  assert.throws(() => validate(changed('HTTPRoute', 'PathPrefix', 'Prefix')));
  assert.throws(() => validate(changed('AuthorizationPolicy', 'CUSTOM', 'ASK')));
});
