// Declaration of the keys of `include`: which files, and what each is given.

import * as z from 'zod';
import { list, name, text } from './values.ts';

const files = text('a file name or pattern such as routes.d/*.yaml');
const granted = text(
  'a host and a path such as api.example.com/orders/*',
  /^(?:\*{1,2}\.)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])\/[\x21-\x7e]*$/,
);

const entry = z.strictObject({
  files: files.describe('One file, or a pattern that may match several, which then share what is given here.'),
  routes: list(granted, 'hosts and paths such as api.example.com/orders/*', 0)
    .prefault([])
    .describe(
      'Where their routes may be: a host, "*.example.com" (one label) or "**.example.com" (any number), and a path; a last /* is everything below.',
    ),
  upstreams: list(name, 'upstream names', 0)
    .prefault([])
    .describe("Upstreams of the main file to which their routes may send, with tokens of the main file's issuers."),
  environment: list(text('the name of a variable', /^[A-Za-z_][A-Za-z0-9_]*$/), 'names of variables', 0)
    .prefault([])
    .describe('Environment variables that they may name.'),
});

/** A name alone gives nothing: such files can have issuers and upstreams, and no routes. */
export const include = list(
  z.union(
    [files.transform((written) => entry.parse({ files: written })), entry],
    'a file name or pattern, or { files, routes, upstreams, environment }',
  ),
  'file names or patterns',
  0,
)
  .prefault([])
  .describe(
    'More files with issuers, upstreams and routes only. Their routes name host and issuers, and are where the main file lets them be.',
  );
