// Readers of the command line's tools, for the list of readers.

import { UsageError } from '../../src/cli/arguments.ts';
import { readCurl } from '../../src/cli/explain/curl.ts';
import { readHar, readRawRequest, readUrl } from '../../src/cli/explain/given.ts';
import { readToken } from '../../src/cli/probe/credentials.ts';
import { readChallenges, readReply } from '../../src/cli/probe/reply.ts';
import type { Reader } from './reader.ts';

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

/** Those that get no untrusted text, and why. */
export const COMMAND_TRUSTED: Readonly<Record<string, string>> = {
  readGiven: 'reads files and options that the operator names',
  readKeyFile: 'reads a file that the operator names',
  readNamedFile: 'reads a file that the operator names',
  readTokenFile: 'reads a file that the operator names; the token goes to readToken',
  readSettings: 'reads options of the operator',
  readTarget: 'reads a URL of the operator',
};

export const COMMAND_READERS: Readonly<Record<string, Reader>> = {
  readReply: {
    read: (text) => [
      readReply(text, 'GET', false),
      readReply(text, 'GET', true),
      readReply(CHUNKED + text, 'GET', false),
    ],
    samples: [
      'HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nhello',
      `${CHUNKED}2;x=y\r\nhi\r\n0\r\nA: b\r\n\r\n`,
      '\r\n0',
    ],
  },
  readChallenges: {
    read: (text) => readChallenges({ status: 401, lines: [['WWW-Authenticate', text]], content: '' }),
    samples: ['DPoP realm="a", algs="ES256 EdDSA", Bearer', 'Negotiate YQ==, Basic realm=a', 'DPoP a="\\"", b=', ', ,'],
  },
  readToken: { read: readToken, samples: ['DPoP a.b.c', 'Bearer abc==', 'a b'] },
  readRawRequest: {
    read: readRawRequest,
    samples: ['GET /a HTTP/1.1\r\nHost: api.example.com\r\n\r\n', 'POST / HTTP/1.0\nA: b\n c'],
    throws: UsageError,
    trusted: true,
  },
  readCurl: {
    read: readCurl,
    samples: [
      `curl -X POST 'https://api.example.com/a' -H "A: b" --data-raw $'x\\n'`,
      'curl --cert a.pem https://a',
      'curl',
    ],
    throws: UsageError,
    trusted: true,
  },
  readHar: {
    read: (text) => readHar(text, '1'),
    samples: [
      '{"log":{"entries":[{"request":{"method":"GET","url":"https://api.example.com/a","headers":[{"name":"A","value":"b"}]}}]}}',
      '{"log":{}}',
    ],
    throws: UsageError,
    trusted: true,
  },
  readUrl: {
    read: (text) => readUrl(text, '--url'),
    samples: ['https://api.example.com:8443/a?b#c', 'http://a'],
    throws: UsageError,
    trusted: true,
  },
};
