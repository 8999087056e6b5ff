// An MCP client with DPoP, all of it by the official SDK: npm install @modelcontextprotocol/client

import { once } from 'node:events';
import { createServer } from 'node:http';
import { Client, DpopSession, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

/**
 * Connects, and lets the user sign in where the server asks for it.
 * @param open shows the user an address of the authorization server
 */
export async function connect(url, open, fetch = globalThis.fetch) {
  const callback = createServer();
  callback.listen(0, '127.0.0.1');
  await once(callback, 'listening');
  const answered = once(callback, 'request');
  const redirectUrl = `http://127.0.0.1:${callback.address().port}/callback`;
  const kept = {};
  const dpop = DpopSession.create();
  const authProvider = {
    redirectUrl,
    clientMetadata: { client_name: 'Example', redirect_uris: [redirectUrl], token_endpoint_auth_method: 'none' },
    // With this the SDK gets tokens that are bound to a key, and proves the key with each request.
    dpop: () => dpop,
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (state) => void (kept.discovery = state),
    redirectToAuthorization: (address) => void open(address),
  };
  const start = () => ({
    client: new Client({ name: 'example', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } }),
    transport: new StreamableHTTPClientTransport(new URL(url), { authProvider, fetch }),
  });
  try {
    const { client, transport } = start();
    const connected = await client.connect(transport).then(
      () => true,
      async (error) => {
        if (!(error instanceof UnauthorizedError)) throw error;
        const [request, response] = await answered;
        response.end('You can close this window.');
        await transport.finishAuth(new URL(request.url, redirectUrl).searchParams);
        return false;
      },
    );
    if (connected) return client;
    const again = start();
    await again.client.connect(again.transport);
    return again.client;
  } finally {
    callback.close();
  }
}

if (import.meta.main) {
  const client = await connect(process.argv[2], (address) => console.log(`Open in a browser: ${address}`));
  console.log((await client.callTool({ name: 'whoami' })).content[0].text);
  console.log((await client.callTool({ name: 'add', arguments: { a: 20, b: 22 } })).content[0].text);
  await client.close();
}
