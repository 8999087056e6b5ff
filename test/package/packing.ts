// A package for tests, packed in a copy of the checkout, which other tests read meanwhile.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../scripts/generate.ts';

const MADE_FROM =
  'package.json package-lock.json .npmrc .gitignore README.md LICENSE CHANGELOG.md bin config schema scripts src docs/holdfast.1';

/** The Node of the tests comes first, as in every npm script. */
export const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}` };

export interface Packed {
  /** The file that npm made. */
  readonly file: string;
  /** What is in it: paths under `package/`. */
  readonly paths: readonly string[];
  /** package.json of the checkout before and after. */
  readonly manifests: readonly [before: string, after: string];
}

/** Packs into a new folder, which is removed with `remove`. */
export function pack(): Packed & { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-package-'));
  const copy = join(folder, 'checkout');
  for (const name of MADE_FROM.split(' ')) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const manifest = () => readFileSync(join(copy, 'package.json'), 'utf8');
  const before = manifest();
  const said = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: copy,
    env,
    encoding: 'utf8',
  });
  const [{ filename }] = JSON.parse(said.slice(said.indexOf('[')));
  const file = join(folder, filename);
  const listed = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trim().split('\n');
  const paths = listed.map((path) => path.replace(/^package\//, '')).toSorted();
  return {
    folder,
    file,
    paths,
    manifests: [before, manifest()],
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
