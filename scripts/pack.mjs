// The package.json of the package, in place of the one of the checkout during `npm pack`.
//
// A package that kept optionalDependencies would bring a second Node to every machine that it is installed on. npm has no field that
// says so, but packs the package.json that it finds after `prepack`. Plain JavaScript, for it may run under any Node.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const MANIFEST = join(ROOT, 'package.json');
/** As long as it is there, package.json is the one of the package. */
const KEPT = join(ROOT, '.package.json.kept');
/** The code of the dependencies is in dist/ (scripts/build.ts). */
const OF_A_CHECKOUT = ['scripts', 'dependencies', 'devDependencies', 'optionalDependencies'];

/** Also where an earlier `npm pack` was stopped in between. */
function restore() {
  if (existsSync(KEPT)) renameSync(KEPT, MANIFEST);
}

function strip() {
  restore();
  const text = readFileSync(MANIFEST, 'utf8');
  const left = Object.entries(JSON.parse(text)).filter(([key]) => !OF_A_CHECKOUT.includes(key));
  writeFileSync(KEPT, text);
  writeFileSync(MANIFEST, `${JSON.stringify(Object.fromEntries(left), undefined, 2)}\n`);
}

if (process.argv[2] === 'strip') strip();
else restore();
