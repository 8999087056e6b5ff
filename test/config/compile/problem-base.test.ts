// The values of problem_base that can stand in a challenge, and those that cannot.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schema } from '../../../src/config/schema/schema.ts';

const takes = (value: unknown) => schema.shape.problem_base.safeParse(value).success;

test('an address of a page is taken, with a path and a query', () => {
  for (const value of [
    'https://docs.example.com',
    'https://docs.example.com/holdfast/rejections.md',
    'http://docs.example.com:8080/?rejections',
    'https://docs.example.com/a(b)/%C3%A9',
  ])
    assert.ok(takes(value), value);
});

test('what would end a parameter of a challenge, have a second fragment, or is not a URL is refused', () => {
  for (const value of [
    'https://docs.example.com/#',
    'https://docs.example.com/a#b',
    'https://docs.example.com/a"b',
    'https://docs.example.com/a\\b',
    'https://docs.example.com/a,b',
    'https://docs.example.com/?lang=en',
    'https://docs.example.com/a b',
    'https://docs.example.com/é',
    'https://user@docs.example.com/',
    'docs/rejections.md',
    'urn:example:rejections',
    'javascript:alert(1)',
    '',
  ])
    assert.ok(!takes(value), value);
});
