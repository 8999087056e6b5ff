// The authorization server of the quickstart: oidc-provider with three kinds of tokens.

import type { X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import { TLSSocket } from 'node:tls';
import type * as Oidc from 'oidc-provider';
import type { DevelopmentCertificates } from './development-ca.ts';
import { close, listen } from './loopback.ts';
import type { Secrets } from './secrets.ts';

export interface AuthorizationServer {
  readonly issuer: string;
  readonly close: () => Promise<void>;
}

export interface AuthorizationServerOptions {
  /** On 127.0.0.1; 0 for any free one. */
  readonly port: number;
  /** `aud` of every token; a client need not name it as `resource`. */
  readonly audience: string;
  readonly certificates: DevelopmentCertificates;
  readonly secrets: Secrets;
  /** Told about failures of the server itself, not about requests that it refuses. */
  readonly onError?: (error: Error) => void;
}

/** The scopes a client can ask for. */
export const SCOPES = ['orders:read', 'orders:write'] as const;

/** Seconds. */
const TOKEN_LIFETIME = 600;
/** Seconds by which tokens of `expired-client` are dated back. */
const EXPIRED_BY = 3600;

/**
 * Starts the server on loopback and resolves once it accepts connections. Grant: client_credentials only.
 * Rejects with the error of `listen`. For development: it keeps its state in memory.
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
  const answer = provider.callback();
  server.on('request', (request, response) => void answer(request, response));
  return { issuer, close: () => close(server) };
}

/** RFC 6749 §2: each client gets one kind of token. */
function clientsOf(secrets: Secrets): Oidc.ClientMetadata[] {
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
  ];
}

function configurationOf(
  { audience, secrets }: AuthorizationServerOptions,
  wrongTarget: () => Error,
): Oidc.Configuration {
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
    clientAuthMethods: ['client_secret_basic', 'tls_client_auth'],
    clients: clientsOf(secrets),
    clientDefaults: {
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
    },
    ttl: { ClientCredentials: TOKEN_LIFETIME },
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

/** What the server has to remember: the `jti` of proofs that it saw. JWT access tokens are not stored. */
function memoryAdapters(): (name: string) => Oidc.Adapter {
  return () => {
    const entries = new Map<string, { payload: Oidc.AdapterPayload; ends: number }>();
    const find = async (id: string) => {
      const entry = entries.get(id);
      return entry && entry.ends > Date.now() ? entry.payload : undefined;
    };
    const none = async () => undefined;
    return {
      find,
      upsert: async (id, payload, expiresIn) => {
        for (const [old, { ends }] of entries) if (ends <= Date.now()) entries.delete(old);
        entries.set(id, { payload, ends: Date.now() + (expiresIn ?? TOKEN_LIFETIME) * 1000 });
      },
      destroy: async (id) => void entries.delete(id),
      consume: none,
      findByUid: none,
      findByUserCode: none,
      revokeByGrantId: none,
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
