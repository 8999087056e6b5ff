// Every generated file, written, or with --check compared with what is there.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pagesOf } from '../bench/pages.ts';
import { readResults } from '../bench/results.ts';
import packageJson from '../package.json' with { type: 'json' };
import { manualPage } from '../src/cli/manual-page.ts';
import { jsonSchema } from '../src/config/schema/json-schema.ts';
import { alertTemplate } from './generate/alert-rules.ts';
import { attacksPage } from './generate/attacks-page.ts';
import { chartSchema } from './generate/chart-schema.ts';
import { clientsPage } from './generate/clients-page.ts';
import { configurationPage } from './generate/configuration-page.ts';
import { conformancePage } from './generate/conformance-page.ts';
import { parametersDefinition, policyDefinition } from './generate/custom-resources.ts';
import { decisionsPage } from './generate/decisions-page.ts';
import { FILES_WITH_FIGURES, figuresPage } from './generate/figures.ts';
import { caddyFields, haproxyFields, nginxFields, traefikFields } from './generate/front-fields.ts';
import { logPage } from './generate/log-page.ts';
import { metricsPage } from './generate/metrics-page.ts';
import { scalingChart } from './generate/scaling-chart.ts';
import { rejectionsPage } from './generate/rejections-page.ts';
import { treePage } from './generate/tree-page.ts';

export const ROOT = join(import.meta.dirname, '..');

/** Of the benchmark, once something was measured. */
function measuredPages(): readonly (readonly [path: string, render: () => string])[] {
  const results = readResults();
  if (results === undefined) return [];
  return Object.entries(pagesOf(results)).map(([path, text]) => [path, () => text]);
}

/** Path from the root of the repository → its text, made from the source. */
export const GENERATED: Readonly<Record<string, () => string | Promise<string>>> = {
  ...Object.fromEntries(measuredPages()),
  'deploy/caddy/managed-fields.caddy': caddyFields,
  'deploy/haproxy/managed-fields.txt': haproxyFields,
  'deploy/nginx/managed-fields.conf': nginxFields,
  'deploy/traefik/dynamic/managed-fields.yaml': traefikFields,
  'docs/clients.md': () => clientsPage(ROOT),
  'docs/configuration.md': () => configurationPage(ROOT),
  'docs/conformance.md': conformancePage,
  'docs/decisions/README.md': () => decisionsPage(ROOT),
  'docs/holdfast.1': () => manualPage(packageJson.version),
  'docs/log.md': logPage,
  'docs/metrics.md': metricsPage,
  'docs/neighbours-attacks.md': attacksPage,
  'docs/rejections.md': rejectionsPage,
  'docs/scaling.svg': scalingChart,
  'docs/tree.md': () => treePage(ROOT),
  'helm/holdfast-controller/crds/holdfastparameters.yaml': parametersDefinition,
  'helm/holdfast-controller/crds/holdfastpolicies.yaml': policyDefinition,
  'helm/holdfast/templates/prometheusrule.yaml': () => alertTemplate(ROOT),
  'helm/holdfast/dashboards/holdfast.json': async () =>
    await readFile(join(ROOT, 'deploy/compose/grafana/holdfast.json'), 'utf8'),
  'helm/holdfast/values.schema.json': chartSchema,
  'schema/holdfast.schema.json': () => `${JSON.stringify(jsonSchema(), undefined, 2)}\n`,
};

/** Written by hand but for figures in them, which are those of a page above. */
const WITH_FIGURES = Object.fromEntries(FILES_WITH_FIGURES.map((file) => [file, () => figuresPage(ROOT, file)]));

const RENDERED = Object.entries({ ...GENERATED, ...WITH_FIGURES });

/** Paths whose file differs from what the source says now; a missing file differs. */
export async function staleFiles(): Promise<string[]> {
  const stale: string[] = [];
  for (const [path, render] of RENDERED) {
    const written = await readFile(join(ROOT, path), 'utf8').catch(() => undefined);
    if (written !== (await render())) stale.push(path);
  }
  return stale;
}

/** In order, because the last ones read what the first ones wrote. */
async function writeStaleFiles(): Promise<void> {
  for (const [path, render] of RENDERED) {
    const text = await render();
    if ((await readFile(join(ROOT, path), 'utf8').catch(() => undefined)) === text) continue;
    await mkdir(join(ROOT, dirname(path)), { recursive: true });
    await writeFile(join(ROOT, path), text);
    console.log(`wrote ${path}`);
  }
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const stale = await staleFiles();
    for (const path of stale) console.error(`${path} is stale: run npm run generate`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    await writeStaleFiles();
  }
}
