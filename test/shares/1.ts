// Share 1 of the test files.

import { importShare } from './share.ts';

await importShare(1);
