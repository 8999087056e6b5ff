// The build: one program of the sources and of the packages that they import, in dist/.
//
// One file per thread is read and compiled in a third of the time of 500, and what a thread does not load takes no memory
// (docs/decisions/0130-one-program.md). Commands and rare features are parts that are loaded when they are needed.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';
import { FILE_KEYS, RESTART_KEYS } from '../src/config/schema/marked-keys.ts';

const ROOT = join(import.meta.dirname, '..');

/** The parts of undici that the sources of a gateway import; the controller has the whole. Its index would bring fetch, caches, WebSocket and what is in Node already. */
const UNDICI = {
  Agent: 'dispatcher/agent.js',
  Client: 'dispatcher/client.js',
  Pool: 'dispatcher/pool.js',
  buildConnector: 'core/connect.js',
};

/** The parts of prom-client that the sources import. */
const PROMETHEUS = {
  AggregatorRegistry: 'cluster.js',
  Counter: 'counter.js',
  Gauge: 'gauge.js',
  Histogram: 'histogram.js',
  Registry: 'registry.js',
  collectDefaultMetrics: 'defaultMetrics.js',
};

/** Texts in place of modules, by the end of their paths or by their names. */
const REPLACED: readonly { readonly filter: RegExp; readonly importer?: RegExp; readonly text: string }[] = [
  {
    filter: /^undici$/,
    importer: /^(?!.*\/(?:node_modules|src\/controller)\/)/,
    text: [
      ...Object.entries(UNDICI).map(([name, file]) => `export { default as ${name} } from 'undici/lib/${file}';`),
      // As its index does: without this no dispatcher has request().
      "import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';",
      "import api from 'undici/lib/api/index.js';",
      'Object.assign(Dispatcher.prototype, api);',
    ].join('\n'),
  },
  {
    filter: /\/marked-keys\.ts$/,
    text: `export const FILE_KEYS = ${JSON.stringify(FILE_KEYS)};\nexport const RESTART_KEYS = ${JSON.stringify(RESTART_KEYS)};\n`,
  },
  {
    // Without its push gateway, which brings node:https, and its summaries.
    filter: /^prom-client$/,
    text: Object.entries(PROMETHEUS)
      .map(([name, file]) => `export { default as ${name} } from 'prom-client/lib/${file}';`)
      .join('\n'),
  },
  // Targets of pino in threads of their own, which it looks for as files; our log is one stream.
  { filter: /^\.\/(?:lib\/)?transport$/, importer: /node_modules\/pino\//, text: 'module.exports = undefined;\n' },
  // prom-client looks for the current span where exemplars come without labels; ours always have theirs.
  { filter: /^@opentelemetry\/api$/, importer: /node_modules\/prom-client\//, text: 'module.exports = {};\n' },
];

/** Properties of modules of Node that cannot be names of constants. */
const RESERVED = new Set(['arguments', 'builtin', 'default', 'eval']);

const replacements: Plugin = {
  name: 'replacements',
  setup(building) {
    for (const [at, { filter, importer = /./ }] of REPLACED.entries()) {
      building.onResolve({ filter }, ({ importer: from, namespace }) =>
        namespace === 'file' && importer.test(from) ? { path: String(at), namespace: 'replaced' } : undefined,
      );
    }
    building.onLoad({ filter: /./, namespace: 'replaced' }, ({ path }) => ({
      contents: REPLACED[Number(path)]!.text,
      resolveDir: ROOT,
    }));
  },
};

/**
 * Modules of Node as plain objects. An import of one reads every property that it has, also those that load something:
 * `node:http` alone brings Node's own undici, streams and all, which takes 4 MiB and 30 ms in each thread.
 */
const builtins: Plugin = {
  name: 'builtins',
  setup(building) {
    building.onResolve({ filter: /./ }, ({ path, kind, namespace, importer }) => {
      const known = kind === 'import-statement' && namespace === 'file' && process.getBuiltinModule(path) !== undefined;
      // One for each importer: shared ones would be files that are read for one line.
      return known ? { path: path.replace(/^node:/, ''), namespace: 'builtin', suffix: `?${importer}` } : undefined;
    });
    building.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => {
      const module = process.getBuiltinModule(path) as object;
      const names = Object.getOwnPropertyNames(module).filter(
        (name) => /^[A-Za-z_$][\w$]*$/.test(name) && !RESERVED.has(name),
      );
      // Pure, so that what is not imported is left out and never read.
      const lines = names.map((name) => `export const ${name} = /* @__PURE__ */ (() => builtin.${name})();`);
      const head = `const builtin = process.getBuiltinModule('node:${path}');\nexport default builtin;`;
      return { contents: [head, ...lines].join('\n') };
    });
  },
};

/** Builds into `folder`. @returns what each file was made of */
export async function buildInto(folder: string): Promise<Metafile> {
  rmSync(folder, { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/main.ts', 'src/worker/thread.ts'],
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    chunkNames: 'parts/[name]-[hash]',
    banner: { js: "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);" },
    // Names stay, and lines stay short: the log shows where something failed.
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 160,
    legalComments: 'none',
    plugins: [replacements, builtins],
    metafile: true,
    logLevel: 'warning',
  });
  writeFileSync(join(folder, 'licenses.txt'), licensesOf(metafile));
  return metafile;
}

/** Names of the packages that are in the build. */
export function packagesIn({ inputs }: Metafile): readonly string[] {
  const names = Object.keys(inputs).flatMap(
    (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(path)?.[1] ?? [],
  );
  return [...new Set(names)].toSorted();
}

/** The licence of each package, which asks to be where its code is. */
function licensesOf(metafile: Metafile): string {
  const texts = packagesIn(metafile).map((name) => {
    const folder = join(ROOT, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
      string,
      string
    >;
    const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
    const text = file === undefined ? '' : `\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
    return `${name} ${version} (${license})\n${text}`;
  });
  return `Packages whose code is in this folder.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

if (import.meta.main) await buildInto(join(ROOT, 'dist'));
