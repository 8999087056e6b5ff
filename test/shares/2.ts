// Share 2 of the test files.

import { importShare } from './share.ts';

await importShare(2);
