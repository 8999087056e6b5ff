// The official suite of the Gateway API by hand, against the cluster of KUBECONFIG.
//
// node test/cluster/suite.ts --class NAME [--test NAME] [--report FILE] [-- FLAG …], where a FLAG is one of the suite's own.

import { parseArgs } from 'node:util';
import { runSuite } from './conformance.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    class: { type: 'string', default: 'holdfast' },
    profiles: { type: 'string', default: 'GATEWAY-HTTP,GATEWAY-GRPC' },
    features: { type: 'string', default: '' },
    test: { type: 'string' },
    report: { type: 'string' },
  },
});
const say = (text: string) => process.stderr.write(`holdfast: ${text}\n`);
const kubeconfig = process.env['KUBECONFIG'];
if (kubeconfig === undefined) {
  say('KUBECONFIG is not set: node test/cluster/up.ts starts a cluster and prints it');
  process.exitCode = 1;
} else {
  const result = await runSuite(
    {
      kubeconfig,
      gatewayClass: values.class,
      profiles: values.profiles.split(','),
      features: values.features === '' ? [] : values.features.split(','),
      ...(values.test !== undefined && { test: values.test }),
      ...(values.report !== undefined && { report: values.report }),
      flags: positionals,
      tell: (line) => process.stdout.write(`${line}\n`),
    },
    say,
  );
  say(result.passed ? 'the suite passed' : `failed: ${result.failed.join(', ') || 'before its first test'}`);
  process.exitCode = result.passed ? 0 : 1;
}
