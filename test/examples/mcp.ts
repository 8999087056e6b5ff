// The MCP example at work: from the first 401 to tool calls, and what thieves get.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { UnauthorizedError } from '@modelcontextprotocol/client';
import { startLoginServer, USER } from '../support/login-server.ts';
import { type ClientWishes, connectMcp, makeFetch, TestProvider, type Trace } from '../support/mcp-client.ts';
import { startMcpServer } from '../support/mcp-server.ts';
import { HOLDER, type ProofWishes, prove, startExample, THIEF } from './example.ts';

export const MCP = 'https://api.example.com/mcp';
/** Another resource of the same authorization server. */
const OTHER = 'https://other.example.com/mcp';
const DOCUMENT = 'https://api.example.com/.well-known/oauth-protected-resource/mcp';
type Files = Readonly<Record<string, string>>;

/** The example between an MCP server and an authorization server, and a client whose key is the holder's. @param other MCP server in place of the usual one */
export async function startMcp(t: TestContext, files: Files, other?: { readonly url: string }) {
  const server = await startMcpServer(t);
  const login = await startLoginServer(t, { resources: { [MCP]: ['mcp:tools'], [OTHER]: ['mcp:tools'] } });
  const urls = { MCP_URL: other?.url ?? server.url, LOGIN_ISSUER: login.issuer };
  const example = await startExample(t, 'mcp-server.yaml', files, [], urls);
  const trace: Trace = [];
  const fetch = makeFetch(t, example.port, trace);
  const connect = (provider = new TestProvider(HOLDER), wishes: Partial<ClientWishes> = {}) =>
    connectMcp(t, { url: MCP, fetch, provider, browser: login.browse(), ...wishes });
  return { ...example, server, login, trace, fetch, connect };
}

/** Text of what a tool said. */
export const said = ({ content }: { readonly content: unknown }) => (content as { text: string }[])[0]?.text;

export async function playMcp(t: TestContext, files: Files): Promise<void> {
  const { login, trace, connect, call, server } = await startMcp(t, files);
  const provider = new TestProvider(HOLDER);
  const { client } = await connect(provider);

  // From the first 401 to the document of the resource, the authorization server, a registration and a token.
  const [challenged, document, metadata, registration] = trace;
  assert.equal(challenged?.status, 401);
  assert.match(
    challenged.headers.get('WWW-Authenticate') ?? '',
    new RegExp(`^DPoP .*resource_metadata="${DOCUMENT}"$`),
  );
  assert.deepEqual([document?.url, document?.status], [DOCUMENT, 200]);
  assert.equal(metadata?.url, `${login.issuer}/.well-known/oauth-authorization-server`);
  assert.deepEqual([registration?.method, registration?.status], ['POST', 201]);
  assert.equal(provider.asked?.searchParams.get('resource'), MCP);
  assert.equal(provider.saved?.token_type, 'DPoP');
  const token = provider.saved.access_token;

  // The server saw neither token nor proof, and who calls.
  assert.equal(said(await client.callTool({ name: 'add', arguments: { a: 1, b: 2 } })), '3');
  assert.equal(said(await client.callTool({ name: 'whoami' })), USER);
  assert.ok(
    server.seen.every(({ headers: { authorization, dpop } }) => authorization === undefined && dpop === undefined),
  );

  // What is not let through.
  const before = server.seen.length;
  const post = async (with_: string, wishes: ProofWishes = {}) => {
    const first = await call('POST', '/mcp', { ...(await prove(with_, 'POST', '/mcp', wishes)), body: '{}' });
    // A proof made before the gateway started is asked to come again with a nonce.
    if (first.reason !== 'nonce_required') return first.reason ?? first.status;
    const nonce = first.fields.one('DPoP-Nonce');
    const next = await call('POST', '/mcp', {
      ...(await prove(with_, 'POST', '/mcp', { ...wishes, nonce })),
      body: '{}',
    });
    return next.reason ?? next.status;
  };
  assert.equal(await post(token, { key: THIEF }), 'proof_key_mismatch');
  assert.equal((await call('POST', '/mcp', { token, body: '{}' })).reason, 'binding_downgraded');
  assert.equal(await post(token, { skew: 320 }), 'proof_from_future');
  assert.equal(await post(token, { skew: -320 }), 'proof_stale');
  const unbound = new TestProvider(undefined);
  await assert.rejects(connect(unbound), UnauthorizedError);
  assert.equal(unbound.saved?.token_type, 'Bearer');
  assert.equal(
    (await call('POST', '/mcp', { token: unbound.saved.access_token, body: '{}' })).reason,
    'binding_required',
  );
  const elsewhere = Object.assign(new TestProvider(HOLDER), { validateResourceURL: async () => new URL(OTHER) });
  await assert.rejects(connect(elsewhere), UnauthorizedError);
  assert.equal(await post(elsewhere.saved?.access_token ?? ''), 'token_audience_mismatch');
  assert.equal(server.seen.length, before);

  // Clocks that are wrong by less than five minutes. The answer is the server's, which takes the body for no call.
  assert.equal(await post(token, { skew: 280 }), 406);
  assert.equal(await post(token, { skew: -280 }), 406);
}
