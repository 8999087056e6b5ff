// The application of the chart's tests: an image with a small server.

import { join } from 'node:path';
import type { Image } from './images.ts';

/** Answers everything with 200. It ends as applications do: at once when it is told, but for requests that it has begun. */
export const APPLICATION: Image = {
  entrypoint: ['node', '/application.mjs'],
  mounts: [
    [process.execPath, '/usr/local/bin/node'],
    [join(import.meta.dirname, 'application.mjs'), '/application.mjs'],
  ],
  user: 10_001,
};
