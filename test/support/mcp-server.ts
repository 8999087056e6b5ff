// An MCP server of the official SDK that knows nothing of OAuth, with sessions and without.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
} from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  type EventStore,
  type JSONRPCMessage,
  McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';

export interface TestMcpServer {
  readonly url: string;
  /** Requests so far. */
  readonly seen: readonly Pick<IncomingMessage, 'method' | 'headers'>[];
  /** Tells all sessions that the list of tools changed: an event on their GET streams. */
  readonly announce: () => void;
  /** Ends the GET streams, as a restart of a proxy does; the sessions go on. */
  readonly cutStreams: () => void;
}

/** Closed when the test ends. As the SDK has it for servers on loopback: other hosts and origins are refused. */
export async function startMcpServer(t: TestContext): Promise<TestMcpServer> {
  const sessions = new Map<string, { server: McpServer; transport: NodeStreamableHTTPServerTransport }>();
  const seen: Pick<IncomingMessage, 'method' | 'headers'>[] = [];
  const [hostFits, originFits] = [localhostHostValidation(), localhostOriginValidation()];
  const withoutSessions = toNodeHandler(createMcpHandler(makeServer, { legacy: 'reject' }));
  const open = async () => {
    const server = makeServer();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: memoryEvents(),
      retryInterval: 10,
      onsessioninitialized: (id) => void sessions.set(id, { server, transport }),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await server.connect(transport);
    return { server, transport };
  };
  const server = createServer((request, response) => {
    const { method, headers } = request;
    seen.push({ method, headers });
    if (!hostFits(request, response) || !originFits(request, response)) return;
    if (headers['mcp-method'] !== undefined)
      return void withoutSessions(request as Parameters<typeof withoutSessions>[0], response);
    const session = sessions.get(String(headers['mcp-session-id']));
    void (async () => {
      const { transport } = session ?? (await open());
      await transport.handleRequest(request, response);
    })();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(async () => {
    await Promise.all([...sessions.values()].map((session) => session.server.close()));
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    announce: () => {
      for (const session of sessions.values()) session.server.sendToolListChanged();
    },
    cutStreams: () => {
      for (const { transport } of sessions.values()) transport.closeStandaloneSSEStream();
    },
  };
}

const text = (value: unknown) => ({ content: [{ type: 'text' as const, text: String(value) }] });

function makeServer(): McpServer {
  const server = new McpServer({ name: 'tools', version: '1.0.0' }, { capabilities: { logging: {} } });
  const progress = (ctx: ServerContext, at: number) =>
    ctx.mcpReq.notify({
      method: 'notifications/progress',
      params: { progressToken: ctx.mcpReq._meta?.progressToken ?? 0, progress: at },
    });
  server.registerTool('add', { inputSchema: z.object({ a: z.number(), b: z.number() }) }, ({ a, b }) => text(a + b));
  // Who calls, as the gateway says it.
  server.registerTool('whoami', {}, (ctx) => text(ctx.http?.req?.headers.get('x-auth-subject')));
  // A long answer, one event for each number.
  server.registerTool('count', { inputSchema: z.object({ to: z.number() }) }, async ({ to }, ctx) => {
    for (let at = 1; at <= to; at++) await progress(ctx, at);
    return text(to);
  });
  // The stream ends before the answer is there, and the client has to ask for the rest.
  server.registerTool('interrupted', {}, async (ctx) => {
    await progress(ctx, 1);
    ctx.http?.closeSSE?.();
    await progress(ctx, 2);
    return text('resumed');
  });
  return server;
}

/** Events by their place; one list for all streams of a session. */
function memoryEvents(): EventStore {
  const events: { stream: string; message: JSONRPCMessage }[] = [];
  return {
    storeEvent: async (stream, message) => String(events.push({ stream, message }) - 1),
    getStreamIdForEventId: async (id) => events[Number(id)]?.stream,
    async replayEventsAfter(id, { send }) {
      const stream = events[Number(id)]?.stream ?? '';
      for (const [at, event] of events.entries()) {
        if (at > Number(id) && event.stream === stream) await send(String(at), event.message);
      }
      return stream;
    },
  };
}
