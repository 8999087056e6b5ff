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
  certificates: [{ listener: 'public', file: 'tls/tls.crt', ends: 1_800_100_000 + 6.5 * 86_400 }],
  traffic: {
    perSecond: 412,
    refused: 0.031,
    failed: 0.0002,
    p50: 0.004,
    p99: 0.061,
    requestsByMinute: Array.from({ length: 60 }, (_, at) => 24_000 + 60 * at + 400 * (at % 3)),
    refusedByMinute: Array.from({ length: 60 }, (_, at) => (at < 50 ? 10 : 10 + 15 * (at - 50))),
    routes: [{ route: 'orders', perSecond: 390, refused: 0.032, failed: 0, p50: 0.004, p99: 0.061 }],
  },
  refusals: [
    {
      reason: 'proof_uri_mismatch',
      route: 'orders',
      lastFiveMinutes: 742,
      lastHour: 751,
      lastAt: 1_800_099_999,
      client: undefined,
      what: 'htu',
      differs: 'scheme',
      lookAt: 'If htu is what the client called, have the balancer send X-Forwarded-Proto and name it in trusted_peers',
    },
    {
      reason: 'proof_replayed',
      route: 'payments',
      lastFiveMinutes: 2,
      lastHour: 2,
      lastAt: 1_800_099_900,
      client: '203.0.113.9',
      what: undefined,
      differs: undefined,
      lookAt: 'clients that send a proof twice, retries among them, or a thief; one client, 203.0.113.9',
    },
  ],
  lastRefusals: [
    {
      at: 1_800_099_999,
      requestId: 'df47f920-2f3f-4a3e-9d6d-0d6f2c9a1b11',
      method: 'GET',
      path: '/orders/1',
      route: 'orders',
      reason: 'proof_uri_mismatch',
      status: 401,
      client: '198.51.100.7',
      facts: { what: 'htu', differs: 'scheme' },
      what: 'htu, scheme',
      expected: 'https://api.example.com/orders/1',
      received: 'http://api.example.com/orders/1',
    },
  ],
  troubles: [{ what: 'Issuer other has no keys: its tokens get 503.', more: 'no answer in 5 s', grave: true }],
};
