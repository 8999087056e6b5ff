// The facts of a good GET for tests of the core, changed as wished.

import type { RequestFacts } from '../../src/request-facts.ts';

export function makeFacts(over: Partial<RequestFacts> = {}): RequestFacts {
  return {
    listener: 'public',
    method: 'GET',
    origin: { scheme: 'https', authority: 'api.example.com', pathPrefix: '' },
    target: '/orders/1',
    path: '/orders/1',
    matchPath: '/orders/1',
    encodedSlash: false,
    query: undefined,
    authorization: [],
    dpop: [],
    message: { rawHeaders: [] },
    certificate: undefined,
    clientAddress: '192.0.2.7',
    now: 1_800_000_000.5,
    ...over,
  };
}
