// Mutation testing of the rooms that decide, one after the other, each by its own tests alone (docs/mutation.md).

import { spawnSync } from 'node:child_process';

/** Fetched when it is used: it brings 176 packages that nobody else needs. */
const STRYKER = ['exec', '--yes', '--package=@stryker-mutator/core@10.1.1', '--', 'stryker', 'run'];

const named = process.argv.slice(2);
const rooms = named.length > 0 ? named : ['rejection', 'token', 'binding', 'proof', 'certificate'];

for (const room of rooms) {
  console.log(`\n== ${room}`);
  // stryker.config.json takes the room of the tests from the environment.
  const env = { ...process.env, ROOM: room };
  const { status } = spawnSync('npm', [...STRYKER, '--mutate', `src/${room}/*.ts`], { stdio: 'inherit', env });
  if (status !== 0) process.exitCode = 1;
}
