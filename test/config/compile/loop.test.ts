// Redirects that lead back to their own route, and those that only look like it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { warningsOf } from '../../support/policies.ts';

const PUBLIC = 'require: public, weaker_than_defaults: [require]';
const LISTENERS = `- { name: plain, bind: "127.0.0.1:1", origins: ["http://a.example", "http://b.example:8080"] }
- { name: other, bind: "127.0.0.1:2", origins: ["http://a.example:9000"] }
- { name: wide, bind: "127.0.0.1:3", origins: ["https://*.c.example", "https://d.example/api"], trusted_peers: [{ cidr: 127.0.0.1/32 }] }`;

/** Warnings of one redirect; `more` routes stand below it. */
function circlesOf(match: string, redirect: string, more = ''): readonly string[] {
  const routes = `- { name: moved, match: { ${match} }, redirect: { ${redirect} }, ${PUBLIC} }\n${more}`;
  return warningsOf({ listeners: LISTENERS, routes }).filter((one) => one.includes('in a circle'));
}
const other = (path: string) =>
  `- { name: other, match: { path: ${path}, host: a.example }, upstream: orders, ${PUBLIC} }`;

const circle = (from: string, to: string) => [
  `routes[0].redirect: leads from ${from} to ${to}, which this route takes again: clients go in a circle`,
];

for (const [what, match, redirect, from, to] of [
  ['the same front', 'path: /a/*, host: a.example', 'prefix: /a', 'http://a.example/a/…', 'http://a.example/a/…'],
  ['a longer front', 'path: /*, host: a.example', 'prefix: /new', 'http://a.example/…', 'http://a.example/new/…'],
  ['a path below it', 'path: /*, host: a.example', 'path: /login', 'http://a.example/…', 'http://a.example/login'],
  ['where it comes from', 'path: /a, host: a.example', '', 'http://a.example/a', 'http://a.example/a'],
  ['its own host', 'path: /a, host: a.example', 'host: a.example', 'http://a.example/a', 'http://a.example/a'],
  ['another listener', 'path: /a, host: a.example', 'port: 9000', 'http://a.example/a', 'http://a.example:9000/a'],
  [
    'the other host of the route',
    'path: /a, host: b.example',
    'scheme: http, port: 8080',
    'http://b.example:8080/a',
    'http://b.example:8080/a',
  ],
  [
    'a host of a wildcard',
    'path: /*, host: "*.c.example"',
    'host: www.c.example',
    'https://….c.example/…',
    'https://www.c.example/…',
  ],
  [
    'below a prefix of the origin',
    'path: /a/*, host: d.example',
    'prefix: /a/b',
    'https://d.example/api/a/…',
    'https://d.example/api/a/b/…',
  ],
] as const) {
  test(`a redirect to ${what} is told`, () => {
    assert.deepEqual(circlesOf(match, redirect), circle(from, to));
  });
}

for (const [what, match, redirect, more] of [
  ['another front', 'path: /a/*, host: a.example', 'prefix: /b', ''],
  ['a path of another route', 'path: /*, host: a.example', 'path: /login', other('/login')],
  ['the front of another route', 'path: /*, host: a.example', 'prefix: /new', other('/new/*')],
  ['a host that is not here', 'path: /*, host: a.example', 'host: www.example.org', ''],
  ['a port that is not here', 'path: /*, host: a.example', 'port: 81', ''],
  ['a scheme that is not here', 'path: /*, host: a.example', 'scheme: https', ''],
  ['a listener that it is not on', 'path: /a, host: a.example, listeners: [plain]', 'port: 9000', ''],
  ['the same place, where another route takes GET', 'path: /a, host: a.example, methods: [POST]', 'status: 303', ''],
  ['GET, which it does not take', 'path: /a, host: a.example, methods: [POST]', 'status: 303, host: a.example', ''],
] as const) {
  test(`a redirect to ${what} is not`, () => {
    assert.deepEqual(circlesOf(match, redirect, more), []);
  });
}
