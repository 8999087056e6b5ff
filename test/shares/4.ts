// Share 4 of the test files.

import { importShare } from './share.ts';

await importShare(4);
