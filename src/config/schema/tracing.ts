// The schema of tracing: where spans go, and which requests have some.

import * as z from 'zod';
import { choice, count, duration, file, flag, share, text, uri } from './values.ts';

const HEADER = text('a field name of letters, digits and "-", such as Authorization', /^[A-Za-z][A-Za-z0-9-]{0,63}$/);
const ATTRIBUTE = text(
  'the name of a resource attribute such as deployment.environment.name',
  /^[a-z][a-z0-9_.-]{0,127}$/,
);

export const tracing = z.strictObject({
  otlp_endpoint: uri('an http or https URI', /^https?:\/\/[^\s/?#@\\]+(?:\/[^\s?#\\]*)?$/).describe(
    'Collector (OTLP over HTTP, protobuf); without a path /v1/traces.',
  ),
  header_files: z
    .record(HEADER, file, 'a mapping from field names to file names')
    .prefault({})
    .describe('Fields for the collector, such as Authorization; the files hold their values.'),
  ca_file: file.optional().describe('PEM file with the CAs of the collector.'),
  sample: share.prefault(0.01).describe('Share of the traces begun here that are recorded.'),
  trust: choice('peers', 'all')
    .prefault('peers')
    .describe(
      'Whose traceparent is continued, and decides itself whether its trace is recorded; of others only a link is kept.',
    ),
  resource: z
    .record(ATTRIBUTE, text('a text'), 'a mapping from attribute names to texts')
    .prefault({})
    .describe('Resource attributes; service.name is holdfast unless it is given.'),
  client_address: flag().prefault(false).describe("Whether spans have the client's address."),
  timeout: duration('100ms', '60s').prefault('10s').describe('Of one export, its repetitions included.'),
  queue: count(64, 65_536).prefault(2048).describe('Spans that wait for the collector, per worker; more are dropped.'),
});
