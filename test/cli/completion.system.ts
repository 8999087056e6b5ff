// Completion in real shells: commands, options, files and words of a kind.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { completionScript } from '../../src/cli/completion.ts';
import { findProgram, INSTALLING } from '../support/programs.ts';

/** What is typed, with what has to be among the offers and what must not. */
const CASES: readonly (readonly [typed: string, offered: readonly string[], not: readonly string[]])[] = [
  ['', ['serve', 'check', 'explain', 'why'], ['--without-files']],
  ['ch', ['check'], ['serve']],
  ['check --', ['--json', '--without-files', '--config'], ['--method']],
  ['explain --to', ['--token-file'], ['--proof-file']],
  ['explain --method P', ['POST', 'PUT', 'PATCH'], ['GET']],
  ['completion ', ['bash', 'zsh', 'fish'], []],
  ['check po', ['policy.yaml'], ['other.yaml']],
  ['check -c po', ['policy.yaml'], ['other.yaml']],
];

function inFolder<T>(shell: 'bash' | 'zsh' | 'fish', use: (folder: string, script: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-completion-'));
  try {
    for (const name of ['policy.yaml', 'other.yaml']) writeFileSync(join(folder, name), '');
    const script = join(folder, `script.${shell}`);
    writeFileSync(script, completionScript(shell));
    return use(folder, script);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function assertOffers(complete: (typed: string) => readonly string[]): void {
  for (const [typed, offered, not] of CASES) {
    const offers = complete(typed);
    for (const one of offered)
      assert.ok(offers.includes(one), `"${typed}" offers ${offers.join(' ')}, expected ${one}`);
    for (const one of not) assert.ok(!offers.includes(one), `"${typed}" offers ${one}`);
  }
}

describe('completion', () => {
  let [bash, zsh, fish] = ['', '', ''];
  before(async () => {
    [bash, zsh, fish] = await Promise.all([findProgram('bash'), findProgram('zsh'), findProgram('fish')]);
  }, INSTALLING);

  test('in bash', () => {
    inFolder('bash', (folder, script) => {
      assertOffers((typed) => {
        const words = ['holdfast', ...typed.split(' ')].map((word) => `'${word}'`).join(' ');
        const ask = `source ${script}; COMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _holdfast; printf '%s\\n' "\${COMPREPLY[@]}"`;
        return execFileSync(bash, ['--norc', '-c', ask], { cwd: folder, encoding: 'utf8' }).trim().split('\n');
      });
    });
  });
  test('in fish', () => {
    inFolder('fish', (folder, script) => {
      assertOffers((typed) => {
        const ask = `source ${script}; complete -C 'holdfast ${typed}'`;
        const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
        const said = execFileSync(fish, ['--no-config', '-c', ask], { cwd: folder, encoding: 'utf8', env });
        return said.split('\n').map((line) => line.split('\t')[0] ?? '');
      });
    });
  });
  test('in zsh, whose functions of completion take what they are given', () => {
    inFolder('zsh', (folder, script) => {
      // Without a terminal there is no completion: _arguments and _describe say what they were told.
      const stubs = `compdef() { :; }; _files() { :; }
_describe() { print -l -- \${(P)2}; }
_arguments() { for spec in "$@"; do print -r -- "$spec"; done; }`;
      const ask = (words: string) => `${stubs}\nsource ${script}\nwords=(${words}); CURRENT=\${#words}; _holdfast`;
      const told = (words: string) =>
        execFileSync(zsh, ['--no-rcs', '-c', ask(words)], { cwd: folder, encoding: 'utf8' })
          .trim()
          .split('\n');
      assert.ok(told("holdfast ''").some((line) => line.startsWith('check:list all problems')));
      const options = told("holdfast explain ''");
      for (const option of ['--token-file[', '--method[', '--json[']) {
        assert.ok(
          options.some((line) => line.includes(option)),
          option,
        );
      }
      assert.ok(
        options.some((line) => /^\(-c --config\)-c\[.*\]:FILE:_files$/.test(line)),
        options.join('\n'),
      );
      assert.ok(told("holdfast completion ''").includes('1:SHELL:(bash zsh fish)'));
    });
  });
});
