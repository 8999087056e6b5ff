// `holdfast check`, `explain`, `schema`, `version` and wrong usage, as a person or a script runs them.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ISSUER_KEY, ORIGIN, writePolicy } from '../support/gateway.ts';
import { makeProof, makeToken } from '../support/tokens.ts';
import { run } from './command.ts';
import { CLIENT, HOLDER, MARK, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

const ROUTES = `
- { name: orders, match: { path: /orders/* }, upstream: orders, require: dpop }
- { name: mtls, match: { path: /mtls/* }, upstream: orders, require: mtls }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;
const GOOD = {
  routes: ROUTES,
  listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }',
};

test('wrong usage says what is wrong and how it is used, on stderr, with 64', async (t) => {
  const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [[], /command is missing/],
    [['validate'], /"validate"/],
    [['serve'], /--config/],
    [['check', '-c', 'a.yaml', 'b.yaml'], /one argument too many/],
    [['version', '--method', 'GET'], /--method/],
    [['explain', '-c', writePolicy(t, GOOD), '--method', 'GET', '--url', '/orders/1'], /--url/],
    [['explain', '--token', MARK], /--token/],
  ];
  const ended = await Promise.all(wrong.map(([args]) => run(t, args)));
  for (const [index, { exit, stdout, stderr }] of ended.entries()) {
    assert.deepEqual([exit, stdout], [64, ''], stderr);
    assert.match(stderr, wrong[index]?.[1] ?? /never/);
    assert.match(stderr, /holdfast serve +-c FILE/);
    assert.ok(!stderr.includes(MARK), 'an argument that may be a secret was repeated');
  }
});

test('check says what each route demands and what is NOT enforced, or lists every problem with its place', async (t) => {
  const good = writePolicy(t, GOOD);
  const bad = writePolicy(t, { ...GOOD, more: 'drian: {}', issuers: 'login: { issuer: https://login.example.com }' });
  const [plain, json, problems, problemsJson, stdin] = await Promise.all([
    run(t, ['check', '-c', good]),
    run(t, ['check', '-c', good, '--json']),
    run(t, ['check', '-c', bad]),
    run(t, ['check', '-c', bad, '--json']),
    run(t, ['check', '-c', '-'], 'version: 2\n'),
  ]);
  assert.deepEqual([plain.exit, plain.stderr], [0, '']);
  for (const name of ['orders', 'mtls', 'open']) assert.match(plain.stdout, new RegExp(`^route ${name}: `, 'm'));
  assert.match(plain.stdout, /NOT enforced/);
  assert.match(plain.stdout, /The configuration is good: 3 routes\.\n$/);
  const described = JSON.parse(json.stdout) as { valid: boolean; routes: { name: string; notEnforced: string[] }[] };
  assert.deepEqual([json.exit, described.valid], [0, true]);
  assert.deepEqual(
    described.routes.map(({ name }) => name),
    ['orders', 'mtls', 'open'],
  );

  assert.deepEqual([problems.exit, problems.stdout], [78, '']);
  assert.match(problems.stderr, /^\/.*holdfast\.yaml:\d+:\d+ issuers\.login\.audience: is required/m);
  assert.match(problems.stderr, /^\/.*holdfast\.yaml:\d+:\d+ drian: .*did you mean drain\?/m);
  const listed = JSON.parse(problemsJson.stdout) as { valid: boolean; problems: { path: string; line: number }[] };
  assert.deepEqual([problemsJson.exit, listed.valid, problemsJson.stderr], [78, false, '']);
  assert.deepEqual(listed.problems.map(({ path }) => path).toSorted(), ['drian', 'issuers.login.audience']);
  assert.equal(stdin.exit, 78);
  assert.match(stdin.stderr, /^<stdin>:1:10 version: is the number 2, expected 1$/m);
});

test('schema prints the JSON Schema that the repository has, version the version', async (t) => {
  const [schema, version, json, help] = await Promise.all(
    [['schema'], ['version'], ['version', '--json'], ['--help']].map((args) => run(t, args)),
  );
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  assert.deepEqual(JSON.parse(schema?.stdout ?? ''), JSON.parse(read('schema/holdfast.schema.json')));
  const is: string = JSON.parse(read('package.json')).version;
  assert.equal(version?.stdout, `holdfast ${is}\n`);
  assert.equal(JSON.parse(json?.stdout ?? '').version, is);
  assert.match(help?.stdout ?? '', /^holdfast: .*\n[^]*Exit codes/);
  assert.deepEqual(
    [schema, version, json, help].map((one) => one?.exit),
    [0, 0, 0, 0],
  );
});

/** A policy with credentials in files beside it. */
async function credentialFiles(t: TestContext) {
  const config = writePolicy(t, GOOD);
  const now = Date.now() / 1000;
  const claims = { sub: `${MARK}-alice`, jti: `${MARK}-token`, ...TO_KEY };
  const token = await makeToken(ISSUER_KEY, now, { claims });
  const certified = await makeToken(ISSUER_KEY, now, { claims: { ...claims, ...TO_CERTIFICATE } });
  const proof = await makeProof(HOLDER, now, { url: `${ORIGIN}/orders/1`, token, claims: { jti: `${MARK}-proof` } });
  const file = (name: string, text: string) => {
    const path = join(dirname(config), name);
    writeFileSync(path, text);
    return path;
  };
  const explain = (method: string, path: string, ...more: string[]) => [
    ...['explain', '-c', config, '--method', method, '--url', `${ORIGIN}${path}`],
    ...more,
  ];
  const withProof = ['--token-file', file('token', `${token}\n`), '--proof-file', file('proof', proof)];
  const withCertificate = [
    '--token-file',
    file('certified', certified),
    '--cert-file',
    file('client.pem', CLIENT.chain),
  ];
  const secrets = [token, certified, proof].flatMap((jws) => [jws, ...jws.split('.').slice(1)]);
  return { explain, token, withProof, withCertificate, secrets: [...secrets, `${MARK}-token`, `${MARK}-proof`] };
}

test('explain decides about one request as the gateway would, and never repeats what was given in files', async (t) => {
  const { explain, token, withProof, withCertificate, secrets } = await credentialFiles(t);
  const [permitted, permittedJson, elsewhere, elsewhereJson, open, mtls, stdin, unrouted] = await Promise.all([
    run(t, explain('GET', '/orders/1', ...withProof)),
    run(t, explain('GET', '/orders/1', ...withProof, '--json')),
    run(t, explain('GET', '/orders/2?code=secret', ...withProof)),
    run(t, explain('GET', '/orders/2', ...withProof, '--json')),
    run(t, explain('GET', '/open/1')),
    run(t, explain('GET', '/mtls/1', ...withCertificate)),
    run(t, explain('GET', '/orders/1', '--token-file', '-'), token),
    run(t, explain('GET', '/nowhere')),
  ]);
  const outputs = [permitted, permittedJson, elsewhere, elsewhereJson, open, mtls, stdin, unrouted];
  for (const { stdout, stderr } of outputs) {
    assert.equal(stderr, '');
    for (const secret of secrets) assert.ok(!stdout.includes(secret), `a secret is repeated:\n${stdout}`);
  }
  assert.deepEqual(
    outputs.map(({ exit }) => exit),
    [0, 0, 1, 1, 0, 0, 1, 1],
  );

  await t.test('a permitted one: its route, its requirement, every check, the identity that the upstream gets', () => {
    assert.match(permitted.stdout, /^listener public, route orders, require: dpop\n/);
    assert.match(permitted.stdout, /^ok +.*RFC 9449/m);
    assert.doesNotMatch(permitted.stdout, /FAILED/);
    assert.match(permitted.stdout, new RegExp(`^PERMITTED\n.*\n  X-Auth-Subject: ${MARK}-alice\n`, 'm'));
    assert.match(permitted.stdout, /memory of proofs was not asked/);
  });
  await t.test(
    'a proof for another URL: what was expected, what came, and the answer that the client would get',
    () => {
      assert.match(elsewhere.stdout, /^FAILED .*\n +expected .*\/orders\/2.*\n +received .*\/orders\/1/m);
      assert.match(elsewhere.stdout, /^REFUSED: proof_uri_mismatch$/m);
      assert.match(
        elsewhere.stdout,
        /The client would get:\n  401\n[^]*WWW-Authenticate: DPoP .*error="invalid_dpop_proof"/,
      );
      assert.ok(!elsewhere.stdout.includes('secret'), 'the query is repeated');
    },
  );
  await t.test('a public route: that nothing is looked at', () => {
    assert.match(open.stdout, /^listener public, route open, require: public\n[^]*PERMITTED/);
  });
  await t.test('a bound token alone, from standard input: which binding it lacks', () => {
    assert.match(stdin.stdout, /^REFUSED: binding_downgraded$/m);
  });
  await t.test('no route', () => {
    assert.match(unrouted.stdout, /route \(none\)[^]*REFUSED: route_not_found/);
  });
  await t.test('--json says the same for programs', () => {
    const { decision, route, checks, identity } = JSON.parse(permittedJson.stdout);
    assert.deepEqual([decision, route], ['permitted', 'orders']);
    assert.ok(
      checks.length > 10 && checks.every(({ outcome }: { outcome: string }) => /^(?:passed|not owed)$/.test(outcome)),
    );
    assert.ok(identity.some(([name]: [string]) => name === 'X-Auth-Thumbprint'));
    const refused = JSON.parse(elsewhereJson.stdout);
    assert.deepEqual([refused.decision, refused.reason, refused.answer.status], ['refused', 'proof_uri_mismatch', 401]);
    assert.deepEqual(refused.facts.htuPath, { expected: '/orders/2', received: '/orders/1' });
  });
});
