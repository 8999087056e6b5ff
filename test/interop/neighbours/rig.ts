// A gateway that decides by the policy of the catalogue, and an upstream that records.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { perRequest, RawUpstream } from '../../hostile/rig.ts';
import { portOf, startTestGateway, type TestGateway } from '../../support/gateway.ts';

export const DEPLOY = join(import.meta.dirname, '../../../deploy');

/** Everything is public but /admin/*, and the routes of the quickstart are there for its scenes. @param upstream of all; '' where none is */
export const routes = (upstream: string) =>
  `
name: open, match: { path: /* }, require: public, encoded: [slash], weaker_than_defaults: [require, encoded]
name: admin, match: { path: /admin/* }, require: dpop
name: orders, match: { path: /orders/* }, require: dpop, scope: [orders:read], dpop: { nonce: on-skew }
name: partners, match: { path: /partners/* }, require: mtls, forward: { client_certificate: [{ format: rfc9440, field: Client-Cert }] }
name: anything, match: { path: /anything/* }
name: legacy, match: { path: /legacy/* }, require: token, weaker_than_defaults: [require]
name: nonce, match: { path: /nonce/* }, require: dpop, dpop: { nonce: required }
name: browser, match: { path: /browser/*, methods: [GET, POST] }, require: dpop, cors: { origins: ["https://app.example.com"] }
name: health, match: { path: /healthz }, require: public, weaker_than_defaults: [require]
`
    .trim()
    .replaceAll(/^.*$/gm, (route) => `- { ${route}${upstream} }`);

/** Ports of loopback on which a product finds Holdfast and the API. */
export interface Behind {
  readonly holdfast: number;
  readonly upstreamPort: number;
  /** Pages call the API; said to products that answer preflights themselves. */
  readonly cors?: boolean;
}

export interface Rig extends Behind {
  readonly gateway: TestGateway;
  readonly upstream: RawUpstream;
}

/** The listener of a file in deploy/, on a free port. */
export function listenerOf(file: string): string {
  const [, listener = ''] = readFileSync(join(DEPLOY, file), 'utf8').split(/^listeners:\n|^issuers:\n/m);
  return listener.replaceAll(/^ {2}/gm, '').replace('127.0.0.1:9000', '127.0.0.1:0');
}

/** @param file of deploy/, such as `nginx/holdfast.yaml`; issuers and routes are those of the tests. undefined: proxy mode */
export async function startRig(t: TestContext, file: string | undefined): Promise<Rig> {
  const { upstream, port } = await startRawUpstream(t);
  const gateway = await startTestGateway(t, {
    ...(file === undefined ? proxying(port) : { listeners: listenerOf(file), routes: routes('') }),
    more: 'drain: { delay: 0s, grace: 5s }\nlog: { level: info }',
  });
  return { gateway, holdfast: portOf(gateway.running.listeners[0]?.bind), upstream, upstreamPort: port };
}

const proxying = (port: number) => ({
  listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }',
  upstreams: `raw: { targets: ["http://127.0.0.1:${port}"] }`,
  routes: routes(', upstream: raw'),
});

/** @param address of this machine */
export async function startRawUpstream(
  t: Pick<TestContext, 'after'>,
  address = '127.0.0.1',
): Promise<{ upstream: RawUpstream; port: number }> {
  const upstream = new RawUpstream();
  const body = 'from the upstream';
  upstream.script = perRequest(({ socket, requests }, nth) => {
    const head = requests[nth - 1]?.start.startsWith('HEAD ');
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${head ? '' : body}`);
  });
  const server = createServer((socket) => upstream.admit(socket));
  server.listen(0, address);
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    for (const { socket } of upstream.connections) socket.destroy();
    await once(server, 'close');
  });
  return { upstream, port: (server.address() as AddressInfo).port };
}
