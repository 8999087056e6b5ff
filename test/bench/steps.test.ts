// The budget of a request: each function of a profile in one step, idle time in none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Profile } from '../../bench/profiling.ts';
import { sharesOf, stepOf } from '../../bench/steps.ts';

const frame = (functionName: string, url = '') => ({ functionName, url });
const NET = frame('Socket._writeGeneric', 'node:net');
const UNDICI = frame('writeH1', 'file:///x/node_modules/undici/lib/dispatcher/client-h1.js');
const ANSWER = frame('answer', 'file:///x/src/edge/transaction/http1.ts');

test('what runs belongs to the nearest caller that has an owner', () => {
  const cases = [
    [[frame('verifyOneShot'), frame('verifyOneShot', 'node:internal/crypto/sig')], 'signature verification'],
    [[frame('readProof', 'file:///x/src/proof/dpop-proof.ts')], 'proof'],
    [[frame('parse'), frame('readClaims', 'file:///x/src/token/claims.ts')], 'token and binding'],
    [[frame('hash'), frame('remember', 'file:///x/src/memory/process-replay-store.ts')], 'replay store'],
    [[frame('inc', 'file:///x/node_modules/prom-client/lib/counter.js'), ANSWER], 'metrics and log'],
    [[frame('emit', 'node:events'), frame('onIncoming', 'node:_http_server')], 'Node: HTTP, streams, sockets, timers'],
    [[frame('emit', 'node:events'), UNDICI], 'undici'],
    [[frame('(garbage collector)'), ANSWER], 'garbage collection in the thread'],
    [[frame('main', 'file:///x/bench/node-peers.ts')], 'code of the program, else'],
  ] as const;
  for (const [stack, step] of cases) assert.equal(stepOf(stack), step, stack[0].functionName);
});

test('a write is the client’s or the upstream’s by its caller, and other functions of a socket are not writes', () => {
  const server = frame('end', 'node:_http_outgoing');
  assert.equal(stepOf([frame('writev'), NET, server, ANSWER]), 'TLS and write to the client');
  assert.equal(stepOf([frame('writeLatin1String'), NET, UNDICI]), 'write to the upstream');
  assert.equal(stepOf([frame('writeHead', 'node:_http_server'), ANSWER]), 'Node: HTTP, streams, sockets, timers');
  assert.equal(stepOf([frame('setKeepAlive'), NET, UNDICI]), 'Node: HTTP, streams, sockets, timers');
});

test('shares are those of busy time', () => {
  const profile: Profile = {
    nodes: [
      { id: 1, callFrame: frame('(root)'), children: [2, 3, 4] },
      { id: 2, callFrame: frame('(idle)') },
      { id: 3, callFrame: UNDICI },
      { id: 4, callFrame: frame('readProof', 'file:///x/src/proof/dpop-proof.ts') },
    ],
    samples: [2, 3, 3, 4, 4],
    timeDeltas: [900, 100, 200, 100, -5],
  };
  assert.deepEqual(
    [...sharesOf(profile)],
    [
      ['undici', 0.75],
      ['proof', 0.25],
    ],
  );
});
