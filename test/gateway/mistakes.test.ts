// Every mistake of client developers, judged by the answer, the log and the status page.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { readAll } from '../support/edge.ts';
import {
  type Answered,
  type GatewayWishes,
  portOf,
  readPage,
  SERVER_CA,
  startTestGateway,
  type TestGateway,
} from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { MISTAKEN, type Mistake } from './mistaken.ts';
import { MISTAKES } from './mistakes.ts';

type Members = Readonly<Record<string, unknown>>;

/** Refusals that the status page keeps in full; more than these are looked at in turns. */
const KEPT = 50;

const pageOf = async (gateway: TestGateway, path: string) => (await readPage(portOf(gateway.running.admin), path)).body;

/** A key of the configuration, which is nothing that a client could change. */
const CONFIGURATION =
  /\[\]|\*\.|\b(?:listeners|issuers|routes|upstreams|limits|timeouts|cors|trusted_peers|forward)\.|\b(?!acr_values|max_age|request_id|access_token)[a-z]+_[a-z_]+\b/;

/** What was wrong and what to do are in the answer, and nothing in it misleads. */
function judgeAnswer({ reason, says }: Mistake, { body, fields }: Answered): Members {
  const problem = JSON.parse(body) as Members;
  assert.equal(problem['reason'], reason);
  for (const part of says) assert.match(body, part);
  assert.match(String(problem['detail']), says.at(-1) ?? /^$/, 'the last one is what to do');
  assert.doesNotMatch(`${String(problem['title'])} ${String(problem['detail'])}`, CONFIGURATION);
  const { expected, received } = problem;
  assert.ok(expected === undefined || expected !== received, `equal values: ${body}`);
  const description = fields.all('www-authenticate').join();
  if (description.includes('error="'))
    assert.ok(description.includes(`error_description="${String(problem['title'])}"`));
  return problem;
}

/** The line of the log says the same, and more. */
async function judgeLine(gateway: TestGateway, problem: Members): Promise<Members> {
  const line = await gateway.logged({ msg: 'request', request_id: problem['request_id'] });
  assert.equal(line['reason'], problem['reason']);
  const facts = (line['facts'] ?? {}) as Members;
  for (const name of ['what', 'differs', 'expected', 'received', 'received_in', 'clock_offset', 'seconds_over']) {
    assert.equal(facts[name], problem[name], name);
  }
  return facts;
}

interface Judged {
  readonly problem: Members;
  readonly facts: Members;
}

/** Both pages for operators have each of them, with its values. */
async function judgePages(gateway: TestGateway, judged: readonly Judged[]): Promise<void> {
  const page = await pageOf(gateway, '/status');
  const { last_refusals: last } = JSON.parse(await pageOf(gateway, '/refusals.json')) as { last_refusals: Members[] };
  for (const { problem, facts } of judged) {
    const { request_id: id, reason } = problem;
    const listed = last.find((one) => one['request_id'] === id) ?? assert.fail(`${String(reason)} is not listed`);
    assert.deepEqual([listed['reason'], listed['facts']], [reason, facts]);
    const row = page.split('<tr>').find((one) => one.includes(`title="${String(id)}"`)) ?? assert.fail('no row');
    assert.ok(row.includes(`<code>${String(reason)}</code>`));
    for (const name of ['what', 'differs', 'expected', 'received']) {
      assert.ok(row.includes(escaped(facts[name])), `${String(reason)} has no ${name} on the page: ${row}`);
    }
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
function escaped(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value !== 'string' && typeof value !== 'number') assert.fail(`a fact is ${typeof value}`);
  return String(value).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

test('at least 38 mistakes are made here, each by a name of its own', () => {
  assert.ok(MISTAKES.length >= 38, String(MISTAKES.length));
  assert.equal(new Set(MISTAKES.map(({ mistake }) => mistake)).size, MISTAKES.length);
});

test('the answer alone says what was wrong and what to do, and log and pages show it too', async (t) => {
  const gateway = await startTestGateway(t, MISTAKEN);
  for (let first = 0; first < MISTAKES.length; first += KEPT - 5) {
    const judged: Judged[] = [];
    for (const mistake of MISTAKES.slice(first, first + KEPT - 5)) {
      await t.test(mistake.mistake, async () => {
        const problem = judgeAnswer(mistake, await mistake.send(gateway));
        judged.push({ problem, facts: await judgeLine(gateway, problem) });
      });
    }
    await t.test(`both pages have mistakes ${first + 1} and on`, () => judgePages(gateway, judged));
  }
});

test('plain HTTP on a port that speaks TLS is answered in plain HTTP, and is on both pages', async (t) => {
  const gateway = await startTestGateway(t, MISTAKEN);
  const socket = connect(portOf(gateway.running.listeners[0]?.bind), '127.0.0.1');
  socket.write('GET /open/1 HTTP/1.1\r\nHost: api.example.com\r\n\r\n');
  const [head = '', body = ''] = (await readAll(socket)).split('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/);
  const problem = JSON.parse(body) as Members;
  assert.equal(problem['reason'], 'tls_required');
  assert.match(String(problem['detail']), /Call it with https instead of http/);
  await judgePages(gateway, [{ problem, facts: await judgeLine(gateway, problem) }]);
  assert.equal(gateway.upstream.seen.length, 0);
});

/** A connection that never carries a request leaves no answer; the operator sees it. */
async function judgeConnection(t: TestContext, wishes: GatewayWishes, make: (port: number) => void): Promise<Members> {
  const gateway = await startTestGateway(t, wishes);
  make(portOf(gateway.running.listeners[0]?.bind));
  const line = await gateway.logged({ msg: 'handshake refused' });
  assert.equal(line['client'], '127.0.0.1');
  const { refused_connections: refused } = JSON.parse(await pageOf(gateway, '/refusals.json')) as {
    refused_connections: Members[];
  };
  const [only, ...others] = refused;
  assert.equal(others.length, 0);
  const { listener, last_five_minutes: recently, last_client: client, look_at: lookAt } = only ?? {};
  assert.deepEqual([listener, recently, client], ['public', 1, '127.0.0.1']);
  const page = await pageOf(gateway, '/status');
  assert.ok(page.includes(escaped(lookAt)) && String(lookAt) !== '', String(lookAt));
  return only ?? {};
}

const drop = (port: number, options: object = {}) =>
  void connectTls({ port, host: '127.0.0.1', servername: 'api.example.com', ca: SERVER_CA.cert, ...options }).on(
    'error',
    () => {}, // what the client is told is an alert of TLS
  );

test('a client without the certificate that a listener demands is on both pages', async (t) => {
  const listener = 'client_certificate: { request: required, ca_file: clients.pem }';
  const { refusal, look_at: lookAt } = await judgeConnection(t, { listener }, (port) => drop(port));
  assert.equal(refusal, 'certificate_missing');
  assert.match(String(lookAt), /showed no certificate/);
});

test('a client of another version of TLS is on both pages', async (t) => {
  const listener = 'limits: { header_timeout: 5s }';
  const only = await judgeConnection(t, { listener }, (port) =>
    drop(port, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }),
  );
  assert.deepEqual([only['refusal'], only['code']], ['failed', 'ERR_SSL_UNSUPPORTED_PROTOCOL']);
});

test('a client without a common cipher suite is on both pages', async (t) => {
  const only = await judgeConnection(t, {}, (port) => drop(port, { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }));
  assert.deepEqual([only['refusal'], only['code']], ['failed', 'ERR_SSL_NO_SHARED_CIPHER']);
});

test('a client whose certificate is of another CA is on both pages', async (t) => {
  const listener = 'client_certificate: { request: required, verify: chain, ca_file: clients.pem }';
  const { chain: cert, key } = await makeCertificate({ names: ['client.example.net'] });
  const only = await judgeConnection(t, { listener }, (port) => drop(port, { cert, key }));
  assert.equal(only['refusal'], 'certificate_untrusted');
});

test('a peer that sends no PROXY header where one is required is on both pages', async (t) => {
  const listener = 'proxy_protocol: required\ntrusted_peers: [{ cidr: 127.0.0.1/32 }]';
  const only = await judgeConnection(t, { listener }, (port) => {
    connect(port, '127.0.0.1')
      .on('error', () => {})
      .write('GET / HTTP/1.1\r\n\r\n');
  });
  assert.equal(only['refusal'], 'proxy_header_malformed');
});
