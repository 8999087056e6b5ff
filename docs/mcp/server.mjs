// An MCP server over streamable HTTP that knows nothing of OAuth: npm install @modelcontextprotocol/server @modelcontextprotocol/node zod

import { createServer } from 'node:http';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

function makeServer() {
  const server = new McpServer({ name: 'example', version: '1.0.0' });
  server.registerTool('add', { inputSchema: z.object({ a: z.number(), b: z.number() }) }, ({ a, b }) => ({
    content: [{ type: 'text', text: String(a + b) }],
  }));
  // The gateway says who calls. A field that a client sends by this name never arrives.
  server.registerTool('whoami', {}, (context) => ({
    content: [{ type: 'text', text: context.http.req.headers.get('x-auth-subject') }],
  }));
  return server;
}

const [hostFits, originFits] = [localhostHostValidation(), localhostOriginValidation()];
const answer = toNodeHandler(createMcpHandler(makeServer));
const server = createServer((request, response) => {
  if (hostFits(request, response) && originFits(request, response)) void answer(request, response);
});
// On loopback: the only way to it is through the gateway.
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
