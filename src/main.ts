#!/usr/bin/env node
// The command `holdfast`, and the only place that ends the process.

import { keepCompiledCode } from './worker/compile-cache.ts';

keepCompiledCode(import.meta.url);
// Not awaited at the top level: the package requires this file (bin/holdfast.cjs).
void import('./cli/run.ts').then(async ({ run }) => {
  const { exit, stdout, stderr, stuck = false } = await run(process.argv.slice(2));
  // Nothing empty is written: even that would wait behind what is not read.
  if (stderr !== '') process.stderr.write(stderr);
  // At its end Node waits for all threads, also for one that waits for a reader.
  if (stuck) process.kill(process.pid, 'SIGKILL');
  else if (stdout === '') process.exit(exit);
  else process.stdout.write(stdout, () => process.exit(exit));
});
