// A real authorization server for tests: oidc-provider with opaque tokens.

import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { TLSSocket } from 'node:tls';
import { exportJWK } from 'jose';
import type * as Oidc from 'oidc-provider';
import { Agent, request } from 'undici';
import { makeCa, makeCertificate, type TestCertificate } from './pki.ts';
import { AUDIENCE, makeKey, makeProof, type TestKey } from './tokens.ts';

export interface OpaqueServer {
  readonly issuer: string;
  /** Of its own certificate and the gateway's. */
  readonly ca: string;
  /** With what the gateway says who it is, by method. */
  readonly gateway: { readonly secret: string; readonly key: string; readonly certificate: TestCertificate };
  /** Paths of requests so far. */
  readonly seen: string[];
  /** An opaque token bound to what is shown. */
  readonly issue: (to?: { readonly key?: TestKey; readonly certificate?: TestCertificate }) => Promise<string>;
  readonly revoke: (token: string) => Promise<void>;
  /** Audience and scope of a token, as the server knows it; undefined: it is none. */
  readonly look: (token: string) => Promise<{ readonly aud: unknown; readonly scope: unknown } | undefined>;
}

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** The one for whom tokens are given in exchange. */
export const UPSTREAM_AUDIENCE = 'orders service';

/** RFC 8693, which oidc-provider leaves to those who use it: client authentication, parameters and errors are its own. */
function addTokenExchange(provider: Oidc.Provider, errors: typeof Oidc.errors): void {
  const parameters = ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'scope'];
  provider.registerGrantType(
    TOKEN_EXCHANGE,
    async (context) => {
      const { client, params } = context.oidc;
      const subject = await provider.ClientCredentials.find(String(params?.['subject_token']));
      const types = [params?.['subject_token_type'], params?.['requested_token_type']];
      if (client === undefined || types.some((type) => type !== ACCESS_TOKEN)) throw new errors.InvalidRequest('types');
      if (subject === undefined) throw new errors.InvalidGrant('the subject token counts for nothing');
      if (params?.['audience'] !== UPSTREAM_AUDIENCE) throw new errors.InvalidTarget();
      const scope = String(params?.['scope'] ?? subject.scope);
      const token = new provider.ClientCredentials({ client, scope });
      token.aud = UPSTREAM_AUDIENCE;
      context.body = {
        access_token: await token.save(),
        issued_token_type: ACCESS_TOKEN,
        token_type: 'Bearer',
        expires_in: token.expiration,
        scope,
      };
    },
    parameters,
  );
}

export const SECRET = 'a secret: of the gateway & 100% its own';

/** Closed when the test ends. @param clients the CA of the clients' certificates */
export async function startOpaqueServer(t: TestContext, clients: TestCertificate): Promise<OpaqueServer> {
  const ca = await makeCa({ subject: 'CN=Issuer CA' });
  const own = await makeCertificate({ names: ['localhost'], ca });
  const certificate = await makeCertificate({ names: ['gateway.internal'], ca });
  const key = await makeKey('ES256', 'gateway');
  // A certificate is asked for and not demanded: who shows none can still get tokens that are bound to none.
  const server = createServer({
    cert: own.chain,
    key: own.key,
    ca: [ca.cert, clients.cert],
    requestCert: true,
    rejectUnauthorized: false,
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`;
  const library = await importProvider();
  const provider = new library.Provider(
    issuer,
    configuration(issuer, key, await privateJwk(await makeKey('ES256', 'issuer'))),
  );
  addTokenExchange(provider, library.errors);
  const answer = provider.callback();
  const seen: string[] = [];
  server.on('request', (message, response) => {
    seen.push(message.url ?? '');
    void answer(message, response);
  });
  const agents = new Map<string | undefined, Agent>();
  t.after(async () => {
    await Promise.all([...agents.values()].map((agent) => agent.destroy()));
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  const post = async (path: string, form: Record<string, string>, by: TestCertificate | undefined, dpop?: string) => {
    const shown = by && { cert: by.chain, key: by.key };
    const agent = agents.get(by?.thumbprint) ?? new Agent({ connect: { ca: ca.cert, ...shown } });
    agents.set(by?.thumbprint, agent);
    const { statusCode, body } = await request(`${issuer}${path}`, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...(dpop && { dpop }) },
      body: new URLSearchParams(form).toString(),
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`${path}: ${statusCode} ${text}`);
    return text;
  };
  return {
    issuer,
    ca: ca.cert,
    gateway: { secret: SECRET, key: await privateJwk(key), certificate },
    seen,
    async issue({ key: holder, certificate: shown } = {}) {
      const client = shown ? 'mtls' : holder ? 'dpop' : 'bearer';
      const form = { grant_type: 'client_credentials', client_id: client, scope: 'orders:read' };
      const proof = holder && (await proofFor(holder, `${issuer}/token`));
      return String(JSON.parse(await post('/token', form, shown, proof)).access_token);
    },
    async look(token) {
      const found = await provider.ClientCredentials.find(token);
      return found && { aud: found.aud, scope: found.scope };
    },
    revoke: async (token) => void (await post('/token/revocation', { token, client_id: 'bearer' }, undefined)),
  };
}

const proofFor = (holder: TestKey, url: string) =>
  makeProof(holder, Date.now() / 1000, { method: 'POST', url, claims: { ath: undefined } });

async function privateJwk({ privateKey, jwk }: TestKey): Promise<string> {
  return JSON.stringify({ ...(await exportJWK(privateKey)), kid: jwk.kid, alg: jwk.alg });
}

function configuration(issuer: string, gatewayKey: TestKey, ownKey: string): Oidc.Configuration {
  const open = { token_endpoint_auth_method: 'none' as const };
  const gateway = { grant_types: [TOKEN_EXCHANGE], redirect_uris: [], response_types: [] };
  return {
    adapter: memoryAdapters(),
    jwks: { keys: [JSON.parse(ownKey) as Oidc.JWK] },
    ttl: { ClientCredentials: 600 },
    scopes: ['orders:read'],
    clientAuthMethods: ['client_secret_basic', 'private_key_jwt', 'tls_client_auth', 'none'],
    discovery: { mtls_endpoint_aliases: { introspection_endpoint: `${issuer}/token/introspection` } },
    clients: [
      { client_id: 'bearer', ...open },
      { client_id: 'dpop', ...open, dpop_bound_access_tokens: true },
      { client_id: 'mtls', ...open, tls_client_certificate_bound_access_tokens: true },
      { ...gateway, client_id: 'by:secret', client_secret: SECRET },
      {
        ...gateway,
        client_id: 'by:key',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [{ ...gatewayKey.jwk, use: 'sig' }] },
      },
      {
        ...gateway,
        client_id: 'by:certificate',
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_san_dns: 'gateway.internal',
      },
    ],
    clientDefaults: {
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
      // Of answers to those who ask for signed ones (RFC 9701).
      introspection_signed_response_alg: 'ES256',
    },
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'], introspectionSigningAlgValues: ['ES256'] },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: () => ({ audience: AUDIENCE, scope: 'orders:read', accessTokenFormat: 'opaque' }),
      },
      dPoP: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        getCertificate: (context) => peerCertificate(context)?.toString(),
        certificateAuthorized: (context) => (context.req.socket as TLSSocket).authorized,
        certificateSubjectMatches: (context, _property, expected) =>
          peerCertificate(context)?.subjectAltName === `DNS:${expected}`,
      },
    },
  };
}

function peerCertificate({ req: { socket } }: Oidc.KoaContextWithOIDC) {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

/** Everything in memory, for the life of the test. */
function memoryAdapters(): (name: string) => Oidc.Adapter {
  return () => {
    const entries = new Map<string, Oidc.AdapterPayload>();
    const none = async () => undefined;
    return {
      find: async (id) => entries.get(id),
      upsert: async (id, payload) => void entries.set(id, payload),
      destroy: async (id) => void entries.delete(id),
      consume: none,
      findByUid: none,
      findByUserCode: none,
      revokeByGrantId: none,
    };
  };
}

/** oidc-provider calls every Node unsupported that is not yet in long-term support; and that it is used in a test is meant. */
export async function importProvider(): Promise<typeof Oidc> {
  const { warn } = console;
  console.warn = () => {};
  try {
    return await import('oidc-provider');
  } finally {
    console.warn = warn;
  }
}
