// Every rendering against Kubernetes: schemas, Pod Security, fitting objects.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Certificate } from '@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { Job } from 'kubernetes-models/batch/v1/Job';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ValidatingAdmissionPolicy } from 'kubernetes-models/admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy';
import { ValidatingAdmissionPolicyBinding } from 'kubernetes-models/admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import { REASON_NAMES } from '../../src/rejection/rejection.ts';
import { DEPLOYED } from './deployed.ts';
import { CASES, containersOf, gatewayOf, type KubernetesObject, podsOf, readGolden, type Rendering } from './golden.ts';
import { breaches } from './pod-security.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Labels of every metric that docs/metrics.md lists. */
const METRICS = new Map(
  [...readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8').matchAll(/^\| `(\w+)` \| \w+ \| ([^|]*) \|/gm)].map(
    ([, metric = '', labels = '']) => [metric, [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label)],
  ),
);
/** Labels that Prometheus adds. */
const ADDED = ['namespace', 'service'];
const RENDERINGS = [...CASES.map(readGolden), ...DEPLOYED];

/** Where the package has each kind, and its class. */
const KINDS: Readonly<Record<string, readonly [module: string, model: new (data: never) => { validate(): void }]>> = {
  Certificate: ['@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate', Certificate],
  ConfigMap: ['kubernetes-models/v1/ConfigMap', ConfigMap],
  Deployment: ['kubernetes-models/apps/v1/Deployment', Deployment],
  HorizontalPodAutoscaler: ['kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler', HorizontalPodAutoscaler],
  Job: ['kubernetes-models/batch/v1/Job', Job],
  Namespace: ['kubernetes-models/v1/Namespace', Namespace],
  NetworkPolicy: ['kubernetes-models/networking.k8s.io/v1/NetworkPolicy', NetworkPolicy],
  PodDisruptionBudget: ['kubernetes-models/policy/v1/PodDisruptionBudget', PodDisruptionBudget],
  PrometheusRule: ['@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule', PrometheusRule],
  Secret: ['kubernetes-models/v1/Secret', Secret],
  Service: ['kubernetes-models/v1/Service', Service],
  ServiceAccount: ['kubernetes-models/v1/ServiceAccount', ServiceAccount],
  ValidatingAdmissionPolicy: [
    'kubernetes-models/admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy',
    ValidatingAdmissionPolicy,
  ],
  ValidatingAdmissionPolicyBinding: [
    'kubernetes-models/admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding',
    ValidatingAdmissionPolicyBinding,
  ],
  ServiceMonitor: ['@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor', ServiceMonitor],
};

const title = ({ kind, metadata }: KubernetesObject) => `${kind} ${metadata.name}`;

/** What TypeScript says against objects as literals of their types: keys that do not exist, wrong types. Empty: nothing. */
function objectionsOf(renderings: readonly Rendering[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-types-'));
  try {
    const lines = renderings.flatMap(({ name, objects }) =>
      objects.map((object) => {
        const [module = ''] = KINDS[object.kind] ?? [];
        return `export const ${object.kind}: import('${module}').I${object.kind} = ${JSON.stringify(object)}; // ${name}`;
      }),
    );
    const files = lines.map((line, index) => {
      writeFileSync(join(folder, `${index}.ts`), `${line}\n`);
      return `${index}.ts`;
    });
    const modules = join(ROOT, 'node_modules/*');
    const compilerOptions = { noEmit: true, strict: true, skipLibCheck: true, module: 'esnext', types: [] };
    const paths = { paths: { '*': [modules] }, moduleResolution: 'bundler' };
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...compilerOptions, ...paths }, files }),
    );
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    return spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8', cwd: folder }).stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('no object of any rendering has a key that Kubernetes does not know, and the check knows one that has', () => {
  const wrong = structuredClone(readGolden('smallest'));
  const deployment = wrong.objects.find(({ kind }) => kind === 'Deployment');
  deployment!['spec'].template.spec.containers[0].readinessProb = {};
  assert.match(objectionsOf([wrong]), /readinessProb/);
  assert.equal(objectionsOf(RENDERINGS), '');
});

for (const rendering of RENDERINGS) {
  const { name, objects } = rendering;
  describe(name, () => {
    test('every object is valid by the schema of its kind', () => {
      for (const object of objects) {
        const [, Model] = KINDS[object.kind] ?? [];
        assert.ok(Model, `${object.kind} has no schema here`);
        assert.doesNotThrow(() => new Model(object as never).validate(), title(object));
      }
    });

    test('every pod meets the restricted Pod Security Standard, and has no token', () => {
      for (const pod of podsOf(objects)) {
        assert.deepEqual(breaches(pod), []);
        assert.equal(pod['spec'].automountServiceAccountToken, false);
      }
      for (const one of objects.filter(({ kind }) => kind === 'ServiceAccount'))
        assert.equal(one['automountServiceAccountToken'], false);
    });

    test('names are names, each once, and selectors find their pods', () => {
      const names = objects.map(title);
      assert.deepEqual(names, [...new Set(names)]);
      for (const { metadata } of objects) assert.match(metadata.name, /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
      const { pod } = gatewayOf(rendering);
      const selectors = objects.flatMap(({ kind, spec }) => {
        if (kind === 'Service') return [spec.selector];
        if (['Deployment', 'PodDisruptionBudget'].includes(kind)) return [spec.selector.matchLabels];
        return kind === 'NetworkPolicy' ? [spec.podSelector.matchLabels] : [];
      });
      assert.ok(selectors.length > 0);
      for (const selector of selectors)
        assert.deepEqual({ ...pod['metadata'].labels, ...selector }, pod['metadata'].labels);
    });

    test('everything that is mounted is a volume, nothing by subPath, and the configuration is where the gateway looks', () => {
      for (const pod of podsOf(objects)) {
        const volumes = (pod['spec'].volumes ?? []).map((volume: KubernetesObject) => volume['name']);
        for (const { volumeMounts = [] } of containersOf(pod)) {
          for (const mount of volumeMounts) {
            assert.ok(volumes.includes(mount.name), mount.name);
            assert.ok(!('subPath' in mount || 'subPathExpr' in mount), mount.name);
          }
        }
      }
      const { container } = gatewayOf(rendering);
      const mount = container['volumeMounts'].find((one: KubernetesObject) => one['mountPath'] === '/etc/holdfast');
      assert.deepEqual(
        [container['args'], mount.readOnly],
        [['serve', '--config', '/etc/holdfast/holdfast.yaml'], true],
      );
    });

    test('ports of Service, policy and probes are ports of the container', () => {
      const { container } = gatewayOf(rendering);
      const ports = new Map<string, number>(
        container['ports'].map((port: KubernetesObject) => [port['name'], port['containerPort']]),
      );
      const numbers = container['ports'].map(({ containerPort }: KubernetesObject) => containerPort);
      for (const { spec } of objects.filter(({ kind }) => kind === 'Service')) {
        for (const { targetPort } of spec.ports) assert.ok(numbers.includes(targetPort), String(targetPort));
      }
      for (const { spec } of objects.filter(({ kind }) => kind === 'NetworkPolicy')) {
        const open = spec.ingress.flatMap((rule: KubernetesObject) =>
          rule['ports'].map((one: KubernetesObject) => one['port']),
        );
        assert.deepEqual(open.toSorted(), numbers.toSorted());
      }
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        assert.equal(container[probe].httpGet.port, 'telemetry');
        assert.ok(ports.has('telemetry'));
      }
    });

    test('alerts speak of metrics, labels and reasons that there are', () => {
      for (const { spec } of objects.filter(({ kind }) => kind === 'PrometheusRule')) {
        const all: KubernetesObject[] = spec.groups.flatMap((group: KubernetesObject) => group['rules']);
        const records = new Set(all.map(({ record }) => record));
        for (const { expr } of all) {
          const used = [...String(expr).matchAll(/(?<![:\w])(holdfast_\w+?)(?:_bucket)?\{([^}]*)\}/g)];
          const recorded = [...String(expr).matchAll(/([a-z]+:\w+:\w+)(?:\{([^}]*)\})?/g)];
          assert.ok(used.length + recorded.length > 0 || String(expr).startsWith('up{namespace='), expr);
          for (const [, name = '', selector = ''] of recorded) {
            assert.ok(records.has(name), name);
            assert.match(selector, /^namespace="[^"]+",service="[^"]+"/, 'of this release alone');
          }
          for (const [, metric = '', selector = ''] of used) {
            assert.ok(METRICS.has(metric), metric);
            const labels = [...selector.matchAll(/(\w+)=/g)].map(([, label]) => label ?? '');
            assert.deepEqual(
              labels.filter((label) => ![...ADDED, ...METRICS.get(metric)!].includes(label)),
              [],
            );
          }
          for (const [, reason] of String(expr).matchAll(/reason="(\w+)"/g))
            assert.ok((REASON_NAMES as readonly string[]).includes(reason ?? ''), `${reason}`);
        }
      }
    });
  });
}

test('every key of values.yaml has a comment above it, lies under one that has, or is described key by key', () => {
  const text = readFileSync(join(ROOT, 'helm/holdfast/values.yaml'), 'utf8').split('\n');
  const bare = text.filter(
    (line, index) =>
      /^[a-zA-Z]+:/.test(line) && !/^\s*#/.test(text[index - 1] ?? '') && !isDescribedInside(text, index),
  );
  assert.deepEqual(bare, []);
});

/** A mapping whose keys are described one by one, or that stands right under a key that is described. */
function isDescribedInside(lines: readonly string[], index: number): boolean {
  return /^\s+#/.test(lines[index + 1] ?? '') || /^[a-zA-Z]/.test(lines[index - 1] ?? '');
}

test('docs/kubernetes.md shows the Deployment of the application that is rendered here', () => {
  const page = readFileSync(join(ROOT, 'docs/kubernetes.md'), 'utf8');
  const shown = /^```yaml deployment\n(.*?)^```$/ms.exec(page)?.[1];
  assert.equal(shown, readFileSync(join(ROOT, 'test/helm/application/templates/deployment.yaml'), 'utf8'));
});
