// A gateway of a Secret: waiting, serving, and never without its last good policy.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { loadDocument } from '../../../src/cli/load.ts';
import { checkSecret } from '../../../src/cli/secret/check-secret.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { Command } from '../../gateway/command.ts';
import { HOST, readPage, sendRequest, SERVER, startUpstream } from '../../support/gateway.ts';
import { freePort } from '../../support/programs.ts';
import { ApiServer, NAME } from './api-server.ts';

interface Wishes {
  readonly upstream: string;
  readonly port: number;
  readonly telemetry: number;
  readonly path?: string;
  readonly more?: object;
}

const configuration = ({ upstream, port, telemetry, path = '/*', more = {} }: Wishes) => ({
  version: 1,
  listeners: [
    {
      name: 'public',
      bind: `127.0.0.1:${port}`,
      origins: [`https://${HOST}`],
      tls: { certificates: [{ cert: SERVER.chain, key_file: SERVER.key }] },
    },
  ],
  admin: { bind: '127.0.0.1:0' },
  telemetry: { bind: `127.0.0.1:${telemetry}` },
  defaults: { require: 'public' },
  drain: { delay: '0s', grace: '5s' },
  upstreams: { orders: { targets: [upstream] } },
  routes: [{ name: 'orders', match: { path }, upstream: 'orders' }],
  ...more,
});

const packed = (value: unknown) => ({ 'holdfast.json.gz': gzipSync(JSON.stringify(value)) });

/** The command as a process, told of the API server and the token by the file that runs it. */
async function start(t: TestContext) {
  const api = await ApiServer.start(t);
  const upstream = await startUpstream(t);
  const [port, telemetry, waiting] = [await freePort(), await freePort(), await freePort()];
  const { host, port: apiPort, folder } = api.cluster;
  const command = new Command(t, [], '', [
    process.execPath,
    `${import.meta.dirname}/serve-secret.ts`,
    JSON.stringify({
      cluster: { host, port: apiPort, folder },
      secret: NAME,
      waiting: [{ host: '127.0.0.1', port: waiting }],
    }),
  ]);
  const wishes = { upstream: upstream.origin, port, telemetry };
  const readiness = async (at: number) => JSON.parse((await readPage(at, '/readyz')).body) as Record<string, unknown>;
  return { api, command, wishes, waiting, readiness, ask: (path: string) => sendRequest(port, 'GET', path) };
}

test('it waits for a good policy, live and not ready, then serves it and follows each change', async (t) => {
  const { api, command, wishes, waiting, readiness, ask } = await start(t);
  await command.logged('the secret does not exist');
  assert.equal((await readPage(waiting, '/livez')).status, 200);
  assert.equal((await readPage(waiting, '/readyz')).status, 503);
  assert.deepEqual(await readiness(waiting), {
    ready: false,
    state: 'waiting',
    secret: 'secret gateways/public',
    problems: ['secret gateways/public does not exist'],
  });

  api.put(packed(configuration({ ...wishes, more: { nonsense: SERVER.key } })));
  const refused = await command.logged('configuration refused: there is none in force yet');
  assert.match(
    String(refused['problems']),
    /^secret gateways\/public:\d+:3 nonsense: is not a known key, expected one of version/,
  );
  assert.deepEqual((await readiness(waiting))['problems'], refused['problems']);

  api.put(packed(configuration(wishes)));
  await command.logged('serving');
  assert.equal((await ask('/1')).status, 200);
  const began = performance.now();
  api.put(packed(configuration({ ...wishes, path: '/moved/*' })));
  assert.equal((await command.logged('policy adopted'))['cause'], 'secret');
  t.diagnostic(`a change is in force after ${Math.round(performance.now() - began)} ms`);
  assert.deepEqual([(await ask('/1')).reason, (await ask('/moved/1')).status], ['route_not_found', 200]);
  assert.equal((await readiness(wishes.telemetry))['ready'], true);

  api.put(packed({ version: 1 }));
  await command.logged('configuration refused: nothing was changed');
  api.put({});
  await command.logged('configuration refused: nothing was changed', 2);
  api.put(undefined);
  await command.logged('the secret does not exist', 2);
  api.endWatches('destroy');
  assert.equal((await ask('/moved/1')).status, 200, 'the last good one stays');
  assert.equal((await readiness(wishes.telemetry))['ready'], true);
  api.put(packed(configuration(wishes)));
  await command.logged('policy adopted', 2);
  assert.equal((await ask('/1')).status, 200);

  command.signal('SIGTERM');
  const { exit, stdout } = await command.ended;
  assert.equal(exit, 0);
  assert.ok(
    !stdout.includes('PRIVATE KEY') && !stdout.includes(SERVER.key.split('\n')[1] ?? ''),
    'nothing of the content is in the log',
  );
});

test('a signal ends the waiting', async (t) => {
  const { command } = await start(t);
  await command.logged('the secret does not exist');
  command.signal('SIGTERM');
  assert.equal((await command.ended).exit, 0);
});

test('a document has no files and no environment: what names one is refused', () => {
  const problems = (more: object) => {
    const loaded = loadDocument(
      JSON.stringify(configuration({ upstream: 'http://127.0.0.1:9', port: 1, telemetry: 2, more }), undefined, 2),
      'secret a/b',
    );
    return 'problems' in loaded ? loaded.problems.map(formatProblem) : [];
  };
  assert.match(
    problems({ nonce: { secret_files: ['/var/run/secrets/kubernetes.io/serviceaccount/token'] } }).join(),
    /nonce\.secret_files\[0\]: is the name of a file, and there are none here, expected its content/,
  );
  assert.match(problems({ include: ['/etc/*.yaml'] }).join(), /include: is not taken here, where there are no files/);
  assert.match(
    problems({ problem_base: 'https://${HOME}' }).join(),
    /names the environment variable HOME, which is not set/,
  );
  assert.deepEqual(problems({}), []);
});

test('check --from-secret says what is in it, or what is wrong, and nothing of its content', async (t) => {
  const api = await ApiServer.start(t);
  const check = () => checkSecret(api.cluster, NAME, { json: false });
  assert.deepEqual(
    [(await check()).exit, (await check()).stderr],
    [1, 'holdfast: secret gateways/public does not exist\n'],
  );
  api.put({ other: 'x' });
  assert.match((await check()).stderr, /has no key holdfast\.json\.gz or holdfast\.json/);
  const wishes = { upstream: 'http://127.0.0.1:9', port: 1, telemetry: 2 };
  api.put(packed(configuration({ ...wishes, more: { key: SERVER.key } })));
  const wrong = await check();
  assert.deepEqual([wrong.exit, wrong.stderr.includes(SERVER.key.split('\n')[1] ?? '')], [78, false]);
  api.put(packed(configuration(wishes)));
  assert.match((await check()).stdout, /The configuration is good: 1 route\./);
});
