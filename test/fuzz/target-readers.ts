// Readers of request targets, authorities and patterns of them, for the list of readers.

import { readHostPattern, readPathPattern } from '../../src/config/compile/match.ts';
import { readAuthority, readDecodedPaths, readOrigin, readRequestPath, readTargetUri } from '../../src/http/uri.ts';
import type { Reader } from './reader.ts';

export const TARGET_READERS: Readonly<Record<string, Reader>> = {
  readRequestPath: { read: readRequestPath, samples: ['/orders/1', '/a%2Fb;c=d/', '/;', '/%', '/.', '/a;'] },
  readDecodedPaths: {
    read: (text) => {
      const path = readRequestPath(text);
      return path && readDecodedPaths(path.path);
    },
    samples: ['/a%2Fb', '/a%3Bb/c', '/%2F', '/a%3F%23', '/%3B'],
  },
  readTargetUri: {
    read: readTargetUri,
    samples: ['https://api.example.com/orders/1?a#b', 'http://[::1]:80', 'https://', 'https://a?'],
  },
  readAuthority: {
    read: (text) => [readAuthority(text, 'https'), readAuthority(text, 'http')],
    samples: ['api.example.com:443', '[2001:db8::1]:1', 'a:'],
  },
  readOrigin: { read: readOrigin, samples: ['https://*.example.com/prefix', 'http://localhost:8080', 'https://a/'] },
  readHostPattern: { read: readHostPattern, samples: ['*.example.com', 'api.example.com', '[::1]'] },
  readPathPattern: { read: readPathPattern, samples: ['/*', '/orders/*/items', '/a%2Fb', '//'] },
};
