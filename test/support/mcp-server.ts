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
    if (session === undefined && headers['mcp-session-id'] !== undefined) return void response.writeHead(404).end();
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

const progress = ({ mcpReq }: ServerContext, at: number) =>
  mcpReq.notify({
    method: 'notifications/progress',
    params: { progressToken: mcpReq._meta?.progressToken ?? 0, progress: at },
  });

function makeServer(): McpServer {
  const server = new McpServer({ name: 'tools', version: '1.0.0' }, { capabilities: { logging: {} } });
  const sum = { description: 'Adds two numbers', inputSchema: z.object({ a: z.number(), b: z.number() }) };
  server.registerTool('add', sum, ({ a, b }) => text(a + b));
  server.registerTool('whoami', { description: 'Says who calls, as the gateway has it' }, (ctx) =>
    text(ctx.http?.req?.headers.get('x-auth-subject')),
  );
  const upTo = { description: 'A long answer: an event for each number', inputSchema: z.object({ to: z.number() }) };
  server.registerTool('count', upTo, async ({ to }, ctx) => {
    for (let at = 1; at <= to; at++) await progress(ctx, at);
    return text(to);
  });
  const cut = { description: 'Ends the stream before the answer is there: the client has to ask for the rest' };
  server.registerTool('interrupted', cut, async (ctx) => {
    await progress(ctx, 1);
    ctx.http?.closeSSE?.();
    await progress(ctx, 2);
    return text('resumed');
  });
  addSuiteTools(server);
  return server;
}

/** Tools that the official conformance suite calls, by its names and with its texts. */
function addSuiteTools(server: McpServer): void {
  const description = 'Of the conformance suite';
  server.registerTool('test_simple_text', { description }, () => text('This is a simple text response for testing.'));
  server.registerTool('test_error_handling', { description }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  server.registerTool('test_tool_with_progress', { description }, async (ctx) => {
    for (const at of [0, 50, 100]) await progress(ctx, at);
    return text('done');
  });
  server.registerTool('test_tool_with_logging', { description }, async (ctx) => {
    for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await ctx.mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data } });
    }
    return text('done');
  });
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
