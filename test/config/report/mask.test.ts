// Masks over values from the environment, and only over those.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileMask } from '../../../src/config/report/mask.ts';
import { describePolicy } from '../../../src/config/report/describe.ts';
import { readSource } from '../../../src/config/read/source.ts';
import { compilePolicy } from '../../../src/config/compile/compile.ts';
import { configuration, readText } from '../../support/policies.ts';

const maskOf = (text: string, env: Record<string, string>) =>
  compileMask(readSource('x.yaml', text, env).substitutions);

test('a value is shown by the name of its variable, in every spelling that it is given on the way', () => {
  const mask = maskOf('a: "${HOST}"\nb: "x-${TENANT}-y"\nc: "https://${ORIGIN}/in"\n', {
    HOST: 'Orders.Internal:443',
    TENANT: 'acme-secret',
    ORIGIN: 'IdP.example.com',
  });
  assert.equal(mask('to https://orders.internal/x'), 'to https://${HOST}/x');
  assert.equal(mask('x-acme-secret-y'), 'x-${TENANT}-y');
  assert.equal(mask('claim is ACME-SECRET.'), 'claim is ${TENANT}.');
  assert.equal(mask('asked at https://idp.example.com/in'), 'asked at https://${ORIGIN}/in');
});

test('what follows a value keeps its slash', () => {
  const mask = maskOf('a: "${ORIGIN}"\nb: "https://localhost:${PORT:-8443}"\nc: "${BASE}"\n', {
    ORIGIN: 'https://API.example.com',
    PORT: '9443',
    BASE: 'https://base.example.com/v1/',
  });
  assert.equal(mask('https://api.example.com/orders/1'), '${ORIGIN}/orders/1');
  assert.equal(mask('https://localhost:9443/orders/1'), 'https://localhost:${PORT:-8443}/orders/1');
  assert.equal(mask('https://base.example.com/v1/orders'), '${BASE}orders');
});

test('every text inside is masked, whatever holds it, and nothing else is changed', () => {
  const mask = maskOf('a: ${SECRET}\n', { SECRET: 'word-of-the-environment' });
  const value = { list: ['word-of-the-environment', 7], more: { text: 'no word', none: undefined, yes: true } };
  assert.deepEqual(mask(value), { list: ['${SECRET}', 7], more: { text: 'no word', none: undefined, yes: true } });
});

test('a default that stands in the file is shown, and so is a value too short to be a secret', () => {
  const mask = maskOf('a: "${HOST:-api.example.com}"\nb: "${N}"\n', { N: '1' });
  assert.equal(mask('api.example.com, TLS from 1.2'), 'api.example.com, TLS from 1.2');
});

test('characters that mean something in a pattern are what they are', () => {
  const mask = maskOf('a: "${A}"\nb: "${B}"\n', { A: 'a.*c(d', B: '$&$1' });
  assert.equal(mask('abbc(d a.*c(d $&$1'), 'abbc(d ${A} ${B}');
});

test('userinfo and query of addresses are never shown', () => {
  const mask = maskOf('a: 1\n', {});
  assert.equal(
    mask('at https://user:pa55@idp.example.com/x?key=pa55 (RFC 7662)'),
    'at https://…@idp.example.com/x?… (RFC 7662)',
  );
});

test('a policy is described without anything that came from the environment', () => {
  const env = {
    ORIGIN: 'hidden-api.example.com',
    ISSUER: 'https://hidden-idp.example.com',
    AUDIENCE: 'hidden-audience',
    TARGET: 'hidden-orders.internal:9000',
    TENANT: 'hidden-tenant',
    PATH_PART: 'hidden-path',
  };
  const text = configuration({
    listeners: '- { name: public, bind: "127.0.0.1:0", origins: ["http://${ORIGIN}"] }',
    issuers: 'login: { issuer: "${ISSUER}", audience: ["${AUDIENCE}"] }',
    upstreams: 'orders: { targets: ["https://${TARGET}"] }',
    routes:
      '- { name: orders, match: { path: "/${PATH_PART}/*" }, upstream: orders, require: dpop, claims: { tenant: "${TENANT}" } }',
  });
  const read = readText(text, { env });
  const compiled = compilePolicy(read, Date.now() / 1000);
  assert.ok('policy' in compiled);
  const described = JSON.stringify(describePolicy(compiled.policy));
  for (const value of Object.values(env)) assert.ok(described.includes(value.replace('https://', '')), value);
  const masked = compileMask(read.substitutions)(described);
  assert.doesNotMatch(masked, /hidden-/);
  for (const name of Object.keys(env)) assert.ok(masked.includes(`\${${name}}`), name);
});
