// The official MCP conformance suite against a server behind the gateway.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { suite, type TestContext, test } from 'node:test';
import { withDpopFromProvider } from '@modelcontextprotocol/client';
import { HOLDER, TLS } from '../examples/example.ts';
import { MCP, startMcp } from '../examples/mcp.ts';
import { TestProvider } from '../support/mcp-client.ts';
import { findMcpConformance } from './programs.ts';

/** Of servers, where the suite needs nothing of the server but what every one has, or a tool that ours has. */
const SCENARIOS: readonly (readonly [name: string, revision: string])[] = [
  ['server-initialize', '2025-11-25'],
  ['server-session-lifecycle', '2025-11-25'],
  ['ping', '2025-11-25'],
  ['tools-list', '2025-11-25'],
  ['tools-call-simple-text', '2025-11-25'],
  ['tools-call-error', '2025-11-25'],
  ['tools-call-with-logging', '2025-11-25'],
  ['tools-call-with-progress', '2025-11-25'],
  ['server-sse-polling', '2025-11-25'],
  ['server-sse-multiple-streams', '2025-11-25'],
  ['tools-list', '2026-07-28'],
  ['tools-call-simple-text', '2026-07-28'],
  ['http-header-validation', '2026-07-28'],
];

/** The suite has no token and no key: a server on loopback adds them, by the official client's own DPoP. @returns its URL */
async function startAdding(t: TestContext): Promise<string> {
  const { connect, fetch } = await startMcp(t, TLS);
  const provider = new TestProvider(HOLDER);
  await connect(provider);
  const signed = withDpopFromProvider(provider)(fetch);
  const forward = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', headers } = request;
    const passed = Object.entries(headers).filter(
      ([name]) => !/^(?:host|connection|content-length|origin)$/.test(name),
    );
    const body = Buffer.concat(await request.toArray());
    const answer = await signed(MCP, {
      method,
      headers: Object.fromEntries(passed) as Record<string, string>,
      ...(body.length > 0 && { body }),
    });
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.flushHeaders();
    // A reader that goes away is the end of a scenario.
    await pipeline(answer.body === null ? Readable.from([]) : Readable.fromWeb(answer.body as never), response).catch(
      () => {},
    );
  };
  const server = createServer((request, response) => void forward(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

const found = findMcpConformance();

suite('@modelcontextprotocol/conformance', { skip: 'skip' in found ? found.skip : false }, () => {
  for (const [name, revision] of SCENARIOS) {
    test(`${name} of ${revision} passes through the gateway`, async (t) => {
      if ('skip' in found) return;
      const url = await startAdding(t);
      const args = ['server', '--url', url, '--scenario', name, '--spec-version', revision];
      const { status, text } = await new Promise<{ status: unknown; text: string }>((resolve) => {
        execFile(found.file, [...found.args, ...args], (error, out, said) =>
          resolve({ status: error?.code ?? 0, text: out + said }),
        );
      });
      assert.equal(status, 0, text);
    });
  }
});
