// Schema of the keys of a route about the way to the upstream.

import * as z from 'zod';
import { count, duration, field, list, name, text } from './values.ts';

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

const VALUE = text(
  'a value of visible ASCII without blanks at its ends (numbers in quotes)',
  /^[\x21-\x7e](?:[\t\x20-\x7e]{0,4094}[\x21-\x7e])?$/,
);
const values = (about: string) =>
  z.record(field, VALUE, 'a mapping from field names to values').prefault({}).describe(about);

/** Of either direction. */
export const edits = z.strictObject({
  set: values('Fields and the one value that each has then, whatever it had before.'),
  add: values('Fields and a further value for each.'),
  remove: list(field, 'field names', 0).prefault([]).describe('Fields that do not pass.'),
});

export const rewrite = z.strictObject({
  host: text('a host, with a port where it has one', /^[A-Za-z0-9._\-:[\]]{1,259}$/)
    .optional()
    .describe('Host of the request to the upstream. X-Forwarded-Host stays the one that the client named.'),
  path: text('a path starting with "/"', /^\/[\x21-\x7e]*$/)
    .optional()
    .describe('The whole path; the query stays.'),
  prefix: text('a path starting with "/"', /^\/[\x21-\x7e]*$/)
    .optional()
    .describe("In place of what the path of the route's match has before its last /*; / takes that away."),
  strip_prefix: text('a path prefix such as /orders', /^\/[\x21-\x7e]*[^/]$/)
    .optional()
    .describe('Cut from the front of the path.'),
});

export const mirror = list(
  z.strictObject({
    upstream: name.describe('One of upstreams, and none to which requests of this route go anyway.'),
    percent: z
      .number('a number from 0 to 100')
      .min(0, 'a number from 0 to 100')
      .max(100, 'a number from 0 to 100')
      .prefault(100)
      .describe('Share of the requests that is copied.'),
  }),
  'mirrors such as { upstream: next, percent: 10 }',
);

export const retries = z.strictObject({
  codes: list(count(400, 599), 'statuses such as 503').describe('Answers after which the request is sent again.'),
  attempts: count(1, 10).prefault(1).describe('Further attempts, each at another target where there is one.'),
  backoff: duration('1ms', '10s').prefault('25ms').describe('Before the first of them; doubled for each further one.'),
});
