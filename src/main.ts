#!/usr/bin/env node
// The command `holdfast`; the only place that ends the process.

import { keepCompiledCode } from './worker/compile-cache.ts';

keepCompiledCode();
const { run } = await import('./cli/run.ts');
const { exit, stdout, stderr } = await run(process.argv.slice(2));
process.stderr.write(stderr);
process.stdout.write(stdout, () => process.exit(exit));
