// The log: one line per request, levels and sampling, and nothing in it that is secret.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { createLog, type RequestLine } from '../../src/observe/log.ts';
import type { LogRules } from '../../src/policy/policy.ts';
import { reject } from '../../src/rejection/rejection.ts';

const GOOD: RequestLine = {
  requestId: 'r-1',
  interactionId: undefined,
  listener: { name: 'public' },
  route: { name: 'orders' },
  method: 'GET',
  host: 'api.example.com',
  target: '/orders/1?access_token=secret',
  status: 200,
  grpcStatus: undefined,
  scheme: 'DPoP',
  binding: 'dpop',
  outcome: 'forwarded',
  rejection: undefined,
  shadow: undefined,
  seconds: 0.0123456,
  client: '192.0.2.7',
  sent: 99,
  tunnel: undefined,
  attempts: undefined,
};

const HTU = {
  what: 'htu',
  differs: 'scheme',
  expected: 'https://api.example.com/orders/1',
  received: 'http://api.example.com/orders/1',
} as const;

function makeLog(rules: Partial<LogRules> = {}) {
  const lines: string[] = [];
  const log = createLog({ level: 'info', sampleSuccesses: 1, ...rules }, { write: (line) => void lines.push(line) });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

function logged(line: Partial<RequestLine>): Record<string, unknown> {
  const { log, parsed } = makeLog();
  log.request({ ...GOOD, ...line });
  const [only, ...others] = parsed();
  assert.equal(others.length, 0);
  return only ?? {};
}

describe('the line of a request', () => {
  test('says what happened, without the query', () => {
    const { time, ...rest } = logged({});
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(rest, {
      level: 'info',
      request_id: 'r-1',
      listener: 'public',
      route: 'orders',
      method: 'GET',
      host: 'api.example.com',
      path: '/orders/1',
      status: 200,
      scheme: 'DPoP',
      binding: 'dpop',
      outcome: 'forwarded',
      duration_ms: 12.346,
      client: '192.0.2.7',
      sent_bytes: 99,
      msg: 'request',
    });
  });

  test('of a refusal to a gRPC call has both statuses, and its level goes by what the refusal is', () => {
    const line = logged({ rejection: reject('upstream_unreachable'), grpcStatus: 14, outcome: 'upstream_failed' });
    assert.deepEqual([line['level'], line['status'], line['grpc_status']], ['warn', 200, 14]);
  });

  test('of a refusal has its reason, stage and facts', () => {
    const rejection = reject('proof_uri_mismatch', HTU);
    const line = logged({ rejection, status: 401, outcome: 'rejected' });
    assert.equal(line['level'], 'info');
    assert.equal(line['reason'], 'proof_uri_mismatch');
    assert.equal(line['stage'], 'proof');
    assert.deepEqual(line['facts'], HTU);
  });

  test('has a shadow refusal beside the real outcome', () => {
    const line = logged({ shadow: reject('certificate_missing') });
    assert.equal(line['reason'], undefined);
    assert.deepEqual(line['shadow'], { reason: 'certificate_missing', stage: 'certificate' });
  });

  test('is a warning from 500 on', () => {
    const line = logged({
      rejection: reject('issuer_unavailable', { retryAfter: 5 }),
      status: 503,
      outcome: 'rejected',
    });
    assert.equal(line['level'], 'warn');
    assert.deepEqual(line['facts'], { retry_after: 5 });
  });

  test('is one line, whatever the client sent', () => {
    const { log, lines } = makeLog();
    log.request({ ...GOOD, target: '/a\r\n{"level":"error"}\u2028"', host: 'a\nb', method: 'GET\n' });
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.trimEnd().split('\n').length, 1);
  });

  for (const [target, path] of [
    ['https://user:secret@api.example.com/orders?x', '/orders'],
    ['HTTP://user:secret@api.example.com', ''],
    ['/orders#secret', '/orders'],
    ['*', '*'],
    ['', ''],
    ['/a://b/c', '/a://b/c'],
    [`/${'x'.repeat(300)}`, `/${'x'.repeat(255)}`],
  ] as const) {
    test(`has the path of ${target.slice(0, 40)} alone`, () => {
      assert.equal(logged({ target })['path'], path);
    });
  }

  test('is short, however long the parts that the client chose', () => {
    const long = 'x'.repeat(100_000);
    const { log, lines } = makeLog();
    log.request({ ...GOOD, target: `/${long}`, host: long, method: long });
    assert.ok((lines[0]?.length ?? 0) < 1500);
  });
});

describe('no line is longer than what a pipe takes at once from several threads', () => {
  const longest = (lines: readonly string[]) => Math.max(...lines.map((line) => Buffer.byteLength(line)));

  test('of an event with a long list, whose end is counted', () => {
    const { log, lines, parsed } = makeLog();
    const problems = Array.from(
      { length: 500 },
      (_, at) => `holdfast.yaml:${at}:1 routes[${at}]: is "é\u0001", expected less`,
    );
    log.event('error', 'configuration refused', { problems, cause: 'files' });
    log.event('error', 'configuration refused', {
      problems: ['\u0001'.repeat(100_000), 'short'],
      error: '\u0001'.repeat(5000),
    });
    assert.ok(longest(lines) <= 4096, String(longest(lines)));
    const [many = {}] = parsed();
    const shown = many['problems'] as string[];
    assert.ok(shown.length > 20);
    assert.equal(shown[0], problems[0]);
    assert.equal(shown.at(-1), `and ${500 - shown.length + 1} more`);
    assert.equal(many['cause'], 'files');
  });

  test('of a short list, which is shown as a whole', () => {
    const { log, parsed } = makeLog();
    log.event('info', 'policy adopted', { changes: ['route orders: match', 'nonce: changed'] });
    assert.deepEqual(parsed()[0]?.['changes'], ['route orders: match', 'nonce: changed']);
  });

  test('of a request whose token has many long audiences', () => {
    const { log, lines } = makeLog();
    const audiences = Array.from({ length: 8 }, () => '\u0001'.repeat(256));
    const rejection = reject('token_audience_mismatch', { expected: audiences, received: audiences.join(', ') });
    log.request({ ...GOOD, rejection, status: 401, outcome: 'rejected' });
    assert.ok(longest(lines) <= 4096, String(longest(lines)));
  });

  test('of a request whose proof names a long path', () => {
    const { log, lines } = makeLog();
    const path = '\u0001'.repeat(8192);
    const rejection = reject('proof_uri_mismatch', { expected: path, received: path });
    log.request({ ...GOOD, target: `/${'"'.repeat(300)}`, rejection, status: 401, outcome: 'rejected' });
    assert.ok(longest(lines) <= 4096, String(longest(lines)));
  });

  test('of an exception with a deep stack', () => {
    const { log, lines } = makeLog();
    const error = new Error('x');
    error.stack = `Error: x\n${Array.from({ length: 100 }, () => `    at deep (file:///${'x'.repeat(200)}.ts:1:1)`).join('\n')}`;
    log.failure('failed', error);
    assert.ok(longest(lines) <= 4096, String(longest(lines)));
  });
});

describe('sampling', () => {
  const outcomes: [string, Partial<RequestLine>, boolean][] = [
    ['a success', {}, false],
    ['a 404 of the upstream', { status: 404 }, false],
    ['a 500 of the upstream', { status: 500 }, true],
    ['a refusal', { status: 401, outcome: 'rejected', rejection: reject('token_expired') }, true],
    ['a client that went away', { status: undefined, outcome: 'client_gone' }, true],
  ];
  for (const [name, line, always] of outcomes) {
    test(`${always ? 'never' : 'can'} leave out ${name}`, () => {
      const { log, lines } = makeLog({ sampleSuccesses: 0 });
      log.request({ ...GOOD, ...line });
      assert.equal(lines.length, always ? 1 : 0);
    });
  }

  test('leaves out about the share that it should', () => {
    const { log, lines } = makeLog({ sampleSuccesses: 0.5 });
    for (let n = 0; n < 1000; n += 1) log.request(GOOD);
    assert.ok(lines.length > 350 && lines.length < 650, `${lines.length} of 1000`);
  });
});

test('an unexpected error is logged by name, code and place; its message may quote a token and stays out', () => {
  const { log, lines, parsed } = makeLog();
  const error = Object.assign(new TypeError('not JSON: secret\n    at secret'), { code: 'ERR_X' });
  log.failure('the gateway failed to decide', error, 'r-1');
  log.failure('the gateway failed to decide', 'secret');
  const [line, other] = parsed();
  assert.equal(line!['request_id'], 'r-1');
  const { name, code, at } = line!['error'] as { name: string; code: string; at: string[] };
  assert.deepEqual([name, code], ['TypeError', 'ERR_X']);
  assert.match(at[0] ?? '', /log\.test\.ts/);
  assert.deepEqual(other?.['error'], { name: 'string' });
  assert.doesNotMatch(lines.join(''), /secret/);
});

test('flush settles when all lines are on standard output, a pipe included', async () => {
  const program = `
    import { createLog } from ${JSON.stringify(new URL('../../src/observe/log.ts', import.meta.url).href)};
    const log = createLog({ level: 'info', sampleSuccesses: 1 });
    for (let n = 0; n < 5000; n += 1) log.event('info', 'line', { n });
    await log.flush();
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = (await text(child.stdout)).trimEnd().split('\n');
  assert.equal(lines.length, 5000);
  assert.match(lines.at(-1) ?? '', /"n":4999/);
});

/** A device without any room, as a full disk is to whoever writes there. */
const FULL = '/dev/full';

test('a log that cannot be written ends nothing', { skip: !existsSync(FULL) }, async () => {
  const program = `
    import { createLog } from ${JSON.stringify(new URL('../../src/observe/log.ts', import.meta.url).href)};
    const log = createLog({ level: 'info', sampleSuccesses: 1 });
    for (let n = 0; n < 10; n += 1) {
      log.event('info', 'line', { n });
      await log.flush();
    }`;
  const full = openSync(FULL, 'w');
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', full, 'inherit'],
  });
  closeSync(full);
  assert.deepEqual(await once(child, 'close'), [0, null]);
});
