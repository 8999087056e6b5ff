// Schema of the keys of a route about the way to the upstream.

import { z } from 'zod';
import { count, list, name } from './values.ts';

export const upstreams = list(
  z.strictObject({
    name: name
      .optional()
      .describe('One of upstreams. Absent: this share leads nowhere, and is answered 500 (upstream_absent).'),
    weight: count(0, 1_000_000)
      .prefault(1)
      .describe('Its share, in relation to the sum of all weights. 0: it takes no requests.'),
  }),
  'upstreams with weights such as { name: orders, weight: 9 }',
);
