// Refusals of requests that have no upstream to go to.

import type { Refusal } from './refusal.ts';

const early = { challenges: [] };

export const NOWHERE: readonly Refusal[] = [
  {
    ...early,
    reason: 'upstream_absent',
    when: 'no upstream of the route has a weight',
    stage: 'upstream',
    status: 500,
    wishes: {
      routes:
        '- { name: none, match: { path: /* }, upstreams: [{ name: orders, weight: 0 }], require: public, weaker_than_defaults: [require] }',
    },
    send: (gateway) => gateway.request('GET', '/1'),
  },
  {
    ...early,
    reason: 'upstream_without_targets',
    when: 'the upstream has no target at the moment',
    stage: 'upstream',
    status: 503,
    wishes: {
      upstreams: 'empty: { targets: [] }',
      routes:
        '- { name: none, match: { path: /* }, upstream: empty, require: public, weaker_than_defaults: [require] }',
    },
    send: (gateway) => gateway.request('GET', '/1'),
  },
];
