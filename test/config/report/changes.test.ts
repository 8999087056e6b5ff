// The changes of a reload, in words.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeChanges } from '../../../src/config/report/changes.ts';
import { policyOf, type Sections } from '../../support/policies.ts';

const changes = (before: Sections, after: Sections) => describeChanges(policyOf(before), policyOf(after));
const route = (name: string, more = '') => `- { name: ${name}, match: { path: /${name} }, upstream: orders${more} }\n`;

test('nothing is said of a policy that means the same', () => {
  assert.deepEqual(changes({}, { more: '# a comment\nlog: { level: info }\n' }), []);
});

test('routes that come, go and change, each by its name and its keys', () => {
  assert.deepEqual(
    changes(
      { routes: route('kept') + route('changed') + route('gone') },
      { routes: route('changed', ', require: dpop, timeouts: { idle: 5s }') + route('new') + route('kept') },
    ),
    ['route changed: timeouts, demand', 'route new: new', 'route gone: gone'],
  );
});

test('an issuer or upstream that changes is told once, and not again for every route that names it', () => {
  const issuers = 'login: { issuer: https://login.example.com, audience: [https://other.example.com] }';
  const upstreams = 'orders: { targets: ["http://127.0.0.1:9001"], connections: 5 }';
  assert.deepEqual(changes({}, { issuers, upstreams }), [
    'issuer login: audience',
    'upstream orders: targets, connections',
  ]);
});

test('what is made of a demand is told as the demand alone: whether an issuer is waited for, which fields are signed', () => {
  const open = ', require: public, weaker_than_defaults: [require]';
  assert.deepEqual(changes({}, { routes: route('orders', open).replace('path: /orders', 'path: /*') }), [
    'route orders: demand',
  ]);
  const signing = (field: string) => ({ routes: route('a', `, signature: { components: [${field}] }`) });
  assert.deepEqual(changes(signing('x-a'), signing('x-b')), ['route a: demand']);
  const required =
    'login: { issuer: https://login.example.com, audience: [https://api.example.com], required_for_ready: false }';
  assert.deepEqual(changes({}, { issuers: required }), ['issuer login: required_for_ready']);
});

test('listeners by the keys of the contract, and sections without names', () => {
  const listeners =
    '- { name: public, bind: "127.0.0.1:0", origins: ["http://localhost:8080"], trusted_peers: [{ cidr: 10.0.0.0/8 }], limits: { header_size: 1KiB } }';
  const more =
    'log: { level: debug }\ndrain: { delay: 1s }\nnonce: { lifetime: 1m }\ndefaults: { dpop: { max_age: 30s } }\n';
  assert.deepEqual(changes({}, { listeners, more }), [
    'listener public: trusted_peers, limits',
    'route orders: demand',
    'log: changed',
    'drain: changed',
    'nonce: changed',
    'replay: changed',
  ]);
});

test('no value is in it', () => {
  const secret = (bytes: string) => ({ files: { 'nonce.secret_files.0': bytes.repeat(32) } });
  const more = 'nonce: { secret_files: [secret] }\n';
  const [before, after] = [policyOf({ more }, secret('a')), policyOf({ more }, secret('b'))];
  assert.deepEqual(describeChanges(before, after), ['nonce: changed']);
});
