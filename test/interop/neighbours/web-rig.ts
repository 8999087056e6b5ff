// A deciding gateway with its own clock, and an API that says what is Holdfast's to say.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import {
  type Answered,
  Fields,
  portOf,
  type RequestWishes,
  sendRequest,
  startTestGateway,
  type TestGateway,
} from '../../support/gateway.ts';
import { startWebSockets, type WebSocketUpstream } from '../../support/websockets.ts';
import type { Product } from './products.ts';
import { listenerOf } from './rig.ts';

export const APP = 'https://app.example.com';

const routes = (upstream: string) =>
  `
name: chat, match: { path: /chat/* }, require: dpop, dpop: { nonce: required }
name: nonce, match: { path: /nonce/* }, require: dpop, dpop: { nonce: required }
name: limited, match: { path: /limited/* }, require: dpop, rate_limit: per_client
name: browser, match: { path: /browser/*, methods: [GET, POST] }, require: dpop, cors: { origins: ["${APP}"], expose: [X-Total], max_age: 5m, credentials: true }
name: open, match: { path: /open/* }, require: public, weaker_than_defaults: [require]
name: health, match: { path: /healthz }, require: public, weaker_than_defaults: [require]
`
    .trim()
    .replaceAll(/^.*$/gm, (route) => `- { ${route}${upstream} }`);

const MORE = `drain: { delay: 0s, grace: 5s }
log: { level: info }
rate_limits: { per_client: { key: client, rate: 6/m, burst: 2 } }
`;

export interface WebRig {
  /** Its requests go through the product. */
  readonly gateway: TestGateway;
  readonly api: WebSocketUpstream;
  /** Requests that the API got and that were no handshakes. */
  readonly seen: readonly Fields[];
  /** Of those that came to their end: octets of the body, and trailers as they came. */
  readonly ended: readonly { readonly length: number; readonly trailers: readonly string[] }[];
  /** Method and Upgrade of the requests that would make the API leave HTTP. */
  readonly upgrades: readonly string[];
  /** Fields that the API adds to each of its answers. */
  readonly says: Record<string, string>;
  /** Moves the clock of the gateway, which else stands still. @param seconds */
  readonly pass: (seconds: number) => void;
  /** Where clients call, with TLS. */
  readonly port: number;
}

/** Holdfast with the product in front, on the files of deploy/. */
export async function startWebRig(t: TestContext, { holdfast, start }: Product): Promise<WebRig> {
  const clock = { now: Math.floor(Date.now() / 1000) };
  const says: Record<string, string> = {};
  const seen: Fields[] = [];
  const api = await startWebSockets(t);
  api.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    seen.push(new Fields(request.rawHeaders));
    let length = 0;
    request.on('data', (piece: Buffer) => (length += piece.length));
    request.once('end', () => {
      ended.push({ length, trailers: request.rawTrailers });
      response.writeHead(200, says).end('from the API');
    });
  });
  const ended: WebRig['ended'][number][] = [];
  const upgrades: string[] = [];
  api.server.on('upgrade', ({ method, headers }: IncomingMessage) => upgrades.push(`${method} ${headers.upgrade}`));
  api.sockets.on('headers', (lines: string[]) => {
    for (const [name, value] of Object.entries(says)) lines.push(`${name}: ${value}`);
  });
  const gateway = await startTestGateway(t, {
    ...(holdfast === undefined
      ? { upstreams: `chat: { targets: ["${api.target}"] }`, routes: routes(', upstream: chat') }
      : { listeners: listenerOf(holdfast), routes: routes('') }),
    more: MORE,
    now: () => clock.now,
  });
  const upstreamPort = Number(new URL(api.target).port);
  const port = await start(t, { holdfast: portOf(gateway.running.listeners[0]?.bind), upstreamPort, cors: true });
  const request = (method: string, path: string, wishes?: RequestWishes): Promise<Answered> =>
    sendRequest(port, method, path, wishes);
  // What the product asked for to find out whether it is ready.
  seen.length = 0;
  ended.length = 0;
  return {
    gateway: { ...gateway, request },
    api,
    seen,
    ended,
    upgrades,
    says,
    pass: (seconds) => (clock.now += seconds),
    port,
  };
}
