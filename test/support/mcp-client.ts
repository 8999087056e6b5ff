// The official MCP client behind a test gateway, with a user who signs in.

import { subtle } from 'node:crypto';
import type { TestContext } from 'node:test';
import {
  Client,
  DpopSession,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { Agent, buildConnector, fetch as fetchBy } from 'undici';
import { HOST, SERVER_CA } from './gateway.ts';
import type { Browser } from './login-server.ts';
import type { TestKey } from './tokens.ts';

/** Answers so far: method, URL and status, in order. */
export type Trace = {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
}[];

/** `fetch` of a client to which api.example.com is the gateway, and which keeps what it saw. @param allowH2 HTTP/2, where the other side has it */
export function makeFetch(t: TestContext, port: number, trace: Trace = [], allowH2 = false): typeof fetch {
  const connect = buildConnector({ ca: SERVER_CA.cert, allowH2 });
  const agent = new Agent({
    allowH2,
    connect(options, callback) {
      const gateway = options.hostname === HOST;
      connect(
        gateway
          ? { ...options, hostname: '127.0.0.1', host: '127.0.0.1', port: String(port), servername: HOST }
          : options,
        callback,
      );
    },
  });
  t.after(() => agent.destroy());
  return (async (input: string | URL, init: RequestInit = {}) => {
    const response = await fetchBy(input, { ...(init as object), dispatcher: agent });
    const { status, headers } = response;
    trace.push({ method: init.method ?? 'GET', url: String(input), status, headers });
    return response;
  }) as unknown as typeof fetch;
}

const REDIRECT = 'http://127.0.0.1:9/callback';

/** What an MCP client keeps, in memory. */
export class TestProvider implements OAuthClientProvider {
  readonly redirectUrl = REDIRECT;
  readonly clientMetadata = {
    client_name: 'A client of the tests',
    redirect_uris: [REDIRECT],
    token_endpoint_auth_method: 'none',
  };
  /** Where the user was sent. */
  asked: URL | undefined;
  saved: StoredOAuthTokens | undefined;
  #client: StoredOAuthClientInformation | undefined;
  #verifier = '';
  #discovery: OAuthDiscoveryState | undefined;
  readonly #dpop: Promise<DpopSession> | undefined;

  /** @param key to which tokens are bound; undefined: the client does not speak DPoP */
  constructor(key: TestKey | undefined) {
    this.#dpop = key && openSession(key);
  }

  dpop(): Promise<DpopSession> | undefined {
    return this.#dpop;
  }
  clientInformation(): StoredOAuthClientInformation | undefined {
    return this.#client;
  }
  saveClientInformation(client: StoredOAuthClientInformation): void {
    this.#client = client;
  }
  tokens(): StoredOAuthTokens | undefined {
    return this.saved;
  }
  saveTokens(tokens: StoredOAuthTokens): void {
    this.saved = tokens;
  }
  redirectToAuthorization(url: URL): void {
    this.asked = url;
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }
  codeVerifier(): string {
    return this.#verifier;
  }
  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovery = state;
  }
  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovery;
  }
}

async function openSession({ privateKey, jwk, jkt: thumbprint }: TestKey): Promise<DpopSession> {
  const publicKey = await subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify']);
  return await DpopSession.create({ keyPair: { privateKey, publicKey, publicJwk: jwk, thumbprint, alg: 'ES256' } });
}

export interface Connected {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
}

export interface ClientWishes {
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly provider: TestProvider;
  readonly browser: Browser;
  /** Of the protocol: that with sessions, or the one after it. */
  readonly revision?: 'sessions' | 'stateless';
}

/** Connects; where the client is sent to the authorization server, the user signs in and it connects again. */
export async function connectMcp(
  t: TestContext,
  { url, fetch, provider, browser, revision }: ClientWishes,
): Promise<Connected> {
  const mode = revision === 'stateless' ? { pin: '2026-07-28' } : 'legacy';
  const open = () => ({
    client: new Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode } }),
    transport: new StreamableHTTPClientTransport(new URL(url), { authProvider: provider, fetch }),
  });
  const first = open();
  try {
    await first.client.connect(first.transport);
    t.after(() => first.client.close());
    return first;
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || provider.asked === undefined) throw error;
  }
  await first.transport.finishAuth((await browser.authorize(provider.asked)).searchParams);
  const second = open();
  await second.client.connect(second.transport);
  t.after(() => second.client.close());
  return second;
}
