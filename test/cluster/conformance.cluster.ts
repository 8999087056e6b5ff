// The official suite of the Gateway API against the controller, and its report.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { skip as noHelm } from '../helm/helm.ts';
import { runSuite } from './conformance.ts';
import { installController, startCluster } from './gateway-parts.ts';
import { skip as noCluster } from './shared.ts';

const REPORT = join(import.meta.dirname, '../../docs/conformance-gateway-api.yaml');

/** Public routes, which is what the suite is about; certificates in namespaces that it makes as it goes. */
const VALUES = {
  image: { repository: 'holdfast', tag: 'test' },
  secrets: { clusterWide: true },
  gatewayClass: {
    parameters: {
      floor: { require: 'public' },
      withoutPolicy: 'public',
      deployment: { resources: { requests: { cpu: '100m', memory: '192Mi' } } },
    },
  },
};

interface Part {
  readonly result: string;
  readonly failedTests?: readonly string[];
}

describe('the official suite of the Gateway API', { skip: noCluster || noHelm }, () => {
  test('passes: core of HTTP and gRPC, and every extended feature that is claimed', {
    timeout: 3_600_000,
  }, async (t) => {
    const cluster = await startCluster();
    t.after(async () => await cluster.close());
    await installController(cluster, VALUES);
    const report = join(cluster.folder, 'report.yaml');
    await runSuite(
      {
        kubeconfig: cluster.kubeconfig,
        gatewayClass: 'holdfast',
        profiles: ['GATEWAY-HTTP', 'GATEWAY-GRPC'],
        report,
        version: (
          JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string }
        ).version,
        tell: (line) => void (/^ {4}--- /.test(line) && t.diagnostic(line.trim())),
      },
      (text) => process.stderr.write(`holdfast: ${text}\n`),
    );
    const text = readFileSync(report, 'utf8');
    const { profiles } = parse(text) as { profiles: readonly { name: string; core: Part; extended: Part }[] };
    for (const { name, core, extended } of profiles) {
      assert.deepEqual([name, core.result, core.failedTests ?? []], [name, 'success', []]);
      assert.deepEqual([name, extended.failedTests ?? []], [name, []]);
    }
    keep(text);
  });
});

/** The day of a run is not a difference. */
function keep(text: string): void {
  const undated = (one: string) => one.replace(/^date: .*\n/m, '');
  const before = existsSync(REPORT) ? readFileSync(REPORT, 'utf8') : '';
  if (undated(before) !== undated(text)) writeFileSync(REPORT, text);
}
