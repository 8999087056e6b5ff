// The package as users install it: by npm from a registry, and run from another folder.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { Command } from '../gateway/command.ts';
import { writePolicy } from '../support/gateway.ts';
import { INSTALLING } from '../support/programs.ts';
import { env, pack } from './packing.ts';

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

describe('npm install --global', () => {
  let packed: ReturnType<typeof pack>;
  let program: string;
  before(() => {
    packed = pack();
    const prefix = join(packed.folder, 'prefix');
    const args = ['install', '--global', '--prefix', prefix, '--prefer-offline', '--loglevel=error', packed.file];
    execFileSync('npm', args, { env, cwd: packed.folder, stdio: ['ignore', 'ignore', 'inherit'] });
    program = join(prefix, 'bin/holdfast');
  }, INSTALLING);
  after(() => packed.remove());

  test('puts the command on the path, and no second Node beside it', () => {
    assert.equal(execFileSync(program, ['version'], { env, encoding: 'utf8' }), `holdfast ${version}\n`);
    assert.ok(!existsSync(join(packed.folder, 'prefix/bin/node')));
    // What is there is compiled code, kept by the start above.
    assert.deepEqual(readdirSync(join(packed.folder, 'prefix/lib/node_modules/holdfast/node_modules')), ['.cache']);
  });

  test('serves, with no package beside it', async (t) => {
    const gateway = new Command(t, ['serve', '--config', writePolicy(t, { more: 'workers: 2' })], '', [program]);
    await gateway.logged('serving');
    gateway.signal('SIGTERM');
    assert.equal((await gateway.ended).exit, 0);
  });

  test('reads relative names in the folder of who called it', () => {
    const { status, stderr } = spawnSync(program, ['check', 'a.yaml'], { env, cwd: packed.folder, encoding: 'utf8' });
    assert.equal(status, 78);
    assert.match(stderr, new RegExp(`looked for it at ${packed.folder}/a\\.yaml$`, 'm'));
  });
});
