// A status for tests of the admin port: one of everything.

import type { Status } from '../../src/operator/status.ts';

export const STATUS: Status = {
  version: '0.2.0',
  state: 'serving',
  ready: true,
  now: 1_800_100_000,
  startedAt: 1_800_000_000,
  policy: { id: 'abcd1234', file: '/etc/holdfast/holdfast.yaml', since: 1_800_050_000 },
  lastReload: {
    at: 1_800_060_000,
    cause: 'files',
    result: 'refused',
    changes: [],
    problems: ['holdfast.yaml:7:11 listeners[0].bind: needs a restart'],
  },
  workers: [
    { index: 1, state: 'serving', restarts: 0, utilization: 0.25 },
    { index: 2, state: 'starting', restarts: 3, utilization: 0 },
  ],
  listeners: [{ name: 'public', description: 'public: 0.0.0.0:8443 as https://api.example.com', connections: 12 }],
  routes: [
    {
      name: 'orders',
      match: 'GET api.example.com /orders/*',
      upstream: 'orders (http://127.0.0.1:9000)',
      demands: ['an access token bound to a DPoP key'],
      forwards: [],
      shadow: ['and a certificate'],
      notEnforced: ['revocation'],
    },
  ],
  issuers: [
    { name: 'login', issuer: 'https://login.example.com', keys: 2, loadedAt: 1_800_099_400, lastError: undefined },
    { name: 'other', issuer: 'https://other.example.com', keys: 0, loadedAt: undefined, lastError: 'no answer in 5 s' },
  ],
  replay: { entries: 500, capacity: 2000 },
  upstreams: [
    {
      name: 'orders',
      targets: [
        { target: 'http://127.0.0.1:9000', health: 'healthy', pending: 1 },
        { target: 'http://127.0.0.1:9001', health: 'unhealthy', pending: 0 },
      ],
    },
  ],
};
