// Declaration of the answers that a route gives in place of an upstream.

import * as z from 'zod';
import { count, text } from './values.ts';

const STATUS = 'a status from 200 to 299 or from 400 to 599';
const MOST_BODY = 65_536;
const BODY = `text of at most ${MOST_BODY} characters`;

export const respond = z.strictObject({
  status: z
    .int(STATUS)
    .min(200, STATUS)
    .max(599, STATUS)
    .refine((status) => (status >= 200 && status <= 299) || (status >= 400 && status <= 599), STATUS)
    .describe(
      '200 to 299 or 400 to 599, but none of 205 and 206, which mean something else, nor of 401 and 407, which only the gateway itself may say.',
    ),
  body: z
    .string(BODY)
    .max(MOST_BODY, BODY)
    .optional()
    .meta({ takes: BODY })
    .describe('Absent: none. A gRPC call has it as grpc-message.'),
  content_type: text(
    'a media type such as text/plain; charset=utf-8',
    /^[a-z0-9.+-]+\/[a-z0-9.+-]+(?: *; *[\x21-\x7e]+)*$/i,
  )
    .optional()
    .describe('Of the body. Absent: text/plain; charset=utf-8.'),
});

const path = (example: string) => text(`a path such as ${example}, without query`, /^\/[\x21-\x7e]*$/);

export const redirect = z.strictObject({
  status: z
    .union(
      [z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)],
      '301, 302, 303, 307 or 308',
    )
    .prefault(302)
    .describe('301 and 302 let clients turn POST into GET, 303 does it always, 307 and 308 never.'),
  scheme: z.enum(['http', 'https'], 'http or https').optional().describe("Absent: the client's."),
  host: text('a host without port, such as www.example.com', /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/)
    .optional()
    .describe('Absent: the one that the client called, which is of the origins of the listener.'),
  port: count(1, 65_535)
    .optional()
    .describe('Absent: the default port of scheme where that is given, else the one that the client called.'),
  path: path('/new').optional().describe('In place of the whole path.'),
  prefix: path('/new')
    .optional()
    .describe('In place of what match.path matches without its last /*: the rest of the path stays.'),
});
