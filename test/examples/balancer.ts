// A balancer in front of keycloak-behind-balancer.yaml: nginx that ends TLS.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as requestTls } from 'node:https';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { listen } from '../support/forwarding.ts';
import { SERVER } from '../support/gateway.ts';
import type { TestCa } from '../support/pki.ts';

/** What it writes itself; whatever a client sends under these names ends here. */
const OWN = ['host', 'forwarded', 'ssl-client-cert', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'];

/**
 * Opens a balancer for api.example.com. It verifies no certificate of a client: that the gateway does so too is what tests look at.
 * @returns its port
 * @param internal vouches for gateway.internal
 */
export async function startBalancer(t: TestContext, gateway: number, internal: TestCa): Promise<number> {
  const server = createServer(
    { cert: SERVER.chain, key: SERVER.key, requestCert: true, rejectUnauthorized: false },
    (request, response) => pass(request, response, gateway, internal),
  );
  return listen(t, server);
}

function pass(request: IncomingMessage, response: ServerResponse, gateway: number, internal: TestCa): void {
  const { method, url, headers, rawHeaders, socket } = request;
  const certificate = (socket as TLSSocket).getPeerX509Certificate();
  const fields = rawHeaders.flatMap((name, at) =>
    at % 2 === 1 || OWN.includes(name.toLowerCase()) ? [] : [name, rawHeaders[at + 1] ?? ''],
  );
  fields.push('Host', headers.host ?? '', 'X-Forwarded-Host', headers.host ?? '', 'X-Forwarded-Proto', 'https');
  fields.push('X-Forwarded-For', socket.remoteAddress ?? '');
  if (certificate !== undefined) fields.push('ssl-client-cert', encodeURIComponent(certificate.toString()));
  const onward = requestTls({
    host: '127.0.0.1',
    port: gateway,
    servername: 'gateway.internal',
    ca: internal.cert,
    agent: false,
    method,
    path: url,
    headers: fields,
  });
  onward.once('error', () => response.writeHead(502).end());
  onward.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    answer.pipe(response);
  });
  request.pipe(onward);
}
