// Answers as the probe reads them: bounded, hostile ones included.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Answered,
  errorsOf,
  fieldOf,
  readChallenges,
  readReply,
  shownReply,
} from '../../../src/cli/probe/reply.ts';
import { cpuTime } from '../../support/cpu-time.ts';

const OK = 'HTTP/1.1 200 OK\r\n';

/** An answer that has come whole. */
function read(text: string, method = 'GET', ended = true): Answered {
  const reply = readReply(text, method, ended);
  assert.ok(reply !== undefined && !('kind' in reply), JSON.stringify(reply));
  return reply;
}

const refusing = (...lines: string[]): Answered => ({
  status: 401,
  lines: lines.map((line) => ['WWW-Authenticate', line]),
  content: '',
});

describe('an answer', () => {
  test('that is not HTTP, or too long to be a head, is garbage, and an empty end is a closed connection', () => {
    const kind = (text: string, ended: boolean) => {
      const reply = readReply(text, 'GET', ended);
      return reply !== undefined && 'kind' in reply ? reply.kind : reply;
    };
    assert.equal(kind('', true), 'closed');
    for (const text of ['SSH-2.0-OpenSSH', '\x15\x03\x01', 'HTTP/2.0 200 OK\r\n\r\n', 'HTTP/1.1 999 No\r\n\r\n']) {
      assert.equal(kind(text, false), 'garbage', text);
    }
    assert.equal(kind(`${OK}X: ${'x'.repeat(70_000)}`, false), 'garbage');
    assert.equal(kind('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(50), false), 'garbage');
    assert.equal(kind('HTTP/1.1 20', true), 'garbage');
    assert.equal(kind('HTTP/1.1 20', false), undefined);
    assert.equal(kind(`${OK}Content-Length: 5\r\n\r\nhell`, false), undefined);
  });
  test('ends by its length, its chunks, its connection, or where enough of it was read', () => {
    assert.equal(read(`${OK}Content-Length: 5\r\n\r\nhello, and more`, 'GET', false).content, 'hello');
    assert.equal(
      read(`${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n`, 'GET', false).content,
      'hello',
    );
    const chunked = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
    assert.equal(read(`${chunked}1\r\na\r\n0\r\nA: b\r\nB: c\r\n\r\n`, 'GET', false).content, 'a', 'trailers');
    for (const part of ['', '1', '1\r\na', '1\r\na\r\n0', '1\r\na\r\n0\r\n', '0\r\nA: b\r\n', '4\r\n0\r\n\r\n']) {
      assert.equal(readReply(chunked + part, 'GET', false), undefined, JSON.stringify(part));
    }
    assert.equal(read(`${OK}\r\nhello`).content, 'hello');
    assert.equal(read(`${OK}\r\n${'x'.repeat(100_000)}`, 'GET', false).content.length, 65_536);
    assert.equal(read(`${OK}Content-Length: 9999999\r\n\r\nhello`).content, 'hello', 'cut off');
    assert.equal(read(`${OK}Content-Length: 5\r\n\r\n`, 'HEAD', false).content, '');
    assert.equal(read('HTTP/1.1 204 No Content\r\n\r\n', 'GET', false).content, '');
    assert.equal(
      read(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 0\r\n\r\n`, 'GET', false).status,
      200,
    );
    assert.equal(fieldOf(read(`${OK}DPoP-Nonce:  n1\r\n\r\n`), 'dpop-nonce'), 'n1');
  });
  test('in chunks costs time linear in its length', () => {
    for (const unit of ['\r\n0', '0\r\n', '0', '1\r\n0\r\n']) {
      const text = `${OK}Transfer-Encoding: chunked\r\n\r\n${unit.repeat(60_000 / unit.length)}`;
      assert.ok(cpuTime(() => readReply(text, 'GET', false)) < 500, JSON.stringify(unit));
    }
  });
  test('is shown by its status and codes, and by no other word of the server', () => {
    const hostile = '\x1b[2J\x1b]0;owned\x07';
    const body = `{"reason":"${hostile}"}`;
    const answer = { ...refusing(`DPoP error="${hostile}", error_description="${hostile}"`), content: body };
    assert.equal(shownReply(answer), '401');
    assert.equal(
      shownReply({ ...refusing('DPoP error="invalid_dpop_proof"'), content: '{"reason":"proof_replayed"}' }),
      '401 invalid_dpop_proof (proof_replayed)',
    );
    assert.equal(shownReply({ kind: 'late', code: '' }), 'no answer in time');
    assert.equal(shownReply({ kind: 'unreachable', code: 'ECONNREFUSED' }), 'no connection (ECONNREFUSED)');
  });
});

describe('challenges (RFC 9110 §11.6.1)', () => {
  const schemes = (...lines: string[]) => readChallenges(refusing(...lines))?.map(({ scheme }) => scheme);

  test('that break the grammar are told from those that keep to it', () => {
    for (const line of [
      '=',
      '"Bearer"',
      'Bearer realm="open',
      'Bearer realm=@',
      'DPoP algs="ES256" error="x"',
      'Be@rer x',
    ]) {
      assert.equal(schemes(line), undefined, line);
    }
  });
  test('are found on one line and on several, with and without parameters', () => {
    assert.deepEqual(schemes(), []);
    assert.deepEqual(schemes('Negotiate, Basic realm="a, b", Bearer'), ['Negotiate', 'Basic', 'Bearer']);
    assert.deepEqual(schemes('DPoP algs="ES256 PS256", error="invalid_token"', 'Bearer realm=x'), ['DPoP', 'Bearer']);
    assert.deepEqual(schemes('NTLM TlRMTVNTUAAB==, Bearer scope = "a"'), ['NTLM', 'Bearer']);
    const [bearer] = readChallenges(refusing(String.raw`Bearer Realm="a \"b\"", ERROR=invalid_token`)) ?? [];
    assert.deepEqual(
      [...(bearer?.parameters ?? [])],
      [
        ['realm', String.raw`a \"b\"`],
        ['error', 'invalid_token'],
      ],
    );
  });
  test('give their errors, each once', () => {
    const line = 'error="use_dpop_nonce"';
    assert.deepEqual(errorsOf(refusing(`DPoP ${line}`, `Bearer ${line}`)), ['use_dpop_nonce']);
    assert.deepEqual(errorsOf(refusing('Bearer error_description="error=\\"x\\""')), []);
  });
});
