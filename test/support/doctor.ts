// The terms of the doctor in tests: plenty of time, the real clock, chosen names.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Terms } from '../../src/cli/doctor/finding.ts';
import { NameResolver, names } from '../../src/dns/resolver.ts';
import { startNameServer, type Zone } from './name-server.ts';

/** Time for a machine at a tenth of the speed, unless the test is about time. */
export function doctorTerms(over: Partial<Terms> = {}): Terms {
  return { each: 20, signal: new AbortController().signal, now: () => Date.now() / 1000, names, ...over };
}

/** Names that this zone alone knows. */
export async function namesOf(t: TestContext, zone: Zone): Promise<NameResolver> {
  const dns = await startNameServer(t, zone);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-names-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [hostsFile, resolvConf] = [join(folder, 'hosts'), join(folder, 'resolv.conf')];
  writeFileSync(hostsFile, '');
  writeFileSync(resolvConf, 'options ndots:1\n');
  const resolver = new NameResolver({
    servers: [dns.server],
    hostsFile,
    resolvConf,
    otherwise: (name, callback) => callback(Object.assign(new Error(name), { code: 'ENOTFOUND' }), []),
  });
  t.after(() => resolver.close());
  return resolver;
}
