// Proof that the order of checks is tested: each neighbouring pair, swapped, fails a test.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './generate.ts';

/** Where the order of checks is a rule (docs/rejections.md): file → functions. */
const CHECKED: Readonly<Record<string, readonly string[]>> = {
  'src/enforce.ts': ['enforce', 'examine', 'checkCertificateEvidence'],
  'src/token/access-token.ts': ['verifySignedToken', 'checkUse'],
  'src/token/issuer-signature.ts': ['verifyIssuerSignature'],
  'src/token/access-claims.ts': ['checkTimes'],
  'src/proof/dpop-proof.ts': ['verifyProof', 'findProofKey', 'checkRequest', 'checkFreshness'],
};
const TESTS = ['test/enforce/*.test.ts', 'test/truth/*.test.ts', 'test/token/*.test.ts', 'test/proof/*.test.ts'];

interface Swap {
  readonly file: string;
  /** The first line of each of the two checks, for people. */
  readonly title: string;
  readonly text: string;
}

/** Lines of the body of a function at the top level of a formatted file: [from, to). */
function bodyOf(lines: readonly string[], name: string): readonly [number, number] {
  const start = lines.findIndex((line) => new RegExp(`^(?:export )?(?:async )?function ${name}\\(`).test(line));
  const open = lines.findIndex((line, at) => at >= start && line.endsWith('{') && !/^ {2}readonly/.test(line));
  const end = lines.findIndex((line, at) => at > open && line === '}');
  if (start === -1 || end === -1) throw new Error(`no function ${name}`);
  return [open + 1, end];
}

/** Statements of a body: a line indented by two begins one, unless it only closes or continues one. */
function statementsOf(body: readonly string[]): string[][] {
  const statements: string[][] = [];
  for (const line of body) {
    const begins = /^ {2}[^\s})\]?:]/.test(line) || line === '';
    if (begins || statements.length === 0) statements.push([line]);
    else statements.at(-1)?.push(line);
  }
  return statements.filter((statement) => statement.join('').trim() !== '');
}

/** Checks: what is declared for one goes with it; a check is what can return. */
function checksOf(statements: readonly string[][]): string[][] {
  const checks: string[][] = [[]];
  for (const statement of statements) {
    checks.at(-1)?.push(...statement);
    if (/\breturn\b/.test(statement.join(' '))) checks.push([]);
  }
  return checks.filter((check) => check.length > 0);
}

const titleOf = (check: readonly string[]) =>
  (check.findLast((line) => /return|reject/.test(line)) ?? check[0] ?? '').trim().slice(0, 90);

function swapsOf(file: string, name: string): Swap[] {
  const lines = readFileSync(join(ROOT, file), 'utf8').split('\n');
  const [from, to] = bodyOf(lines, name);
  const checks = checksOf(statementsOf(lines.slice(from, to)));
  const whole = (body: readonly string[]) => [...lines.slice(0, from), ...body, ...lines.slice(to)].join('\n');
  const neighbours = checks.slice(1).map((check, at) => {
    const before = checks[at] ?? [];
    const order = [...checks.slice(0, at), check, before, ...checks.slice(at + 2)];
    return { file, title: `${name}: ${titleOf(before)} ⇄ ${titleOf(check)}`, text: whole(order.flat()) };
  });
  return [...neighbours, ...chainSwaps(lines.slice(from, to), file, name, whole)];
}

/** Neighbours in a chain of `??`, of which each is written on its own line. */
function chainSwaps(
  body: readonly string[],
  file: string,
  name: string,
  whole: (body: readonly string[]) => string,
): Swap[] {
  return body.flatMap((line, at) => {
    const next = body[at + 1];
    if (next === undefined || !line.endsWith(' ??') || !/^\s+check/.test(line)) return [];
    const [first, second] = [line.replace(/ \?\?$/, ''), next.replace(/(?: \?\?|;)$/, '')];
    const swapped = [...body];
    swapped[at] = line.replace(first.trim(), second.trim());
    swapped[at + 1] = next.replace(second.trim(), first.trim());
    return [{ file, title: `${name}: ${first.trim()} ⇄ ${second.trim()}`, text: whole(swapped) }];
  });
}

/** Undefined: nothing noticed. */
function noticedBy(folder: string): 'types' | 'tests' | undefined {
  const run = (command: string, ...args: string[]) => spawnSync(command, args, { cwd: folder, stdio: 'ignore' }).status;
  if (run('node_modules/.bin/tsc', '--noEmit') !== 0) return 'types';
  return run('node_modules/.bin/node', '--test', '--test-isolation=none', ...TESTS) === 0 ? undefined : 'tests';
}

const folder = mkdtempSync(join(tmpdir(), 'holdfast-swaps-'));
try {
  for (const part of [
    'src',
    'test',
    'scripts',
    'quickstart',
    'bench',
    'config',
    'tsconfig.json',
    'package.json',
    'oxlint.config.ts',
  ])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const swaps = Object.entries(CHECKED).flatMap(([file, names]) => names.flatMap((name) => swapsOf(file, name)));
  let unnoticed = 0;
  console.log('| swapped | noticed by |\n| --- | --- |');
  for (const { file, title, text } of swaps) {
    writeFileSync(join(folder, file), text);
    const by = noticedBy(folder);
    if (by === undefined) unnoticed += 1;
    console.log(`| \`${file}\` ${title.replaceAll('|', '\\|')} | ${by ?? '**nothing**'} |`);
    cpSync(join(ROOT, file), join(folder, file));
  }
  console.log(`\n${swaps.length} pairs, ${unnoticed} unnoticed`);
  process.exitCode = unnoticed === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
