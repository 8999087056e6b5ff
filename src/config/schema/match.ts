// Declaration of the match of a route: which requests it is for.

import * as z from 'zod';
import { field, flag, list, name, text } from './values.ts';

const value = text(
  'a value of visible ASCII without blanks at its ends (numbers in quotes)',
  /^[\x21-\x7e](?:[\t\x20-\x7e]{0,4094}[\x21-\x7e])?$/,
);
// What replaces octets that are no UTF-8 stands for many texts.
const parameter = text('the name of a parameter', /^[^\0-\x1f\x7f\ufffd]{1,256}$/);
const parameterValue = text('text (numbers in quotes)', /^[^\0-\x1f\x7f\ufffd]{0,1024}$/);

export const match = z.strictObject({
  listeners: list(name, 'listener names').optional().describe('Only on these listeners.'),
  host: text(
    'a host without port, such as api.example.com, "*.example.com" or "**.example.com"',
    /^(?:\*{1,2}\.)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/,
  )
    .optional()
    .describe(
      'Exact, or "*.example.com": one label, or "**.example.com": any number of labels. An exact host comes first, then the longest name after the "*", no host last.',
    ),
  path: text('a path starting with "/", such as /orders/*', /^\/[\x21-\x7e]*$/).describe(
    'Exact; a last /* is the path itself and everything below; an inner * is one segment.',
  ),
  methods: list(
    text(
      'a method in capitals such as GET; TRACE and CONNECT are always refused',
      /^(?!(?:TRACE|CONNECT)$)[A-Z][A-Z0-9_-]*$/,
    ),
    'methods',
  )
    .optional()
    .describe('Only these methods; GET implies HEAD.'),
  head: flag()
    .prefault(true)
    .describe('Whether GET in methods implies HEAD; false as the Gateway API has it, where HEAD is another method.'),
  headers: z
    .record(field, value, 'a mapping from fields to values')
    .optional()
    .describe(
      'Only requests that have these fields, each with exactly this value; several lines of one field are joined by ", ". Routes that ask for more come first. ' +
        "A client writes what it likes: one that leaves the field out gets the path's other route.",
    ),
  query: z
    .record(parameter, parameterValue, 'a mapping from parameters to values')
    .optional()
    .describe(
      'Only requests whose query has these parameters, each with exactly this value, decoded as a form; the first of several counts.',
    ),
});
