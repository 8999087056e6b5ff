// Readers of the commands, for the list: requests to explain, and answers to a probe.

import { UsageError } from '../../src/cli/arguments.ts';
import { readCurl } from '../../src/cli/explain/curl.ts';
import { readHar, readRawRequest, readUrl } from '../../src/cli/explain/given.ts';
import { readToken } from '../../src/cli/probe/credentials.ts';
import { readChallenges, readReply } from '../../src/cli/probe/reply.ts';
import { readSettings, readTarget } from '../../src/cli/probe/settings.ts';
import { readChange, SecretFailure } from '../../src/cli/secret/api.ts';
import { readDocument, readSecretObject } from '../../src/cli/secret/document.ts';
import type { Reader } from './reader.ts';

/** Readers of the commands that get no untrusted text, and why. */
export const COMMAND_TRUSTED: Readonly<Record<string, string>> = {
  readNamedFile: 'reads files that the user names',
  readAccess: 'reads the token and the CA that kubelet wrote',
  readTokenFile: 'reads a file that the user names; its token goes to readToken',
  readKeyFile: 'reads a key file of the user',
  readGiven: 'reads files that the user names',
};

const HEAD = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;

/** JSON of any shape; the text itself where it is none. */
function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Runs it, and takes it that it is refused. */
function gently(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
}

/** What only failed as it says it does. */
function ofServer<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SecretFailure)) throw error;
    return undefined;
  }
}

const SECRET = '{"metadata":{"resourceVersion":"1"},"data":{"holdfast.json":"e30=","holdfast.json.gz":"H4sI"}}';

export const COMMAND_READERS: Readonly<Record<string, Reader>> = {
  readSecretObject: { read: (text) => readSecretObject(json(text)), samples: [SECRET] },
  readDocument: {
    read: (text) => readDocument({ version: '1', data: { 'holdfast.json': text, 'holdfast.json.gz': text } }),
    samples: ['e30=', 'H4sIAAAAAAAA'],
  },
  readChange: {
    read: (text) => ofServer(() => readChange(json(text))),
    samples: [`{"type":"MODIFIED","object":${SECRET}}`, '{"type":"ERROR","object":{"code":410}}'],
  },
  readReply: {
    read: (text) => [
      ...[false, true].map((ended) => ['GET', 'HEAD'].map((method) => readReply(text, method, ended))),
      readReply(CHUNKED + text, 'GET', false),
    ],
    samples: [
      `${HEAD}Content-Length: 3\r\n\r\nabc`,
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n`,
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${HEAD}\r\n`,
      `${HEAD}a:`,
      'HTTP/1.1 ',
    ],
  },
  readChallenges: {
    read: (text) => [
      readChallenges({ status: 401, lines: [['WWW-Authenticate', text]], content: '' }),
      readChallenges({ status: 401, lines: [text, text].map((line) => ['www-authenticate', line]), content: '' }),
    ],
    samples: [
      'DPoP algs="ES256 PS256", error="invalid_token", Bearer realm="a\\"b"',
      'Basic YQ==, DPoP',
      'DPoP a="',
      'DPoP a=b',
      'DPoP ',
      'a,',
    ],
  },
  readToken: { read: readToken, samples: ['DPoP a.b.c', 'bearer abc==', 'DPoP ', 'a='] },
  readRawRequest: {
    read: readRawRequest,
    samples: [
      'GET /orders/1 HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 3\r\n\r\nabc',
      'POST https://api.example.com/ HTTP/2\nX: y\n folded\n',
      'GET / HTTP/1.1\r\na:',
      '\r\n\r\n',
    ],
    throws: UsageError,
  },
  readHar: {
    read: (text) => {
      const url = 'https://api.example.com/1';
      const entries = [json(text), { request: json(text) }, { request: { url: text } }];
      const headers = { request: { url, headers: json(text) } };
      const times = { startedDateTime: text, request: { url, method: text, headers: [{ name: text, value: text }] } };
      for (const entry of [...entries, headers, times]) {
        gently(() => readHar(JSON.stringify({ log: { entries: [entry] } }), undefined));
      }
      gently(() => readHar(JSON.stringify({ log: json(text) }), '1'));
      return readHar(text, '2');
    },
    samples: [
      '{"log":{"entries":[{"request":{"url":"https://a/"}}]}}',
      '{"url":"https://a/","headers":[{"name":"a","value":5}],"method":null}',
      '{"entries":null}',
      '[null,5]',
    ],
    throws: UsageError,
  },
  readCurl: {
    read: readCurl,
    samples: [
      "curl -X POST 'https://a/b?c' -H 'DPoP: x' -d @x --json \"{}\"",
      "curl $'a\\n' \\\n -sSk",
      'curl -H a; -H',
    ],
    throws: UsageError,
    trusted: true,
  },
  readUrl: {
    read: (text) => readUrl(text, 'URL'),
    samples: ['https://a@b:1/c?d#e', 'http://'],
    throws: UsageError,
    trusted: true,
  },
  readTarget: {
    read: (text) => [readTarget('URL', text, true), readTarget('URL', text)],
    samples: ['https://api.example.com/orders/1?a=b', 'http://localhost:8080', 'https://a@b/#c', 'ftp://a'],
    throws: UsageError,
    trusted: true,
  },
  readSettings: {
    read: (text) => {
      const good = 'https://api.example.com/orders/1';
      for (const option of ['method', 'public-path', 'rate', 'timeout', 'connect-to', 'marker'] as const) {
        readSettings(good, { [option]: text });
      }
      return readSettings(text, {});
    },
    samples: ['https://api.example.com/orders/1', 'HEAD', '/healthz', '0.5', '[::1]:443', 'localhost:70000'],
    throws: UsageError,
    trusted: true,
  },
};
