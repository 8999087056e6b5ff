// The authorization server of the quickstart: oidc-provider with three kinds of tokens.

import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { TLSSocket } from 'node:tls';
import type * as Oidc from 'oidc-provider';
import type { DevelopmentCertificates } from './development-ca.ts';
import { close, listen } from './loopback.ts';
import type { Secrets } from './secrets.ts';

export interface AuthorizationServer {
  readonly issuer: string;
  /** Answers requests that came in at another door, such as that of the demo page. */
  readonly answer: RequestListener;
  readonly close: () => Promise<void>;
}

export interface AuthorizationServerOptions {
  /** On 127.0.0.1; 0 for any free one. */
  readonly port: number;
  /** `aud` of every token; a client need not name it as `resource`. */
  readonly audience: string;
  readonly certificates: DevelopmentCertificates;
  readonly secrets: Secrets;
  /** Origin of a page that may log in as `browser-client`; absent: there is no such client. */
  readonly page?: string;
  /** Told about failures of the server itself, not about requests that it refuses. */
  readonly onError?: (error: Error) => void;
}

/** The scopes a client can ask for. */
export const SCOPES = ['orders:read', 'orders:write'] as const;

/** What the server answers at other doors as well: authorization and token requests, and its login. */
export const BROWSER_PATHS = /^\/(?:auth|token|interaction)(?:[/?]|$)/;
/** Who logs in at `/interaction/…`, without being asked. */
export const USER = 'alice';
/** Seconds. */
const TOKEN_LIFETIME = 600;
/** Seconds by which tokens of `expired-client` are dated back. */
const EXPIRED_BY = 3600;

/**
 * Starts the server on loopback and resolves once it accepts connections. Grants: client_credentials, and authorization_code
 * with PKCE for the page. Rejects with the error of `listen`. For development: it keeps its state in memory, and everyone who
 * comes with a browser is `USER`.
 */
export async function startAuthorizationServer(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const { ca, server: own } = options.certificates;
  // A certificate is asked for and not demanded: who shows none can still get tokens that are bound to none.
  const server = createServer({ ...own, ca, requestCert: true, rejectUnauthorized: false });
  const issuer = `https://localhost:${await listen(server, options.port)}`;
  const { Provider, errors } = await importProvider();
  const provider = new Provider(
    issuer,
    configurationOf(options, () => new errors.InvalidTarget()),
  );
  provider.on('server_error', (_context, error) => options.onError?.(error));
  const callback = provider.callback();
  const answer = (request: IncomingMessage, response: ServerResponse) =>
    void (request.url?.startsWith('/interaction/') ? logIn(provider, request, response) : callback(request, response));
  server.on('request', answer);
  return { issuer, answer, close: () => close(server) };
}

/** Ends a login as that of `USER`; anything else that the server wants to ask is denied, for no person is asked. */
async function logIn(provider: Oidc.Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const { prompt } = await provider.interactionDetails(request, response);
    const denied = { error: 'access_denied', error_description: `There is no one to ask for ${prompt.name}` };
    const result = prompt.name === 'login' ? { login: { accountId: USER } } : denied;
    await provider.interactionFinished(request, response, result);
  } catch (error) {
    response.writeHead(400, { 'Content-Type': 'text/plain' });
    response.end(`There is no login to finish: ${String(error)}\n`);
  }
}

/** RFC 6749 §2: each client gets one kind of token. */
function clientsOf({ secrets, page }: AuthorizationServerOptions): Oidc.ClientMetadata[] {
  const basic = (name: keyof Secrets['clientSecret']) => ({
    client_id: `${name}-client`,
    client_secret: secrets.clientSecret[name],
    token_endpoint_auth_method: 'client_secret_basic' as const,
  });
  return [
    basic('bearer'),
    { ...basic('dpop'), dpop_bound_access_tokens: true },
    basic('expired'),
    {
      client_id: 'mtls-client',
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_san_dns: 'alice.example.com',
      tls_client_certificate_bound_access_tokens: true,
    },
    ...(page === undefined ? [] : [browserClient(page)]),
  ];
}

/** A public client (RFC 6749 §2.1): the page can keep no secret; PKCE and the key of its proofs stand in for one. */
const browserClient = (page: string): Oidc.ClientMetadata => ({
  client_id: 'browser-client',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code'],
  response_types: ['code'],
  redirect_uris: [`${page}/`],
  dpop_bound_access_tokens: true,
});

function configurationOf(options: AuthorizationServerOptions, wrongTarget: () => Error): Oidc.Configuration {
  const { audience, secrets, page } = options;
  const resource = {
    audience,
    scope: SCOPES.join(' '),
    accessTokenFormat: 'jwt' as const,
    accessTokenTTL: TOKEN_LIFETIME,
    jwt: { sign: { alg: 'ES256' as const } },
  };
  return {
    adapter: memoryAdapters(),
    jwks: { keys: [secrets.signingKey] },
    scopes: [...SCOPES],
    clientAuthMethods: ['client_secret_basic', 'tls_client_auth', 'none'],
    clients: clientsOf(options),
    renderError: (context, { error, error_description: description }) => {
      context.type = 'text/plain';
      context.body = `${error}: ${description}\n`;
    },
    clientBasedCORS: (_context, origin) => origin === page,
    findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    // Consent to everything, given in advance.
    loadExistingGrant: async ({ oidc }) => {
      const { client, session, provider } = oidc;
      if (client === undefined || session?.accountId === undefined) return undefined;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(SCOPES.join(' '));
      grant.addResourceScope(audience, SCOPES.join(' '));
      await grant.save();
      return grant;
    },
    clientDefaults: {
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
    },
    ttl: {
      ClientCredentials: TOKEN_LIFETIME,
      AccessToken: TOKEN_LIFETIME,
      AuthorizationCode: 60,
      Interaction: TOKEN_LIFETIME,
      Session: TOKEN_LIFETIME,
      Grant: TOKEN_LIFETIME,
    },
    formats: {
      customizers: {
        // RFC 7519 §4.1.4. Stands in for a token that lay about for an hour; everything else of it is real.
        jwt: (_context, token, jwt) => {
          if (token.clientId !== 'expired-client') return;
          jwt.payload.iat = Number(jwt.payload.iat) - EXPIRED_BY;
          jwt.payload.exp = Number(jwt.payload.exp) - EXPIRED_BY;
        },
      },
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: (_context, indicator) => {
          if (indicator !== audience) throw wrongTarget();
          return resource;
        },
      },
      dPoP: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        getCertificate: (context) => peerCertificate(context)?.toString(),
        certificateAuthorized: (context) => (context.req.socket as TLSSocket).authorized,
        certificateSubjectMatches: (context, property, expected) =>
          property === 'tls_client_auth_san_dns' && peerCertificate(context)?.subjectAltName === `DNS:${expected}`,
      },
    },
  };
}

/** The client's certificate of this very connection. */
function peerCertificate(context: Oidc.KoaContextWithOIDC): X509Certificate | undefined {
  const { socket } = context.req;
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

/** What the server has to remember: logins, codes, and the `jti` of proofs that it saw. JWT access tokens are not stored. */
function memoryAdapters(): (name: string) => Oidc.Adapter {
  return () => {
    const entries = new Map<string, { payload: Oidc.AdapterPayload; ends: number }>();
    const fresh = (entry: { payload: Oidc.AdapterPayload; ends: number } | undefined) =>
      entry && entry.ends > Date.now() ? entry.payload : undefined;
    return {
      find: async (id) => fresh(entries.get(id)),
      findByUid: async (uid) => fresh([...entries.values()].find(({ payload }) => payload.uid === uid)),
      findByUserCode: async () => undefined,
      upsert: async (id, payload, expiresIn) => {
        for (const [old, { ends }] of entries) if (ends <= Date.now()) entries.delete(old);
        entries.set(id, { payload, ends: Date.now() + (expiresIn ?? TOKEN_LIFETIME) * 1000 });
      },
      destroy: async (id) => void entries.delete(id),
      consume: async (id) =>
        void Object.assign(entries.get(id)?.payload ?? {}, { consumed: Math.floor(Date.now() / 1000) }),
      revokeByGrantId: async (grantId) => {
        for (const [id, { payload }] of entries) if (payload.grantId === grantId) entries.delete(id);
      },
    };
  };
}

/** oidc-provider calls every Node unsupported that is not yet in long-term support; that one line is left out. */
async function importProvider(): Promise<typeof Oidc> {
  const { warn } = console;
  console.warn = (...parts: unknown[]) => {
    if (!String(parts[0]).includes('Unsupported runtime')) warn(...parts);
  };
  try {
    return await import('oidc-provider');
  } finally {
    console.warn = warn;
  }
}
