// Share 3 of the test files.

import { importShare } from './share.ts';

await importShare(3);
