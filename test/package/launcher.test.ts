// The command of the package under another Node than it needs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { ROOT } from '../../scripts/generate.ts';

const LAUNCHER = readFileSync(join(ROOT, 'bin/holdfast.cjs'), 'utf8');
const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

describe('the command under another Node', () => {
  /** Runs the launcher as a Node of this version would. */
  function launch(node: string, built = true) {
    const said = { stderr: '', exit: undefined as number | undefined, required: '', heard: [] as string[] };
    const exit = (code: number) => {
      said.exit = code;
      throw new Error('ended');
    };
    const fs = { readFileSync, existsSync: () => built };
    const modules: Record<string, unknown> = { fs, path: { join } };
    const require = (name: string) => modules[name] ?? (said.required = name);
    const process = {
      versions: { node },
      execPath: '/usr/bin/node',
      stderr: { write: (text: string) => (said.stderr += text) },
      exit,
      on: (signal: string) => said.heard.push(signal),
    };
    try {
      runInNewContext(LAUNCHER.replace(/^#!.*/, ''), { require, process, __dirname: join(ROOT, 'bin') });
    } catch (error) {
      assert.equal((error as Error).message, 'ended');
    }
    return said;
  }
  const needed = String(engines.node).replace('>=', '');

  for (const node of ['8.17.0', '20.20.2', '25.99.99']) {
    test(`${node} is told which one is needed, and nothing is started`, () => {
      const { stderr, exit, required } = launch(node);
      assert.match(
        stderr,
        new RegExp(
          `^holdfast: needs Node ${needed} or later, and this is Node ${node} \\(/usr/bin/node\\): install .*\\n$`,
        ),
      );
      assert.deepEqual([exit, required], [1, '']);
    });
  }

  for (const node of [needed, '26.10.0', '100.0.0']) {
    test(`${node} starts the program`, () => {
      const { stderr, exit, required, heard } = launch(node);
      assert.deepEqual([stderr, exit, required], ['', undefined, join(ROOT, 'dist/main.js')]);
      assert.deepEqual(heard, ['SIGUSR1'], 'no moment in which it would open an inspector');
    });
  }

  test('a checkout that was not built says how to go on', () => {
    assert.match(launch(needed, false).stderr, /dist\/main\.js is not there: .*npm run build/);
  });

  test('is written in the syntax of Node that nobody uses any more, or it could not say so', () => {
    const code = LAUNCHER.replaceAll(/\/\*\*[^]*?\*\/|\/\/.*/g, '').replaceAll(/'[^'\n]*'/g, '0');
    assert.doesNotMatch(code, /=>|`|\?\.|\?\?|\b(?:const|let|class|async|await|import)\b|,\s*\)/);
  });
});
