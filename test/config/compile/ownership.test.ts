// Ownership of included files, on real files: issuers, hosts, upstreams, secrets.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { compilePolicy } from '../../../src/config/compile/compile.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { readPolicyFile } from '../../../src/config/read/read.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

const MAIN = `version: 1
include:
  - { files: team.yaml, routes: [GRANTS], upstreams: [shared] }
  - { files: other.yaml, routes: [api.example.com/team/returns/*, "other.example.com/*"] }
listeners: [{ name: public, bind: "127.0.0.1:0", origins: ["http://api.example.com", "http://team.example.com", "http://other.example.com", "http://x.example.com"] }]
issuers:
  login: { issuer: "https://login.example.com", audience: [api], introspection: { client_id: gw, client_secret_file: main.secret } }
upstreams:
  orders: { targets: ["http://127.0.0.1:9000", "unix:/run/orders.sock"] }
  shared: { targets: ["http://127.0.0.1:9009"] }
routes:
  - { name: orders, match: { host: api.example.com, path: /orders/* }, upstream: orders, require: dpop }
  - { name: rest, match: { path: /* }, upstream: orders }
`;
const ISSUER = '  team: { issuer: "https://team.example.org", audience: [team] }\n';
const UPSTREAM = '  team: { targets: ["http://127.0.0.1:9001"] }\n';
const ROUTE = '{ name: team, match: { host: team.example.com, path: /a/* }, upstream: team, issuers: [team] }';

interface Team {
  readonly issuers?: string;
  readonly upstreams?: string;
  readonly routes?: string;
}

const fileOf = ({ issuers = ISSUER, upstreams = UPSTREAM, routes = ROUTE }: Team) =>
  `issuers:\n${issuers}upstreams:\n${upstreams}routes:\n  - ${routes}\n`;

/** Problems, with file names relative to the folder. */
function problemsOf(
  team: Team,
  { main = MAIN, grants = '"team.example.com/*", "api.example.com/team/*"', other = '' } = {},
) {
  const at = join(folder, String((count += 1)));
  const files = {
    'holdfast.yaml': main.replace('GRANTS', grants),
    'team.yaml': fileOf(team),
    'other.yaml': other,
    'main.secret': 'm',
    'keys/team.secret': 't',
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(at, name)), { recursive: true });
    if (content !== '') writeFileSync(join(at, name), content);
  }
  if (other === '') writeFileSync(join(at, 'other.yaml'), 'routes: []\n');
  const read = readPolicyFile(join(at, 'holdfast.yaml'), { env: {} });
  const result = 'problems' in read ? read : compilePolicy(read, 0);
  return 'problems' in result ? result.problems.map((one) => formatProblem(one).replaceAll(`${at}/`, '')) : [];
}

const routeAt = (match: string, more = '') => ({
  routes: `{ name: team, match: { ${match} }, upstream: team, issuers: [team]${more} }`,
});

test('a file that stays within what it was given is good', () => {
  assert.deepEqual(problemsOf({}), []);
  assert.deepEqual(problemsOf(routeAt('host: api.example.com, path: /team/x')), []);
  assert.deepEqual(problemsOf(routeAt('host: api.example.com, path: /team')), []);
  assert.deepEqual(problemsOf({ routes: ROUTE.replace('issuers: [team]', 'issuers: [login, team]') }), []);
  assert.deepEqual(
    problemsOf({ routes: ROUTE.replace('[team]', '[login]').replace('upstream: team', 'upstream: shared') }),
    [],
  );
});

describe('an iss has one owner', () => {
  const same = (issuer: string) => problemsOf({ issuers: `  team: { issuer: "${issuer}", audience: [api] }\n` });
  test('that of the main file cannot be another issuer of an included one, with keys of its own', () => {
    assert.deepEqual(same('https://login.example.com'), [
      'team.yaml:2:19 issuers.team.issuer: is the iss of issuer login (holdfast.yaml:7:20) in another file, and anyone with its ' +
        'keys speaks for it, expected another issuer, or the name of that one in the routes',
    ]);
  });
  test('nor in a spelling that people take for it', () => {
    for (const issuer of [
      'https://login.example.com/',
      'https://LOGIN.example.com',
      'https://login.example.com:443',
      'http://login.example.com',
      'https://login.example.com.',
      'https://login.example.com.:443/',
    ]) {
      assert.match(
        same(issuer).join('\n'),
        /issuers\.team\.issuer: is the iss of issuer login \(holdfast\.yaml:7:20\)/,
      );
    }
  });
  test('nor that of another included file; the near miss of another realm is good', () => {
    const other = `issuers:\n  other: { issuer: "https://team.example.org", audience: [other] }\nroutes: []\n`;
    assert.match(
      problemsOf({}, { other }).join(),
      /^other\.yaml:2:20 issuers\.other\.issuer: .*issuer team \(team\.yaml:2:19\)/,
    );
    assert.deepEqual(same('https://login.example.com/team'), []);
  });
});

describe('a host and a path have one owner', () => {
  const first = (team: Team, more = {}) => problemsOf(team, more)[0] ?? 'good';
  test('a more specific path on a host of the main file is refused, with both places', () => {
    assert.equal(
      first(routeAt('host: api.example.com, path: /orders/special')),
      'team.yaml:6:26 routes[0].match: is not given to this file (holdfast.yaml:3:5) and takes requests of route orders ' +
        '(holdfast.yaml:12:5), expected a host and path within team.example.com/*, api.example.com/team/*',
    );
  });
  test('so is every other place that was not given', () => {
    for (const match of [
      'host: api.example.com, path: /orders/*',
      'host: api.example.com, path: /*',
      'host: api.example.com, path: /teams/x',
      'host: api.example.com, path: /*/team',
      'host: api.example.com, path: "/*/x"',
      'host: other.example.com, path: /x',
      'host: "*.example.com", path: /x',
      'host: example.com, path: /x',
    ]) {
      assert.match(
        first(routeAt(match)),
        /routes\[0\]\.match: is not given to this file \(holdfast\.yaml:3:5\)/,
        match,
      );
    }
  });
  test('what is given to one file within the place of another belongs to that one alone', () => {
    const inside =
      /match: is inside of api\.example\.com\/team\/returns\/\*, which is given to others \(holdfast\.yaml:4:35\), expected a path outside of it/;
    for (const path of ['/team/returns', '/team/returns/*', '/team/returns/1/x', '"/team/*/x"']) {
      assert.match(first(routeAt(`host: api.example.com, path: ${path}`)), inside, path);
    }
    assert.equal(first(routeAt('host: api.example.com, path: "/team/*"')), 'good');
    assert.equal(first(routeAt('host: api.example.com, path: "/team/returning"')), 'good');
  });
  test('routes of the main file keep their place within what is given', () => {
    const grants = '"api.example.com/*"';
    const inside =
      /match: is inside of api\.example\.com\/orders\/\*, which is a route of the main file \(holdfast\.yaml:12:28\)/;
    assert.match(first(routeAt('host: api.example.com, path: /orders/special'), { grants }), inside);
    assert.match(first(routeAt('host: api.example.com, path: "/*/special"'), { grants }), inside);
    assert.equal(first(routeAt('host: api.example.com, path: /else/*'), { grants }), 'good');
  });
  test('a wildcard gives its hosts, but for those that others have by name', () => {
    const grants = '"*.example.com/*"';
    assert.equal(first(routeAt('host: x.example.com, path: /a'), { grants }), 'good');
    assert.match(
      first(routeAt('host: other.example.com, path: /a'), { grants }),
      /is inside of other\.example\.com\/\*/,
    );
    assert.match(first(routeAt('host: a.b.example.com, path: /a'), { grants }), /is not given to this file/);
  });
  test('a host within a wildcard comes before every path of it, and so takes none of another file', () => {
    const grants = '"*.example.com/*"';
    const wild = MAIN.replace(
      'routes:\n',
      'routes:\n  - { name: wild, match: { host: "*.example.com", path: /admin/* }, upstream: orders }\n',
    );
    for (const path of ['"/*"', '"/*/users"', '"/admin/*"', '/admin']) {
      assert.match(
        first(routeAt(`host: x.example.com, path: ${path}`), { grants, main: wild }),
        /match: comes before \*\.example\.com\/admin\/\*, which is a route of the main file/,
        path,
      );
    }
    const given = MAIN.replace('"other.example.com/*"', '"*.example.com/billing/*"');
    assert.match(
      first(routeAt('host: x.example.com, path: "/*"'), { grants, main: given }),
      /match: comes before \*\.example\.com\/billing\/\*, which is given to others/,
    );
    // Under the wildcard itself the longer path comes first, and what the path does not meet is nobody else's.
    assert.equal(first(routeAt('host: "*.example.com", path: "/team/*"'), { grants, main: wild }), 'good');
    assert.equal(first(routeAt('host: x.example.com, path: /administration/*'), { grants, main: wild }), 'good');
    // By name it was given as a whole.
    assert.equal(
      first(routeAt('host: x.example.com, path: "/*"'), { grants: '"x.example.com/*"', main: wild }),
      'good',
    );
  });
  test('with fall_through a host within a wildcard takes all of its paths from another file', () => {
    const grants = '"*.example.com/*"';
    const route = 'routes:\n  - { name: wild, match: { host: "*.example.com", path: /admin/* }, upstream: orders }\n';
    const main = MAIN.replace('routes:\n', route).replace('bind:', 'fall_through: true, bind:');
    const takes = /match: comes before \*\.example\.com\/admin\/\*, which is a route of the main file/;
    assert.match(first(routeAt('host: x.example.com, path: /else'), { grants, main }), takes);
    assert.equal(first(routeAt('host: "*.example.com", path: /else'), { grants, main }), 'good');
  });
  test('**. gives hosts with any number of labels, but for those that others have more narrowly', () => {
    const grants = '"**.example.com/*"';
    const origin = MAIN.replace('"http://x.example.com"', '"http://x.example.com", "http://a.b.example.com"');
    for (const host of [
      'a.b.example.com',
      'x.example.com',
      '"*.example.com"',
      '"*.b.example.com"',
      '"**.b.example.com"',
    ])
      assert.equal(first(routeAt(`host: ${host}, path: /a`), { grants, main: origin }), 'good', host);
    assert.match(first(routeAt('host: other.example.com, path: /a'), { grants }), /is inside of other\.example\.com/);
    assert.match(first(routeAt('host: example.com, path: /a'), { grants }), /is not given to this file/);
    assert.match(
      first(routeAt('host: "**.example.com", path: /a'), { grants: '"*.example.com/*"' }),
      /is not given to this file/,
    );
    const narrower = origin.replace('"other.example.com/*"', '"*.b.example.com/admin/*"');
    assert.match(
      first(routeAt('host: a.b.example.com, path: "/*"'), { grants, main: narrower }),
      /comes before \*\.b\.example\.com\/admin\/\*, which is given to others/,
    );
    assert.equal(first(routeAt('host: "**.example.com", path: "/x/*"'), { grants, main: narrower }), 'good');
  });
  test('an exact path gives that path and nothing below', () => {
    const grants = 'team.example.com/a';
    assert.equal(first(routeAt('host: team.example.com, path: /a'), { grants }), 'good');
    assert.match(first(routeAt('host: team.example.com, path: /a/*'), { grants }), /is not given/);
    assert.match(first(routeAt('host: team.example.com, path: /a/b'), { grants }), /is not given/);
  });
  test('a name alone gives no place', () => {
    const main = MAIN.replace(/\{ files: team\.yaml.*\}/, 'team.yaml');
    assert.match(
      first({}, { main }),
      /match: is not given to this file \(holdfast\.yaml:3:5\).*, expected \{ files: …, routes: \["team\.example\.com\/a\/\*"\] \} there/,
    );
  });
  test('nothing is given twice, and what is given is a host and a path', () => {
    assert.deepEqual(problemsOf({}, { grants: '"team.example.com/*", "other.example.com/*"' }), [
      'holdfast.yaml:4:67 include[1].routes[1]: is given before (holdfast.yaml:3:56), expected one owner for each host and path',
    ]);
    const grants = '"team.example.com/*", "team.example.com/*/x", "team.example.com//"';
    assert.match(
      problemsOf({}, { grants }).join('\n'),
      /routes\[1\]: is not a valid host and path.*\n.*routes\[2\]: is not a valid host and path/,
    );
  });
});

describe('an upstream has one owner', () => {
  test('a file sends to its own and to what it was given', () => {
    assert.deepEqual(problemsOf({ routes: ROUTE.replace('upstream: team', 'upstream: orders') }), [
      'team.yaml:6:76 routes[0].upstream: is an upstream of another file (holdfast.yaml:9:11), expected one of this file, or ' +
        'upstreams: [orders] for it in include (holdfast.yaml:3:5)',
    ]);
  });
  test('an address of another file cannot be taken under a new name, in any spelling', () => {
    for (const target of [
      'http://127.0.0.1:9000',
      'http://localhost:9000',
      'http://[::1]:9000',
      'http://127.0.0.2:9000',
      'http://[::ffff:127.0.0.1]:9000',
      'http://0.0.0.0:9000',
      'http://2130706433:9000',
      'https://127.0.0.1:9000',
      'unix:/run/orders.sock',
      'unix:/run/../run//orders.sock',
    ]) {
      const problems = problemsOf({ upstreams: `  team: { targets: ["${target}"], insecure_plain_http: true }\n` });
      assert.match(
        problems.join('\n'),
        /^team\.yaml:4:20 upstreams\.team\.targets: has a target of upstream orders \(holdfast\.yaml:9:22\) in another file/,
        target,
      );
    }
    assert.deepEqual(
      problemsOf({ upstreams: '  team: { targets: ["http://127.0.0.1:9002", "unix:/run/team.sock"] }\n' }),
      [],
    );
  });
  test('to one that was given go tokens of the main file alone: others could say that they are anybody', () => {
    assert.deepEqual(problemsOf({ routes: ROUTE.replace('upstream: team', 'upstream: shared') }), [
      'team.yaml:6:93 routes[0].issuers: sends tokens of issuer team (team.yaml:2:9) to an upstream of the main file ' +
        '(holdfast.yaml:10:11), expected issuers of the main file',
    ]);
  });
  test('what is given is an upstream of the main file', () => {
    assert.match(
      problemsOf({}, { main: MAIN.replace('[shared]', '[shared, team, nothing]') }).join('\n'),
      /include\[0\]\.upstreams\[1\]: is not an upstream of the main file, expected one of: orders, shared\n.*upstreams\[2\]/,
    );
  });
});

describe('what is for all', () => {
  test('the fields to the upstream are those of the defaults', () => {
    const forwards = {
      token_exchange: '{ audience: [orders] }',
      identity: '{ X-Auth-Subject: nickname }',
      encoding: 'base64url',
      remove: '[Cookie]',
      client_certificate: '[{ format: xfcc, field: X-Cookie }]',
    };
    for (const [key, value] of Object.entries(forwards)) {
      const [problem] = problemsOf({ routes: ROUTE.replace(/ }$/, `, forward: { ${key}: ${value} } }`) });
      assert.match(
        problem ?? 'good',
        new RegExp(
          `^team\\.yaml:6:\\d+ routes\\[0\\]\\.forward\\.${key}: is not taken from an included file, expected no ${key}: that of defaults\\.forward counts \\(holdfast\\.yaml:\\d+:\\d+\\)`,
        ),
      );
    }
    assert.deepEqual(problemsOf({ routes: ROUTE.replace(/ }$/, ', forward: { host: upstream } }') }), []);
  });
  test('a protected resource is at a place of the file, and of no other file: its document sends clients to issuers', () => {
    const main = MAIN.replaceAll('http://', 'https://')
      .replace('listeners: [{ ', 'listeners: [{ trusted_peers: [{ cidr: 127.0.0.1/32 }], ')
      .replace('require: dpop }', 'require: dpop, resource: { identifier: "https://api.example.com/orders" } }');
    const at = (identifier: string, grants?: string) =>
      problemsOf(
        { routes: ROUTE.replace(/ }$/, `, resource: { identifier: "${identifier}" } }`) },
        grants === undefined ? { main } : { main, grants },
      );
    assert.deepEqual(at('https://team.example.com/a'), []);
    assert.deepEqual(at('https://team.example.com'), []);
    assert.deepEqual(at('https://api.example.com/team/x'), []);
    for (const foreign of [
      'https://api.example.com',
      'https://api.example.com/teams',
      'https://api.example.com/team/returns/x',
    ]) {
      assert.match(
        at(foreign).join(),
        /resource\.identifier: is at a place that is not given to this file \(holdfast\.yaml:3:5\)/,
        foreign,
      );
    }
    assert.match(
      at('https://api.example.com/orders').join('\n'),
      /is at a place.*\n.*is the resource of another file \(holdfast\.yaml:12:\d+\)/,
    );
    const same = /is the resource of another file \(holdfast\.yaml:12:\d+\)/;
    for (const spelled of [
      'https://API.example.com/orders',
      'https://api.example.com:443/orders',
      'https://api.example.com/%6Frders',
    ])
      assert.match(at(spelled).join(), same, spelled);
    const whole = '"api.example.com/*", "team.example.com/*"';
    assert.match(at('https://api.example.com/orders', whole).join(), /is at a place.*is the resource of another file/s);
    assert.deepEqual(at('https://api.example.com', whole), []);
  });
  test('an included issuer never holds back readiness', () => {
    assert.deepEqual(problemsOf({ issuers: ISSUER.replace(' }', ', required_for_ready: true }') }), [
      'team.yaml:2:85 issuers.team.required_for_ready: lets the issuer of an included file (holdfast.yaml:3:5) hold back the ' +
        'whole gateway, expected false',
    ]);
  });
  test('a secret of another file, or outside of its folder, is not sent to where an included file says', () => {
    const asked = (file: string) =>
      problemsOf({ issuers: ISSUER.replace(' }', `, introspection: { client_id: a, client_secret_file: ${file} } }`) });
    assert.match(
      asked('main.secret').join(),
      /^team\.yaml:2:116 issuers\.team\.introspection\.client_secret_file: is a secret of another file \(holdfast\.yaml:7:\d+\)/,
    );
    assert.match(
      asked('/proc/self/environ').join(),
      /client_secret_file: is not below the folder of this included file/,
    );
    assert.match(asked('../x.secret').join(), /client_secret_file: cannot be read/);
    assert.deepEqual(asked('keys/team.secret'), []);
  });
  test('a name of an issuer with dots hides nothing', () => {
    const issuers = ISSUER.replace('team:', 'team.a:').replace(
      ' }',
      ', introspection: { client_id: a, client_secret_file: main.secret } }',
    );
    assert.match(
      problemsOf({ issuers, routes: ROUTE.replace('[team]', '[team.a]') }).join(),
      /is a secret of another file/,
    );
  });
});
