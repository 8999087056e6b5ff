// Reading a configuration: files, includes, the environment and positions, on real files.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { formatProblem } from '../../../src/config/problem.ts';
import { type ReadPolicy, readPolicyFile } from '../../../src/config/read/read.ts';
import type { Config } from '../../../src/config/schema/schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-read-'));
after(() => rmSync(folder, { recursive: true }));

function write(files: Readonly<Record<string, string | Uint8Array>>): string {
  const [first = ''] = Object.keys(files);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return join(folder, first);
}

function read(file: string, env: Record<string, string> = {}, stdin?: string): ReadPolicy {
  const policy = readPolicyFile(file, { env, stdin });
  assert.ok('config' in policy, 'problems' in policy ? policy.problems.map(formatProblem).join('\n') : '');
  return policy;
}

function problems(file: string, env: Record<string, string> = {}, stdin?: string): readonly string[] {
  const policy = readPolicyFile(file, { env, stdin });
  return 'problems' in policy
    ? policy.problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ''))
    : [];
}

const MINIMAL = `version: 1
listeners: [{ name: public, bind: "127.0.0.1:8443" }]
issuers:
  login: { issuer: "https://login.example.com", audience: [https://api.example.com] }
upstreams:
  orders: { targets: ["http://127.0.0.1:9000"] }
routes:
  - { name: orders, match: { path: /orders/* }, upstream: orders }
`;

describe('a configuration that cannot be read', () => {
  it('names the file and the reason of the system when it is not there', () => {
    assert.deepEqual(problems(join(folder, 'no.yaml')), [
      'no.yaml:1:1 cannot be read (ENOENT: no such file or directory), expected a readable file',
    ]);
  });

  it('is refused when it is a folder, or no UTF-8', () => {
    assert.match(problems(folder)[0] ?? '', /EISDIR/);
    assert.match(problems(write({ 'latin.yaml': Uint8Array.of(0x61, 0xff) }))[0] ?? '', /expected YAML in UTF-8/);
  });

  it('is answered, not crashed upon, when it nests without end', () => {
    const [problem, ...others] = problems(write({ 'deep.yaml': `version: ${'['.repeat(5000)}` }));
    assert.match(problem ?? '', /nested too deeply/);
    assert.deepEqual(others, []);
  });

  it('cannot smuggle a key past the schema by the name of the prototype', () => {
    const text = MINIMAL.replace('upstream: orders }', 'upstream: orders, claims: { __proto__: admin } }');
    assert.deepEqual(problems('-', {}, text), ['<stdin>:8:77 routes[0].claims.__proto__: cannot be a key']);
  });
});

describe('the environment', () => {
  it('types a plain value by what it becomes, and leaves a quoted one text', () => {
    const config = at('workers: ${W}\nlog: { level: "${L}" }\n', { W: '1', L: 'debug' }).config;
    assert.equal(config.workers, 1);
    assert.equal(config.log.level, 'debug');
    assert.match(problems('-', { W: '1' }, `${MINIMAL}workers: "\${W}"\n`)[0] ?? '', /is the text "\$\{W\}"/);
  });

  it('gives the default for a name that is unset or empty, and a literal ${ for $${', () => {
    const route =
      '  - name: ${A:-a}${B:-b}\n    match: { path: /x }\n    upstream: orders\n    claims: { c: "$${A}${C:-}" }\n';
    const [, added] = at(route, { A: '' }).config.routes;
    assert.equal(added?.name, 'ab');
    assert.deepEqual(added?.claims, { c: '${A}' });
  });

  it('cannot add keys, items or comments: a value stays one scalar', () => {
    const value = 'x: 1\n- y # z';
    const [, added] = at(
      '  - name: more\n    match: { path: /x }\n    upstream: orders\n    claims:\n      c: ${V}\n',
      {
        V: value,
      },
    ).config.routes;
    assert.deepEqual(added?.claims, { c: value });
  });

  function at(more: string, env: Record<string, string>): ReadPolicy {
    return read('-', env, `${MINIMAL}${more}`);
  }
});

describe('included files', () => {
  const team = (name: string) => `issuers:
  ${name}: { issuer: "https://${name}.example.com", audience: [a], keys: { jwks_file: keys.json } }
upstreams:
  ${name}: { targets: ["http://127.0.0.1:9001"] }
routes:
  - name: ${name}
    match: { host: ${name}.example.com, path: / }
    issuers: [${name}]
    upstream: ${name}
`;
  const file = write({
    'included/main.yaml': `${MINIMAL}include: [teams/*.yaml, "*.yaml", nobody/*.yaml]\n`,
    'included/teams/b.yaml': team('b'),
    'included/teams/a.yaml': team('a'),
    'included/teams/keys.json': '{"keys":[]}',
    'included/teams/.hidden.yaml': 'nonsense: [',
  });
  const policy = read(file);

  it('join the main file in the order of their names, and the main file never includes itself', () => {
    assert.deepEqual(Object.keys(policy.config.issuers), ['login', 'a', 'b']);
    assert.deepEqual(Object.keys(policy.config.upstreams), ['orders', 'a', 'b']);
    assert.deepEqual(
      policy.config.routes.map(({ name }) => name),
      ['orders', 'a', 'b'],
    );
  });

  it('keep their own positions, and paths as counted there', () => {
    const inTeam = join(folder, 'included/teams/b.yaml');
    const placeOf = (path: (string | number)[]) => {
      const { file: of, line, column } = policy.position(path);
      return { file: of, line, column };
    };
    assert.deepEqual(placeOf(['routes', 2, 'match', 'host']), { file: inTeam, line: 7, column: 20 });
    assert.equal(policy.shownPath(['routes', 2, 'match', 'host']), 'routes[0].match.host');
    assert.deepEqual(placeOf(['upstreams', 'b', 'tls', 'ca_file']), { file: inTeam, line: 4, column: 6 });
    assert.deepEqual(placeOf(['routes', 0, 'name']), { file, line: 8, column: 13 });
  });

  it('are told apart from the main file', () => {
    assert.deepEqual(
      [['routes', 0], ['routes', 1], ['issuers', 'login'], ['issuers', 'a'], ['defaults']].map((path) =>
        policy.includedBy(path),
      ),
      [undefined, 0, undefined, 0, undefined],
    );
  });

  it('name the environment variables that the main file gives them, and no other', () => {
    const target = (name: string) => team('c').replace('127.0.0.1:9001', `\${${name}}`);
    const main = (environment: string) => `${MINIMAL}include: [{ files: c.yaml, environment: [${environment}] }]\n`;
    const env = { OWN: '127.0.0.1:9003', SECRET: 'top-secret' };
    const files = {
      'given/main.yaml': main('OWN'),
      'given/c.yaml': target('OWN'),
      'given/teams/keys.json': '',
      'given/keys.json': '',
    };
    const given = readPolicyFile(write(files), { env });
    assert.ok('config' in given);
    assert.deepEqual(given.config.upstreams.c?.targets, ['http://127.0.0.1:9003']);
    assert.ok(given.sources.files.some((file) => file.endsWith('given/c.yaml')));
    for (const name of ['SECRET', 'SECRET:-x', 'UNSET']) {
      const result = readPolicyFile(write({ ...files, 'given/c.yaml': target(name) }), { env });
      assert.ok('problems' in result);
      assert.deepEqual(
        result.problems.map(({ path, message }) => `${path}: ${message}`),
        [
          `upstreams.c.targets[0]: names the environment variable ${name.split(':')[0]}, which the main file does not give to this one, ` +
            'expected it under environment of the entry in include',
        ],
      );
    }
  });

  it('name files relative to themselves', () => {
    assert.equal(policy.files.get('issuers.a.keys.jwks_file')?.path, join(folder, 'included/teams/keys.json'));
  });

  it('all count in the text from which the policy gets its name', () => {
    assert.ok(policy.text.includes('name: orders') && policy.text.includes('name: a\n'));
  });
});

describe('files that keys name', () => {
  it('are read relative to the configuration, byte for byte, under the dotted path of their key', () => {
    const bytes = Uint8Array.of(0, 255, 10);
    const policy = read(
      write({
        'named/main.yaml': `${MINIMAL}nonce: { secret_files: [secrets/b, secrets/a] }\n`,
        'named/secrets/a': bytes,
        'named/secrets/b': 'b',
      }),
    );
    assert.deepEqual([...policy.files.keys()], ['nonce.secret_files.0', 'nonce.secret_files.1']);
    const file = policy.files.get('nonce.secret_files.1');
    assert.equal(file?.path, join(folder, 'named/secrets/a'));
    assert.deepEqual(new Uint8Array(file?.content ?? []), bytes);
  });

  it('are found for every key of the contract that names one', () => {
    const tls = 'tls: { certificates: [{ cert: f, key_file: f }] }, client_certificate: { ca_file: f, crl_file: f }';
    const text = `version: 1
listeners: [{ name: public, bind: "127.0.0.1:8443", ${tls} }]
issuers:
  login: { issuer: "https://login.example.com", audience: [a], ca_file: f, keys: { jwks_file: f } }
nonce: { secret_files: [f] }
upstreams:
  orders: { targets: ["https://orders.example.com"], tls: { ca_file: f, cert: f, key_file: f } }
routes:
  - { name: orders, match: { path: / }, upstream: orders }
`;
    const policy = read(write({ 'all/main.yaml': text, 'all/f': 'x' }));
    assert.equal(policy.files.size, [...text.matchAll(/\bf\b/g)].length);
  });
});

describe('the sources of a configuration', () => {
  const at = (name: string) => join(folder, 'sources', name);
  const main = () =>
    write({
      'sources/main.yaml': `${MINIMAL}include: [teams/*.yaml, more.yaml, "*.yaml"]\nnonce: { secret_files: [a, a, gone] }\n`,
      'sources/teams/b.yaml': 'routes: []\n',
      'sources/more.yaml': 'routes: []\n',
      'sources/a': 'x'.repeat(32),
    });

  it('are the files that are named, those that are not there included, and the patterns', () => {
    const { sources } = readPolicyFile(main(), { env: {} });
    assert.deepEqual(sources.files, ['main.yaml', 'more.yaml', 'a', 'gone'].map(at));
    assert.deepEqual([sources.patterns, sources.directory], [['teams/*.yaml', '*.yaml'], join(folder, 'sources')]);
  });

  it('have another digest when a byte, a name or the presence of a file changes, and only then', () => {
    const digest = () => readPolicyFile(main(), { env: {} }).sources.digest;
    const before = digest();
    assert.equal(digest(), before);
    const changes = [
      { 'sources/teams/b.yaml': 'routes: [ ]\n' },
      { 'sources/a': 'y'.repeat(32) },
      { 'sources/teams/c.yaml': '' },
    ];
    const seen = changes.map((change) => {
      const file = main();
      write(change);
      return readPolicyFile(file, { env: {} }).sources.digest;
    });
    rmSync(at('teams/c.yaml'));
    write({ 'sources/gone': '' });
    seen.push(digest());
    rmSync(at('gone'));
    assert.equal(new Set([before, ...seen]).size, 5);
    assert.equal(digest(), before);
  });

  it('are known of a configuration that is bad, too: as far as it was read', () => {
    const { files, digest } = readPolicyFile(write({ 'sources/bad.yaml': 'routes: [' }), { env: {} }).sources;
    assert.deepEqual(files, [at('bad.yaml')]);
    assert.notEqual(digest, readPolicyFile(join(folder, 'no.yaml'), { env: {} }).sources.digest);
    assert.deepEqual(readPolicyFile(join(folder, 'no.yaml'), { env: {} }).sources.files, [join(folder, 'no.yaml')]);
    assert.deepEqual(readPolicyFile('-', { env: {}, stdin: MINIMAL }).sources.files, []);
  });
});

describe('standard input', () => {
  it('is read for the name -, and called <stdin> in problems', () => {
    assert.equal(read('-', {}, MINIMAL).config.routes[0]?.name, 'orders');
    assert.match(problems('-', {}, '')[0] ?? '', /^<stdin>:1:1 is empty/);
  });
});

describe('what is read', () => {
  it('has durations in seconds, sizes in bytes, addresses in parts and every default', () => {
    const config: Config = read('-', {}, MINIMAL).config;
    const [listener] = config.listeners;
    assert.deepEqual(listener?.bind, { host: '127.0.0.1', port: 8443 });
    assert.equal(listener?.limits.header_size, 32 * 1024);
    assert.equal(listener?.limits.request_body, 10 * 1024 * 1024);
    assert.equal(listener?.limits.idle_timeout, 75);
    assert.deepEqual(config.drain, { delay: 5, grace: 30 });
    assert.equal(config.nonce.lifetime, 120);
    assert.equal(config.defaults.require, 'sender-constrained');
    assert.equal(config.defaults.dpop.max_age, 60);
    assert.deepEqual(config.defaults.timeouts, { connect: 2, response_header: 30, idle: 60, total: 'none' });
    assert.equal(config.defaults.forward.identity['X-Auth-Subject'], 'sub');
    assert.equal(config.issuers.login?.keys, 'discovery');
  });

  it('keeps what a route does not say apart from what it says like the defaults', () => {
    const text = MINIMAL.replace('upstream: orders }', 'upstream: orders, dpop: { max_age: 60s } }');
    const [route] = read('-', {}, text).config.routes;
    assert.deepEqual(route?.dpop, { max_age: 60 });
    assert.equal(route?.require, undefined);
    assert.equal(route?.forward, undefined);
  });

  it('counts columns behind a byte order mark and Windows line ends as editors do', () => {
    const text = `\uFEFF${MINIMAL.replaceAll('\n', '\r\n').replace('/orders/*', 'orders')}`;
    assert.match(problems('-', {}, text)[0] ?? '', /^<stdin>:8:36 routes\[0\]\.match\.path: is "orders"/);
  });
});
