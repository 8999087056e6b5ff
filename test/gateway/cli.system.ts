// The commands `check`, `explain`, `schema` and `version`, and wrong usage.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readCommandLine } from '../../src/cli/arguments.ts';
import { check } from '../../src/cli/check.ts';
import { explain } from '../../src/cli/explain/explain.ts';
import { ISSUER_KEY, ORIGIN, writePolicy } from '../support/gateway.ts';
import { ISSUER, makeProof, makeToken } from '../support/tokens.ts';
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

test('wrong usage says what is wrong and where help is, on stderr or as JSON, with 64', async (t) => {
  const { exit, stdout, stderr } = await run(t, ['check', '--token', MARK]);
  assert.deepEqual([exit, stdout], [64, '']);
  assert.match(stderr, /^holdfast: .*--token.*\nTry holdfast check --help\.\n$/);
  const json = await run(t, ['serve', '--json']);
  assert.deepEqual([json.exit, JSON.parse(json.stdout)], [64, { error: '"serve" needs --config' }]);
  assert.ok(!stderr.includes(MARK), 'an argument that may be a secret was repeated');

  const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [[], /command is missing/],
    [['validate'], /"validate"/],
    [['check', '-c', 'a.yaml', 'b.yaml'], /one argument too many/],
    [['version', '--method', 'GET'], /--method/],
    [['serve', '-c'], /--config/],
    [['check', '-c', 'a.yaml', '--config', 'b.yaml'], /--config is given twice/],
  ];
  for (const [args, message] of wrong) assert.throws(() => readCommandLine(args), message);
  await assert.rejects(explain(readCommandLine(['explain', '-c', writePolicy(t, GOOD), '--url', ORIGIN])), /--method/);
  const path = ['explain', '-c', writePolicy(t, GOOD), '--method', 'GET', '--url', '/orders/1'];
  await assert.rejects(explain(readCommandLine(path)), /--url must be an absolute/);
});

test('check says what each route demands and what is NOT enforced', async (t) => {
  const file = writePolicy(t, GOOD);
  const { exit, stdout, stderr } = await run(t, ['check', '-c', file, '--verbose']);
  assert.deepEqual([exit, stderr], [0, '']);
  for (const name of ['orders', 'mtls', 'open']) assert.match(stdout, new RegExp(`^route ${name}: `, 'm'));
  assert.match(stdout, /NOT enforced/);
  assert.match(stdout, /The configuration is good: 3 routes\.\n$/);

  const short = check(file, undefined);
  assert.match(
    short.stdout,
    /^route +methods +host and path +requires +issuers +upstream\norders +any +\/orders\/\* +dpop +login +orders\n/,
  );
  assert.doesNotMatch(short.stdout, /NOT enforced {2}/);

  const json = check(file, undefined, { json: true });
  const { valid, routes }: { valid: boolean; routes: { name: string }[] } = JSON.parse(json.stdout);
  assert.deepEqual([json.exit, valid, routes.map(({ name }) => name)], [0, true, ['orders', 'mtls', 'open']]);
});

test('check refuses an included file that takes over an issuer, a path and an identity, and names both places', async (t) => {
  const file = writePolicy(t, GOOD);
  const team = (iss: string, path: string, more: string) =>
    `issuers: { team: { issuer: "${iss}", audience: [team], keys: { jwks_file: team.json } } }\n` +
    'upstreams: { team: { targets: ["http://127.0.0.1:10"] } }\n' +
    `routes:\n  - { name: team, match: { host: ${new URL(ORIGIN).hostname}, path: ${path} }, upstream: team, issuers: [team]${more} }\n`;
  const main = readFileSync(file, 'utf8');
  const put = (name: string, text: string) => writeFileSync(join(dirname(file), name), text);
  const given = `include: [{ files: team.yaml, routes: ["${new URL(ORIGIN).hostname}/team/*"] }]\n`;
  put('team.json', '{ "keys": [{}] }');
  writeFileSync(file, `${main}${given}`);
  put('team.yaml', team('https://team.example.org', '/team/*', ''));
  const good = await run(t, ['check', '-c', file]);
  assert.equal(good.stderr, '');
  assert.match(good.stdout, /^included team\.yaml: routes at \S+\/team\/\* and nowhere else$/m);

  put('team.yaml', team(ISSUER, '/orders/special', ', forward: { identity: { X-Auth-Subject: nickname } }'));
  const { exit, stderr } = await run(t, ['check', '-c', file]);
  assert.equal(exit, 78);
  const lines = stderr.split('\n');
  for (const key of ['issuers.team.issuer', 'routes[0].match', 'routes[0].forward.identity']) {
    const line = lines.find((one) => one.includes(` ${key}: `)) ?? assert.fail(stderr);
    assert.match(line, /^\S+\/team\.yaml:\d+:\d+ .*\S+\.yaml:\d+:\d+/, line);
  }
});

test('check lists every problem with its place', async (t) => {
  const bad = writePolicy(t, { ...GOOD, more: 'drian: {}', issuers: 'login: { issuer: https://login.example.com }' });
  const { exit, stdout, stderr } = check(bad, undefined);
  assert.deepEqual([exit, stdout], [78, '']);
  assert.match(stderr, /^\/.*holdfast\.yaml:\d+:\d+ issuers\.login\.audience: is required/m);
  assert.match(stderr, /^\/.*holdfast\.yaml:\d+:\d+ drian: .*did you mean drain\?/m);

  const json = check(bad, undefined, { json: true });
  const { valid, problems }: { valid: boolean; problems: { path: string }[] } = JSON.parse(json.stdout);
  assert.deepEqual([json.exit, valid, json.stderr], [78, false, '']);
  assert.deepEqual(problems.map(({ path }) => path).toSorted(), ['drian', 'issuers.login.audience']);

  const stdin = await run(t, ['check', '-c', '-'], 'version: 2\n');
  assert.equal(stdin.exit, 78);
  assert.match(stdin.stderr, /^<stdin>:1:10 version: is the number 2, expected 1$/m);
});

test('a problem comes with its line and a caret, once for all places of one cause, and never with a secret of that line', async (t) => {
  const routes = ['a', 'b', 'c']
    .map((name) => `- { name: ${name}, match: { path: /${name}/* }, upstream: odrers, client_secret: ${MARK} }`)
    .join('\n');
  const { stderr } = check(writePolicy(t, { ...GOOD, routes }), undefined);
  assert.ok(!stderr.includes(MARK), stderr);
  const [unknown, undeclared] = stderr.split(/(?<=\^)\n/);
  assert.match(
    unknown ?? '',
    /routes\[0\]\.upstream: is not a declared upstream, did you mean orders\? \(the same at \d+:\d+, \d+:\d+\)\n/,
  );
  assert.match(undeclared ?? '', /routes\[0\]\.client_secret: is not a known key, .*\(the same at /);
  const [, line = '', caret = ''] = (unknown ?? '').split('\n');
  assert.ok(line.slice(caret.indexOf('^')).startsWith('odrers,'), stderr);
  assert.match(line, /client_secret: …/);
  assert.match(stderr, /\n2 problems; this configuration is not used\.\n$/);
});

test('schema prints the JSON Schema that the repository has, version the version', async (t) => {
  const [schema, version] = await Promise.all([run(t, ['schema']), run(t, ['version', '--json'])]);
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  assert.deepEqual(JSON.parse(schema.stdout), JSON.parse(read('schema/holdfast.schema.json')));
  assert.equal(JSON.parse(version.stdout).version, JSON.parse(read('package.json')).version);
  assert.deepEqual([schema.exit, version.exit], [0, 0]);
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
  const request = ['explain', '-c', config, '--method', 'GET', '--url'];
  const ask = (path: string, ...more: string[]) => [...request, `${ORIGIN}${path}`, ...more];
  const withProof = ['--token-file', file('token', `${token}\n`), '--proof-file', file('proof', proof)];
  const withCertificate = [
    '--token-file',
    file('certified', certified),
    '--cert-file',
    file('client.pem', CLIENT.chain),
  ];
  const secrets = [token, certified, proof].flatMap((jws) => [jws, ...jws.split('.').slice(1)]);
  return { ask, token, withProof, withCertificate, secrets: [...secrets, `${MARK}-token`, `${MARK}-proof`] };
}

test('explain decides about one request as the gateway would, and never repeats what was given in files', async (t) => {
  const { ask, token, withProof, withCertificate, secrets } = await credentialFiles(t);
  const here = (...args: Parameters<typeof ask>) => explain(readCommandLine(ask(...args)));
  const [permitted, permittedJson, elsewhere, elsewhereJson, open, mtls, stdin, unrouted] = await Promise.all([
    here('/orders/1', ...withProof),
    here('/orders/1', ...withProof, '--json'),
    here('/orders/2?code=secret', ...withProof),
    here('/orders/2', ...withProof, '--json'),
    here('/open/1'),
    here('/mtls/1', ...withCertificate),
    run(t, ask('/orders/1', '--token-file', '-'), token),
    here('/nowhere'),
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
    assert.match(permitted.stdout, /^PERMITTED\nlistener public, route orders, require: dpop\n/);
    assert.match(permitted.stdout, /^ok +.*RFC 9449/m);
    assert.doesNotMatch(permitted.stdout, /FAILED/);
    assert.match(
      permitted.stdout,
      new RegExp(`^PERMITTED\n.*\nThe upstream would get:\n.*\n {2}X-Auth-Subject: ${MARK}-alice\n`, 'm'),
    );
    assert.match(permitted.stdout, /replay store was not asked/);
  });
  await t.test(
    'a proof for another URL: what was expected, what came, and the answer that the client would get',
    () => {
      assert.match(elsewhere.stdout, /^FAILED .*\n +expected .*\/orders\/2.*\n +received .*\/orders\/1/m);
      assert.match(elsewhere.stdout, /^REFUSED: proof_uri_mismatch\nlistener public, route orders, require: dpop\n/);
      assert.match(
        elsewhere.stdout,
        /^ {2}what +htu, path\n {2}expected +\S+\/orders\/2\n {2}received +\S+\/orders\/1\n {2}client +Set htu/m,
      );
      assert.match(
        elsewhere.stdout,
        /The client would get:\n  401\n[^]*WWW-Authenticate: DPoP .*error="invalid_dpop_proof"/,
      );
      assert.ok(!elsewhere.stdout.includes('secret'), 'the query is repeated');
    },
  );
  await t.test('a public route: that nothing is looked at', () => {
    assert.match(open.stdout, /^PERMITTED\nlistener public, route open, require: public\n/);
  });
  await t.test('a bound token alone, from standard input: which binding it lacks', () => {
    assert.match(stdin.stdout, /^REFUSED: binding_downgraded$/m);
  });
  await t.test('a certificate where the listener asks for none is no evidence, and said to be none', async () => {
    const config = writePolicy(t, { routes: '- { name: orders, match: { path: /orders/* }, upstream: orders }' });
    const [, ...certified] = withCertificate.slice(1);
    const request = ['explain', '-c', config, '--method', 'GET', '--url', `${ORIGIN}/orders/1`, ...certified];
    await assert.rejects(explain(readCommandLine(request)), /--cert-file: listener public never sees one/);
  });
  await t.test('no route', () => {
    assert.match(unrouted.stdout, /^REFUSED: route_not_found\nlistener public, route \(none\)\n/);
  });
  await t.test('keys that cannot be loaded: why', async () => {
    const issuers =
      'login: { issuer: http://127.0.0.1:1, audience: [x], keys: { jwks_uri: "http://127.0.0.1:1/keys" } }';
    const config = writePolicy(t, { ...GOOD, issuers });
    const elsewhere = await makeToken(ISSUER_KEY, Date.now() / 1000, { claims: { iss: 'http://127.0.0.1:1' } });
    const file = join(dirname(config), 'elsewhere');
    writeFileSync(file, elsewhere);
    const request = ['explain', '-c', config, '--method', 'GET', '--url', `${ORIGIN}/orders/1`, '--token-file', file];
    const { stdout } = await explain(readCommandLine(request));
    assert.match(stdout, /^REFUSED: issuer_unavailable\n[^]*^ {2}what +keys of the issuer\n[^]*^ {2}name +login$/m);
    assert.match(stdout, /^The keys of issuer login could not be loaded: .*ECONNREFUSED$/m);
  });
  await t.test('a configuration with problems: as check says them, --json on standard output too', async () => {
    const bad = writePolicy(t, { ...GOOD, more: 'drian: {}' });
    const request = ['explain', '-c', bad, '--method', 'GET', '--url', `${ORIGIN}/orders/1`];
    for (const json of [false, true]) {
      const explained = await explain(readCommandLine(json ? [...request, '--json'] : request));
      assert.deepEqual(explained, check(bad, undefined, { json }));
    }
  });
  await t.test('--json says the same for programs', () => {
    const { decision, route, checks, identity } = JSON.parse(permittedJson.stdout);
    assert.deepEqual([decision, route], ['permitted', 'orders']);
    assert.ok(
      checks.length > 10 && checks.every(({ outcome }: { outcome: string }) => /^(?:passed|not needed)$/.test(outcome)),
    );
    assert.ok(identity.some(([name]: [string]) => name === 'X-Auth-Thumbprint'));
    const refused = JSON.parse(elsewhereJson.stdout);
    assert.deepEqual([refused.decision, refused.reason, refused.answer.status], ['refused', 'proof_uri_mismatch', 401]);
    assert.deepEqual(refused.facts, {
      what: 'htu',
      differs: 'path',
      expected: `${ORIGIN}/orders/2`,
      received: `${ORIGIN}/orders/1`,
    });
  });
});
