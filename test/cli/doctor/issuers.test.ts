// The doctor's findings about issuers: metadata, spelling, keys, clocks, endpoints.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { lookAtExchange, lookAtIntrospection } from '../../../src/cli/doctor/endpoints.ts';
import type { DoctorFinding } from '../../../src/cli/doctor/finding.ts';
import { lookAtIssuer } from '../../../src/cli/doctor/issuers.ts';
import type { ClientRules, Issuer } from '../../../src/token/issuer.ts';
import { doctorTerms } from '../../support/doctor.ts';
import { SECRET } from '../../support/introspector.ts';
import { json, KEY_A, makeIssuer, type Served, serve, site, status } from '../../support/issuer-server.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

const METADATA = '/.well-known/oauth-authorization-server';
const JSON_TYPE = { 'content-type': 'application/json' };

const discovered = (issuer: string, over: Partial<Issuer> = {}) =>
  makeIssuer({ from: 'discovery', uri: undefined }, { issuer, ...over });
const verdicts = (findings: readonly DoctorFinding[]) => findings.map(({ check, verdict }) => `${check}: ${verdict}`);
const one = (findings: readonly DoctorFinding[], check: string): DoctorFinding =>
  findings.find((finding) => finding.check === check) ?? assert.fail(`no finding ${check}`);

/** An issuer whose metadata and keys are good. */
async function goodServer(t: TestContext, says?: (origin: string) => object): Promise<Served> {
  const server = await serve(t);
  const metadata = says?.(server.origin) ?? { issuer: server.origin, jwks_uri: `${server.origin}/jwks` };
  server.answer = site({ [METADATA]: metadata, '/jwks': { keys: [KEY_A] } });
  return server;
}

describe('metadata and keys', () => {
  test('an issuer that is in order has only findings that are', async (t) => {
    const { origin } = await goodServer(t);
    const { findings, keys } = await lookAtIssuer(discovered(origin), doctorTerms());
    assert.deepEqual(verdicts(findings), ['discovery: ok', 'issuer: ok', 'usable keys: ok', 'clock: ok']);
    assert.equal(one(findings, 'usable keys').found, '1 for ES256, RS256');
    assert.equal(keys?.length, 1);
  });
  test('an issuer with a slash at its end is shown with the value received and what differs', async (t) => {
    const { origin } = await goodServer(t, (at) => ({ issuer: `${at}/`, jwks_uri: `${at}/jwks` }));
    const { findings } = await lookAtIssuer(discovered(origin), doctorTerms());
    assert.deepEqual(verdicts(findings), ['discovery: ok', 'issuer: fault', 'usable keys: unknown', 'clock: ok']);
    const { found, expected, next } = one(findings, 'issuer');
    assert.equal(found, `${origin}/ (differs: trailing slash)`);
    assert.equal(expected, origin);
    assert.match(next, /issuers\.login\.issuer/);
  });
  test('an issuer of another host or path is shown, and nothing that could steer a terminal', async (t) => {
    const said = { issuer: '' };
    const server = await goodServer(t, () => said);
    for (const [issuer, shown] of [
      [`${server.origin}/realm`, /\/realm \(differs: path\)$/],
      ['https://elsewhere.example', /^https:\/\/elsewhere\.example \(differs: scheme\)$/],
      ['\u001b[2Jhttps://x', /^\\u001b\[2Jhttps:\/\/x \(differs: form\)$/],
    ] as const) {
      said.issuer = issuer;
      const { findings } = await lookAtIssuer(discovered(server.origin), doctorTerms());
      assert.match(one(findings, 'issuer').found, shown);
    }
  });
  test('no metadata is a fault at each place that was tried, with its status', async (t) => {
    const server = await serve(t);
    server.answer = status(404);
    const { findings } = await lookAtIssuer(discovered(server.origin), doctorTerms());
    assert.deepEqual(verdicts(findings).slice(0, 2), ['discovery: fault', 'discovery: fault']);
    assert.match(findings[0]?.found ?? '', /oauth-authorization-server: answered 404$/);
    assert.match(findings[0]?.next ?? '', /Nothing is there/);
  });
  test('a server that refuses connections, and one that never answers, are faults with a word for each', async (t) => {
    const silent = await serve(t);
    silent.answer = () => {};
    const { findings } = await lookAtIssuer(discovered(silent.origin), doctorTerms({ each: 0.2 }));
    assert.match(findings[0]?.found ?? '', /no answer in time/);
    const refused = await lookAtIssuer(discovered('http://127.0.0.1:1'), doctorTerms());
    assert.match(refused.findings[0]?.found ?? '', /refused: no server has this port \(ECONNREFUSED\)$/);
  });
  test('metadata without jwks_uri is a fault', async (t) => {
    const { origin } = await goodServer(t, (issuer) => ({ issuer }));
    const { findings } = await lookAtIssuer(discovered(origin), doctorTerms());
    assert.match(one(findings, 'keys').found, /names no jwks_uri/);
  });
  test('keys of which none is for a configured algorithm are a fault that names what is there', async (t) => {
    const { origin } = await goodServer(t);
    const { findings } = await lookAtIssuer(discovered(origin, { algorithms: ['EdDSA', 'PS256'] }), doctorTerms());
    const { verdict, found, expected } = one(findings, 'usable keys');
    assert.deepEqual(
      [verdict, found, expected],
      ['fault', '0 for EdDSA, PS256; not usable: ES256', 'a key for EdDSA, PS256'],
    );
  });
  test('a published private key is a warning, and nothing of it is shown', async (t) => {
    const server = await serve(t);
    server.answer = json({ keys: [KEY_A, { ...KEY_A, d: 'c2VjcmV0c2VjcmV0' }] });
    const keys = { from: 'jwks_uri', uri: `${server.origin}/jwks` } as const;
    const { findings } = await lookAtIssuer(makeIssuer(keys), doctorTerms());
    assert.equal(one(findings, 'private keys').verdict, 'warning');
    assert.doesNotMatch(JSON.stringify(findings), /c2VjcmV0/);
  });
  test('a document that is not a key set is a fault', async (t) => {
    const server = await serve(t);
    server.answer = json({ hello: 'world' });
    const { findings } = await lookAtIssuer(
      makeIssuer({ from: 'jwks_uri', uri: `${server.origin}/jwks` }),
      doctorTerms(),
    );
    assert.equal(one(findings, 'usable keys').found, 'the document is not a JWK set');
  });
});

describe('certificates of an issuer', () => {
  test('an expired one, one for another name and one of an unknown CA are told apart', async (t) => {
    const ca = await makeCa();
    const now = Date.now() / 1000;
    for (const [certificate, trusted, expected] of [
      [await makeCertificate({ names: ['127.0.0.1'], ca, notAfter: now - 60 }), ca.cert, /has expired/],
      [await makeCertificate({ names: ['login.example.com'], ca }), ca.cert, /not for this name/],
      [await makeCertificate({ names: ['127.0.0.1'], ca }), undefined, /not trusted/],
    ] as const) {
      const server = await serve(t, { cert: certificate.chain, key: certificate.key });
      const { findings } = await lookAtIssuer(discovered(server.origin, { ca: trusted }), doctorTerms());
      assert.match(findings[0]?.found ?? '', expected);
    }
  });
});

describe('clocks', () => {
  test('a Date two minutes ahead or behind is a warning, twenty seconds are not', async (t) => {
    const server = await serve(t);
    const issuer = makeIssuer({ from: 'jwks_uri', uri: `${server.origin}/jwks` });
    const clockOf = async (offset: number, age?: number) => {
      const date = new Date(Date.now() + offset * 1000).toUTCString();
      server.answer = json({ keys: [KEY_A] }, { date, ...(age === undefined ? {} : { age: String(age) }) });
      // A slow machine must not turn the twenty seconds into more.
      const now = Date.now() / 1000;
      return one((await lookAtIssuer(issuer, doctorTerms({ now: () => now }))).findings, 'clock');
    };
    const ahead = await clockOf(120);
    assert.equal(ahead.verdict, 'warning');
    assert.match(ahead.found, /^1[12]\d s ahead of this machine$/);
    assert.match((await clockOf(-120)).found, /^1[12]\d s behind this machine$/);
    assert.equal((await clockOf(20)).verdict, 'ok');
    assert.equal((await clockOf(-120, 120)).verdict, 'ok', 'an answer from a cache is as old as its Age says');
  });
});

describe('endpoints', () => {
  const rules = (origin: string): ClientRules => ({
    endpoint: `${origin}/endpoint`,
    clientId: 'gateway',
    credentials: SECRET,
  });
  const introspection = (origin: string) => ({
    ...rules(origin),
    accessToken: undefined,
    signed: false,
    always: false,
    cache: 30,
  });
  const refuse =
    (code: number, error: string): Served['answer'] =>
    (_request, response) =>
      response.writeHead(code, JSON_TYPE).end(JSON.stringify({ error }));

  test('an introspection endpoint that knows no such token is in order', async (t) => {
    const server = await serve(t);
    server.answer = json({ active: false }, JSON_TYPE);
    const finding = await lookAtIntrospection(
      discovered(server.origin),
      introspection(server.origin),
      [],
      doctorTerms(),
    );
    assert.equal(finding.verdict, 'ok');
  });
  test('refused credentials are a fault, and the secret is not shown', async (t) => {
    const server = await serve(t);
    server.answer = refuse(401, 'invalid_client');
    const finding = await lookAtIntrospection(
      discovered(server.origin),
      introspection(server.origin),
      [],
      doctorTerms(),
    );
    assert.equal(finding.verdict, 'fault');
    assert.match(finding.found, /^the credentials are refused: .*answered 401 \(invalid_client\)$/);
    assert.match(finding.next, /issuers\.login\.introspection/);
    assert.doesNotMatch(JSON.stringify(finding), /sécret/);
  });
  test('an endpoint that says that every token is active is a fault', async (t) => {
    const server = await serve(t);
    server.answer = json({ active: true }, JSON_TYPE);
    const finding = await lookAtIntrospection(
      discovered(server.origin),
      introspection(server.origin),
      [],
      doctorTerms(),
    );
    assert.equal(finding.verdict, 'fault');
  });
  test('a token exchange that refuses an invented token is in order; refused credentials and an issued token are not', async (t) => {
    const server = await serve(t);
    const issuer = discovered(server.origin);
    const exchange = { audience: ['orders'], resource: [], scope: [], name: 'orders', form: 'audience=orders' };
    const look = () => lookAtExchange(issuer, { ...rules(server.origin), cache: 30 }, exchange, doctorTerms());
    server.answer = refuse(400, 'invalid_grant');
    assert.equal((await look()).verdict, 'ok');
    server.answer = refuse(400, 'invalid_client');
    assert.match((await look()).found, /credentials are refused/);
    server.answer = refuse(400, 'unsupported_grant_type');
    assert.equal((await look()).verdict, 'fault');
    server.answer = json({ access_token: 'x', token_type: 'Bearer' }, JSON_TYPE);
    assert.match((await look()).found, /^answered 200/);
    server.answer = status(404);
    assert.match((await look()).found, /answered 404$/);
  });
});
