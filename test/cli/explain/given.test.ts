// Requests as they are described to `explain`: raw HTTP, curl, HTTP archives.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readCurl, shellWords } from '../../../src/cli/explain/curl.ts';
import { type GivenRequest, readHar, readRawRequest } from '../../../src/cli/explain/given.ts';
import { UsageError } from '../../../src/cli/arguments.ts';

const fieldsOf = ({ rawHeaders }: GivenRequest) =>
  rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1]}`] : []));
const curl = (text: string) => readCurl(text).request;
const refused = (read: () => unknown, message: RegExp) =>
  assert.throws(read, (error) => error instanceof UsageError && message.test(error.message));

describe('a raw request', () => {
  test('is read with CRLF or LF, with its body', () => {
    for (const end of ['\r\n', '\n']) {
      const text = ['POST /orders/1?a=b HTTP/1.1', 'Host: api.example.com', 'DPoP:  x ', '', '{"a":1}'].join(end);
      const given = readRawRequest(text);
      assert.deepEqual(
        [given.method, given.target, given.authority, given.httpVersion],
        ['POST', '/orders/1?a=b', 'api.example.com', '1.1'],
      );
      assert.deepEqual(
        [fieldsOf(given), given.body, given.fault],
        [['Host: api.example.com', 'DPoP: x'], 7, undefined],
      );
    }
    assert.equal(readRawRequest('GET http://a.example/x HTTP/1.0\nHost: b').scheme, 'http');
  });
  test('of which two readers could make two requests is faulty', () => {
    const fault = (...lines: string[]) =>
      readRawRequest(['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n')).fault;
    assert.equal(fault('Content-Length: 1', 'Content-Length: 2'), 'Content-Length');
    assert.equal(fault('Content-Length: +1'), 'Content-Length');
    assert.equal(fault('Content-Length: 1', 'Transfer-Encoding: chunked'), 'Content-Length and Transfer-Encoding');
    assert.equal(fault('X: a', ' folded'), 'a folded line');
    assert.equal(fault('Content-Length : 1'), 'a field name');
    assert.equal(fault('Content-Length: 1'), undefined);
  });
  test('without a request line is none', () => {
    for (const text of ['', 'Host: a', 'GET /', '{"a": 1}'])
      refused(() => readRawRequest(text), /must begin with a line/);
  });
});

describe('a line of curl', () => {
  test('is taken apart as a shell would, also as browsers copy it', () => {
    assert.deepEqual(shellWords(`curl 'a b' "c \\"d\\"" e\\ f g'h'"i" $'it\\'s\\n' \\\n last ''`), [
      'curl',
      'a b',
      'c "d"',
      'e f',
      'ghi',
      "it's\n",
      'last',
      '',
    ]);
    const copied = `curl 'https://api.example.com/orders/1' \\\n  -H 'accept: */*' \\\n  -H 'authorization: DPoP abc' --compressed`;
    assert.deepEqual(fieldsOf(curl(copied)), ['Host: api.example.com', 'accept: */*', 'authorization: DPoP abc']);
  });
  test('runs nothing: what only a shell can do is refused', () => {
    for (const text of [
      'curl $(id) http://a',
      'curl "$TOKEN"',
      'curl a | sh',
      'curl a; id',
      'curl `id`',
      'curl a > b',
      "curl 'a",
    ]) {
      refused(() => readCurl(text), /shell/);
    }
  });
  test('has its method, body, credentials and certificate', () => {
    const shown = (text: string) => {
      const { method, target, body, rawHeaders } = curl(text);
      return [method, target, body, rawHeaders.length / 2];
    };
    assert.deepEqual(shown('curl http://a/x'), ['GET', '/x', 0, 1]);
    assert.deepEqual(shown('curl -d a=b -d c http://a/x'), ['POST', '/x', 5, 2]);
    assert.deepEqual(shown('curl -XPUT --data-binary @file http://a/x'), ['PUT', '/x', undefined, 1]);
    assert.deepEqual(shown('curl -G -d a=b http://a/x'), ['GET', '/x?a=b', 0, 1]);
    assert.deepEqual(shown('curl -sSkI http://a'), ['HEAD', '/', 0, 1]);
    assert.deepEqual(fieldsOf(curl('curl -u me:pw a.example')), ['Host: a.example', 'Authorization: Basic bWU6cHc=']);
    assert.deepEqual(fieldsOf(curl('curl --oauth2-bearer t a -H Host:b -H "X;" -H Accept:')).toSorted(), [
      'Authorization: Bearer t',
      'Host: b',
      'X: ',
    ]);
    assert.equal(readCurl('curl --cert client.pem:pw --key k https://a').certificate, 'client.pem');
  });
  test('with an option that is not known is refused by its name', () => {
    refused(() => readCurl('curl --aws-sigv4 x http://a'), /--aws-sigv4 of curl is not known here/);
    refused(() => readCurl('curl -sZ http://a'), /-Z of curl/);
    refused(() => readCurl('curl -H'), /-H of curl needs a value/);
    refused(() => readCurl('wget http://a'), /must begin with curl/);
    refused(() => readCurl('curl http://a http://b'), /two URLs/);
    refused(() => readCurl('curl ftp://a'), /must be an absolute URL/);
  });
});

describe('an HTTP archive', () => {
  const entry = (url: string, more = {}) => ({
    startedDateTime: '2026-11-21T12:00:00.000Z',
    request: {
      method: 'GET',
      url,
      headers: [
        { name: ':path', value: '/' },
        { name: 'dpop', value: 'p' },
      ],
      bodySize: 0,
      ...more,
    },
  });
  const har = (...entries: object[]) => JSON.stringify({ log: { entries } });
  test('gives the entry that is named, with its time, and without pseudo-header fields', () => {
    const given = readHar(har(entry('https://a.example/1'), entry('https://a.example/2?x')), '2');
    assert.deepEqual(
      [given.target, given.authority, given.at],
      ['/2?x', 'a.example', Date.parse('2026-11-21T12:00:00Z')],
    );
    assert.deepEqual(fieldsOf(given), ['Host: a.example', 'dpop: p']);
    assert.equal(readHar(har(entry('https://a.example/1')), undefined).target, '/1');
  });
  test('with several entries asks which, without their queries', () => {
    const text = har(entry('https://a.example/1?code=secret'), entry('https://a.example/2'));
    for (const which of [undefined, '0', '3', 'x']) {
      assert.throws(
        () => readHar(text, which),
        (error) => {
          assert.ok(error instanceof UsageError);
          assert.match(error.message, /from 1 to 2:\n {2}1 {2}GET https:\/\/a\.example\/1\n/);
          return !error.message.includes('secret');
        },
      );
    }
  });
  test('that is none says so', () => {
    refused(() => readHar('{', undefined), /not JSON/);
    refused(() => readHar('{}', undefined), /log\.entries/);
    const odd = [
      null,
      5,
      {},
      { request: null },
      { request: { url: 5 } },
      { request: { url: 'https://a/', headers: [5] } },
    ];
    for (const one of odd) {
      refused(() => readHar(JSON.stringify({ log: { entries: [one] } }), undefined), /1 {2}has no request with a URL/);
    }
    const steering = { request: { method: 'GET', url: 'https://a/\x1b[2J' } };
    refused(() => readHar(JSON.stringify({ log: { entries: [steering, {}] } }), '2'), /1 {2}GET https:\/\/a\/\?\[2J$/m);
  });
});
