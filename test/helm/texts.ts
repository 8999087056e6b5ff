// Texts under `config:` that reach the gateway unchanged, in any version of YAML.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { readSource } from '../../src/config/read/source.ts';
import { run } from '../gateway/command.ts';
import { deployFolder, DEPLOYED, FOLDERS } from './deployed.ts';
import { configurationOf, goldenFile, readObjects, valuesFile } from './golden.ts';
import { skip, template, templateText } from './helm.ts';
import { findTool } from './tools.ts';

type Json = Record<string, unknown>;

/** The configuration of a rendering, as the gateway reads it: YAML 1.2, core schema. */
function readRendered(stdout: string): Json {
  const { data, problems } = readSource(
    'holdfast.yaml',
    configurationOf({ name: '', objects: readObjects(stdout) }),
    {},
  );
  assert.deepEqual(problems, []);
  return data as Json;
}

function claimsOf(config: Json): Json {
  const routes = config['routes'] as readonly Json[];
  return routes.find(({ name }) => name === 'orders')?.['claims'] as Json;
}

describe('texts under config', { skip }, () => {
  test('of every strange kind arrive equal, and what YAML 1.1 alone takes for a boolean is the only thing that two readers see differently', () => {
    const text = readFileSync(valuesFile('words'), 'utf8');
    const [old, core] = (['1.1', 'core'] as const).map((schema) => {
      const { config } = parse(text, { version: schema === '1.1' ? '1.1' : '1.2' }) as { config: Json };
      return config;
    });
    const rendered = readRendered(template('words').stdout);
    for (const key of ['routes', 'drain', 'replay', 'log', 'listeners'])
      assert.deepEqual(rendered[key], old?.[key], key);
    assert.deepEqual(claimsOf(rendered), claimsOf(core ?? {}));
    // `request: off`, unquoted: the gateway takes the boolean for none.
    const [listener] = rendered['listeners'] as readonly Json[];
    assert.deepEqual(listener?.['client_certificate'], { request: false });
  });

  test('of any characters arrive equal', () => {
    const claim = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string(), TRICKY);
    const texts = fc.sample(claim.filter(isText), { numRuns: 2000, seed: 1 });
    const route = { name: 'orders', match: { path: '/orders/*' }, upstream: 'orders', require: 'dpop' };
    const values = { config: { routes: [{ ...route, claims: { any: texts } }] } };
    const { status, stdout, stderr } = template('smallest', values);
    assert.equal(status, 0, stderr);
    assert.deepEqual(claimsOf(readRendered(stdout)), { any: texts });
  });

  test('and files beside them arrive equal, byte by byte', () => {
    const files = {
      'a.yaml': '# c\nroutes: [] # x\n\n',
      'b.yaml': 'on: "no"\n\ttab\n',
      'c.yaml': ' leading\n"quoted": \\n',
    };
    const objects = readObjects(template('smallest', { files }).stdout);
    const maps = objects.filter(({ kind }) => kind === 'ConfigMap');
    assert.equal(maps.length, 2);
    for (const { data } of maps)
      assert.deepEqual({ ...data, 'holdfast.yaml': undefined }, { ...files, 'holdfast.yaml': undefined });
  });
});

/** `${` is the environment's. Lone surrogates are no text. */
const isText = (text: string) => !text.includes('$') && text.isWellFormed();
const TRICKY = fc.stringMatching(/^[-+~?:.,|>&*!%@`"'#{}[\]<=\\ 0-9a-zA-Z_\n\t]{0,12}$/);

describe('what helm template prints', { skip }, () => {
  test('can be piped into holdfast check before it is merged', async (t) => {
    for (const name of ['smallest', 'teams', 'two-listeners', 'behind-ingress', 'words']) {
      const { exit, stdout, stderr } = await run(t, ['check', '-'], template(name).stdout);
      assert.deepEqual([exit, stderr], [0, ''], name);
      assert.match(stdout, /^ConfigMap gw-holdfast\n\nroute /);
    }
  });

  test('is refused by holdfast check at its place in the ConfigMap', async (t) => {
    const { stdout } = template('smallest', {
      config: { defaults: { require: 'token' }, upstreams: { other: { targets: ['https://x'] } } },
    });
    const wrong = stdout.replaceAll('"upstream": "orders"', '"upstream": "oders"');
    const { exit, stderr } = await run(t, ['check', '-c', '-'], wrong);
    assert.equal(exit, 78);
    assert.match(stderr, /^ConfigMap gw-holdfast: holdfast\.yaml:\d+:\d+ routes\[0\]\.upstream: /m);
  });

  test('passes the very check that the Job makes before an upgrade', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-job-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const objects = readObjects(readFileSync(goldenFile('teams'), 'utf8'));
    const job = objects.find(({ kind }) => kind === 'Job');
    const [container] = job?.['spec'].template.spec.containers ?? [];
    const [volume] = job?.['spec'].template.spec.volumes ?? [];
    const map = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === volume.configMap.name);
    for (const [file, content] of Object.entries(map?.['data'] ?? {}))
      writeFileSync(join(folder, file), String(content));
    const args = container.args.map((one: string) => one.replace('/etc/holdfast', folder));
    const { exit, stderr } = await run(t, args);
    assert.deepEqual([exit, stderr], [0, '']);
  });
});

/** Values on docs/kubernetes.md, by what they are: whole ones for the edge or a sidecar, or more for those of `base`. */
const PAGE = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8');
const BLOCKS = [...PAGE.matchAll(/^```yaml (edge|sidecar|more)\n(.*?)^```$/gms)].map(([, kind = '', text = '']) => ({
  kind,
  text,
}));
const UNDER: Readonly<Record<string, string | undefined>> = { more: 'smallest', sidecar: 'application' };

describe('the values on docs/kubernetes.md', { skip }, () => {
  for (const [index, { kind, text }] of BLOCKS.entries()) {
    test(`number ${index + 1} (${kind}) are rendered, and pass holdfast check`, async (t) => {
      const { status, stdout, stderr } = templateText(text, UNDER[kind]);
      assert.equal(status, 0, stderr);
      const checked = await run(t, ['check', '-'], stdout);
      assert.deepEqual([checked.exit, checked.stderr], [0, '']);
    });
  }

  test('are all of its YAML but the dependency and the Deployment, which other tests look at', () => {
    assert.equal(PAGE.match(/^```yaml/gm)?.length, BLOCKS.length + 2);
  });
});

const kustomize = findTool('kustomize');

describe('what kustomize builds of deploy/', { skip: 'skip' in kustomize ? kustomize.skip : false }, () => {
  for (const [index, folder] of FOLDERS.entries()) {
    test(`${folder}: is what the other tests look at`, () => {
      const file = 'file' in kustomize ? kustomize.file : '';
      const { status, stdout, stderr } = spawnSync(file, ['build', deployFolder(folder)], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      const title = ({ kind, metadata }: Json) => `${String(kind)} ${(metadata as Json)['name'] as string}`;
      const built = readObjects(stdout).toSorted((one, other) => (title(one) < title(other) ? -1 : 1));
      const expected = (DEPLOYED[index]?.objects ?? []).toSorted((one, other) => (title(one) < title(other) ? -1 : 1));
      const text = JSON.stringify(expected).replaceAll('"image":"holdfast"', '"image":"holdfast:0.1.0"');
      assert.deepEqual(built, JSON.parse(text));
    });
  }
});
