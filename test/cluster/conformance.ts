// The official suite of the Gateway API against a cluster and one of its GatewayClasses.

import { spawn } from 'node:child_process';
import { build, type Say } from './programs.ts';

export interface SuiteWishes {
  readonly kubeconfig: string;
  readonly gatewayClass: string;
  /** Such as GATEWAY-HTTP. */
  readonly profiles: readonly string[];
  /** Extended features that are claimed; empty: those of the GatewayClass's status. */
  readonly features?: readonly string[];
  /** One test alone, by its short name. */
  readonly test?: string;
  /** Where the suite writes its own report. */
  readonly report?: string;
  /** Version of the implementation, for the report. */
  readonly version?: string;
  /** More flags of the suite: conformance/utils/flags. */
  readonly flags?: readonly string[];
  /** What it writes, line by line, as it comes. */
  readonly tell?: Say;
}

export interface SuiteResult {
  readonly passed: boolean;
  readonly output: string;
  /** Names of tests that failed, without those that only contain them. */
  readonly failed: readonly string[];
}

/** Who implements, for the report. */
const IMPLEMENTATION = [
  '--organization=holdfast',
  '--project=holdfast',
  '--url=docs/gateway-api.md',
  '--contact=SECURITY.md',
];

/** Runs it, unchanged. The first time it is built. */
export async function runSuite(wishes: SuiteWishes, say: Say): Promise<SuiteResult> {
  const file = await build('conformance.test', say);
  const { features = [], test, report, version = 'main', flags = [] } = wishes;
  const args = [
    '-test.v',
    '-test.timeout=60m',
    '-test.run=TestConformance',
    `--gateway-class=${wishes.gatewayClass}`,
    `--conformance-profiles=${wishes.profiles.join(',')}`,
    ...(features.length > 0 ? [`--supported-features=${features.join(',')}`] : []),
    ...(test === undefined ? [] : [`--run-test=${test}`]),
    ...(report === undefined ? [] : [`--report-output=${report}`]),
    ...IMPLEMENTATION,
    `--version=${version}`,
    ...flags,
  ];
  const env = { ...process.env, KUBECONFIG: wishes.kubeconfig };
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) wishes.tell?.(line);
    });
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve).once('error', reject);
  });
  const failed = [...output.matchAll(/^\s*--- FAIL: (\S+)/gm)].map(([, name = '']) => name);
  const innermost = failed.filter((name) => !failed.some((other) => other.startsWith(`${name}/`)));
  return { passed: status === 0, output, failed: innermost };
}
