// Gateways with real worker threads.

import type { TestContext } from 'node:test';
import { startTestGateway } from '../support/gateway.ts';

export const QUIET = 'drain: { delay: 0s, grace: 5s }\nlog: { level: fatal }';
export const ROUTES = `
- { name: orders, match: { path: /orders/* }, upstream: orders, require: dpop }
- { name: nonce, match: { path: /nonce/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }`;

export const startWorkers = (t: TestContext, workers: number, adjust?: Parameters<typeof startTestGateway>[1]) =>
  startTestGateway(t, { routes: ROUTES, threads: true, more: `${QUIET}\nworkers: ${workers}`, ...adjust });

/** One of several connections in a row, which the kernel spreads over the workers. */
export const times = <T>(count: number, make: (nth: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, nth) => make(nth)));
