// The file that a worker thread runs.

import { keepCompiledCode } from './compile-cache.ts';

keepCompiledCode();
await import('./port.ts');
