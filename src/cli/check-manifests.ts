// `holdfast check` of Kubernetes manifests: the configurations in their ConfigMaps.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Problem } from '../config/problem.ts';
import { EXIT } from './commands.ts';
import { type Loaded, loadPolicy } from './load.ts';
import { type Printed, printFailure } from './printed.ts';

/** The key of a ConfigMap that holds a configuration; other keys are files beside it. */
const KEY = 'holdfast.yaml';

/** A pipe brings nothing where the command before it failed, and a shell does not say so by itself. */
const EMPTY = 'standard input is empty; expected a configuration or Kubernetes objects';
const PIPE = 'Look at what the command before the pipe said: set -o pipefail makes its failure that of the pipe.';

type Json = Readonly<Record<string, unknown>>;

/** A ConfigMap with a configuration. */
interface Found {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
}

/**
 * Checks every configuration once, with the files that lie beside it in its ConfigMap; others are in volumes, and not here.
 * @param text whatever came on standard input
 * @param print one configuration, as if it had come alone
 * @returns undefined where the text is no Kubernetes objects; exit 78 if any configuration has problems, or there is none
 */
export function checkManifests(text: string, print: (loaded: Loaded) => Printed, json: boolean): Printed | undefined {
  if (text.trim() === '') return printFailure(EXIT.configuration, EMPTY, json, `${PIPE}\n`);
  const objects = readObjects(text);
  if (objects === undefined) return undefined;
  const found = findConfigurations(objects);
  if (found.length === 0) return printFailure(EXIT.configuration, `no ConfigMap here has a key ${KEY}`, json);
  const printed = found.map((one) => ({ name: one.name, ...print(loadFrom(one)) }));
  const exit = Math.max(...printed.map((one) => one.exit));
  if (json) {
    const configurations = printed.map(({ name, stdout }) => ({ configMap: name, ...(JSON.parse(stdout) as Json) }));
    return {
      exit,
      stdout: `${JSON.stringify({ valid: exit === EXIT.ok, configurations }, undefined, 2)}\n`,
      stderr: '',
    };
  }
  const stdout = printed.map((one) => (one.stdout === '' ? '' : `ConfigMap ${one.name}\n\n${one.stdout}`));
  return { exit, stdout: stdout.join(''), stderr: printed.map(({ stderr }) => stderr).join('') };
}

/** Objects of a stream, lists taken apart; undefined where it is something else, such as a configuration. */
function readObjects(text: string): readonly Json[] | undefined {
  const documents = parseAllDocuments(text, { logLevel: 'silent' });
  if (!Array.isArray(documents) || documents.some(({ errors }) => errors.length > 0)) return undefined;
  const objects = documents.map((document) => document.toJS() as unknown).filter((one) => one !== null);
  if (objects.length === 0 || !objects.every(isObject)) return undefined;
  return objects.flatMap((one) => (Array.isArray(one['items']) ? one['items'].filter(isObject) : [one]));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && 'apiVersion' in value && 'kind' in value;
}

/** A chart has the same configuration twice, once for the Job that checks it. */
function findConfigurations(objects: readonly Json[]): readonly Found[] {
  const found = new Map<string, Found>();
  for (const { kind, metadata, data } of objects) {
    if (kind !== 'ConfigMap' || typeof data !== 'object' || data === null || !Object.hasOwn(data, KEY)) continue;
    const files = Object.entries(data).filter(([name, content]) => isFileName(name) && typeof content === 'string');
    const content = JSON.stringify(files.toSorted(([one], [other]) => (one < other ? -1 : 1)));
    const name = String((metadata as Json | undefined)?.['name']);
    if (!found.has(content)) found.set(content, { name, files: Object.fromEntries(files) });
  }
  return [...found.values()];
}

/** What Kubernetes takes as a key of a ConfigMap, and no way out of a folder. */
function isFileName(name: string): boolean {
  return /^[-._a-zA-Z0-9]+$/.test(name) && !/^\.\.?$/.test(name);
}

/** A folder for a moment, since patterns of `include` are matched against real files. */
function loadFrom({ name, files }: Found): Loaded {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-check-'));
  try {
    for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content, { mode: 0o600 });
    const loaded = loadPolicy(join(folder, KEY), undefined, true);
    const renamed = (problems: readonly Problem[]) =>
      problems.map((one) => ({ ...one, file: one.file.replace(`${folder}/`, `ConfigMap ${name}: `) }));
    if ('problems' in loaded) return { ...loaded, problems: renamed(loaded.problems) };
    return { ...loaded, warnings: renamed(loaded.warnings) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
