// Mutation tests of the rooms that decide, one after the other (docs/mutation.md).

import { spawnSync } from 'node:child_process';

/** Fetched when it is used: it brings 176 packages that nobody else needs. */
const STRYKER = ['exec', '--yes', '--package=@stryker-mutator/core@10.1.1', '--', 'stryker', 'run'];

/** Rooms that decide → the tests that have to notice, where they are not those of the folder of the same name. */
const ROOMS: Readonly<Record<string, string | undefined>> = {
  http: undefined,
  jose: undefined,
  rejection: undefined,
  token: undefined,
  binding: undefined,
  certificate: undefined,
  proof: undefined,
  policy: undefined,
  enforce: 'test/enforce/*.test.ts test/truth/*.test.ts',
};

const named = process.argv.slice(2);

for (const room of named.length > 0 ? named : Object.keys(ROOMS)) {
  console.log(`\n== ${room}`);
  // stryker.config.json takes the tests from the environment.
  const env = { ...process.env, TESTS: ROOMS[room] ?? `test/${room}/*.test.ts` };
  const mutated = room === 'enforce' ? 'src/enforce.ts' : `src/${room}/*.ts`;
  const { status } = spawnSync('npm', [...STRYKER, '--mutate', mutated], { stdio: 'inherit', env });
  if (status !== 0) process.exitCode = 1;
}
