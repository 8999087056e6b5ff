// An authorization server with users for tests: oidc-provider with code flow and DPoP.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { exportJWK } from 'jose';
import type * as Oidc from 'oidc-provider';
import { importProvider } from './authorization-server.ts';
import { makeKey } from './tokens.ts';

export interface LoginServer {
  readonly issuer: string;
  /** How users were asked to authenticate so far: `acr_values` and `max_age` of each prompt. */
  readonly logins: readonly { readonly acr_values: string | undefined; readonly max_age: string | undefined }[];
  /** A browser with a user in front of it. */
  readonly browse: () => Browser;
}

export interface Browser {
  /** Follows redirects from an authorization request to the client. @returns the redirect URI with its parameters */
  readonly authorize: (request: URL) => Promise<URL>;
}

export interface LoginWishes {
  /** Resource identifiers for which tokens are issued, and the scopes of each. */
  readonly resources: Readonly<Record<string, readonly string[]>>;
  readonly clients?: readonly Oidc.ClientMetadata[];
  /** Authentication contexts, the weakest first: what a user shows who is not asked for any. */
  readonly acr?: readonly string[];
  /** Seconds since the epoch at which the next user authenticates; undefined: now. */
  readonly authenticatedAt?: () => number | undefined;
}

export const USER = 'alice';

/** Closed when the test ends. Users authenticate as they are asked to, and consent to everything. */
export async function startLoginServer(t: TestContext, wishes: LoginWishes): Promise<LoginServer> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey, jwk } = await makeKey('ES256', 'login');
  const oidc = await importProvider();
  const key = { ...(await exportJWK(privateKey)), kid: jwk.kid, alg: 'ES256' } as Oidc.JWK;
  const provider = new oidc.Provider(issuer, configuration(oidc, key, wishes));
  const logins: LoginServer['logins'][number][] = [];
  const answer = provider.callback();
  const interact = async (request: IncomingMessage, response: ServerResponse) => {
    const { prompt, params } = await provider.interactionDetails(request, response);
    if (prompt.name === 'login') {
      const { acr_values, max_age } = params as Readonly<Record<string, string | undefined>>;
      logins.push({ acr_values, max_age });
    }
    await provider.interactionFinished(request, response, await resultOf(provider, { prompt, params }, wishes));
  };
  server.on('request', (request, response) => {
    void (request.url?.startsWith('/interaction/') ? interact(request, response) : answer(request, response));
  });
  return { issuer, logins, browse };
}

/** Clients that register themselves may name those of resources only where the server as a whole has them. */
const scopesOf = ({ resources }: LoginWishes) => [
  'openid',
  'offline_access',
  ...new Set(Object.values(resources).flat()),
];

function acrValues(parameters: Readonly<Record<string, unknown>> | undefined): string[] {
  const value = parameters?.['acr_values'];
  return typeof value === 'string' ? value.split(' ') : [];
}

/** What the user does about a prompt. */
async function resultOf(
  provider: Oidc.Provider,
  { prompt, params }: Pick<Oidc.Interaction, 'prompt' | 'params'>,
  wishes: LoginWishes,
): Promise<Oidc.InteractionResults> {
  const { acr = [] } = wishes;
  if (prompt.name === 'login') {
    const [wanted = acr[0]] = acrValues(params).filter((one) => acr.includes(one));
    const ts = wishes.authenticatedAt?.();
    return {
      login: { accountId: USER, ...(wanted !== undefined && { acr: wanted }), ...(ts !== undefined && { ts }) },
    };
  }
  const grant = new provider.Grant({ accountId: USER, clientId: String(params['client_id']) });
  grant.addOIDCScope(scopesOf(wishes).join(' '));
  for (const [resource, scopes] of Object.entries(wishes.resources)) grant.addResourceScope(resource, scopes.join(' '));
  return { consent: { grantId: await grant.save() } };
}

function configuration(
  { interactionPolicy, errors }: typeof Oidc,
  key: Oidc.JWK,
  wishes: LoginWishes,
): Oidc.Configuration {
  const { base, Check } = interactionPolicy;
  const policy = base();
  // RFC 9470 §5: a requested acr is treated as one that is needed. oidc-provider leaves it to its operator.
  policy.get('login')?.checks.add(
    new Check('acr', 'another authentication is needed', ({ oidc }) => {
      const wanted = acrValues(oidc.params);
      return wanted.length > 0 && !wanted.includes(oidc.acr) ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT;
    }),
  );
  return {
    adapter: memoryAdapters(),
    jwks: { keys: [key] },
    cookies: { keys: ['for-tests'] },
    ttl: { AccessToken: 600, Grant: 600, IdToken: 600, Interaction: 600, RefreshToken: 600, Session: 600 },
    scopes: scopesOf(wishes),
    acrValues: [...(wishes.acr ?? [])],
    clients: [...(wishes.clients ?? [])],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    responseTypes: ['code'],
    interactions: { policy, url: (_context, { uid }) => `/interaction/${uid}` },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    // RFC 9068 §2.2.1, RFC 9470 §6: how and when the user authenticated, which a refresh does not change.
    extraTokenClaims: ({ oidc }) => {
      const { acr, authTime } = oidc.entities.AuthorizationCode ?? oidc.entities.RefreshToken ?? {};
      return { ...(acr !== undefined && { acr }), ...(authTime !== undefined && { auth_time: authTime }) };
    },
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      dPoP: { enabled: true },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => {
          const scopes = wishes.resources[resource];
          if (scopes === undefined) throw new errors.InvalidTarget();
          return {
            audience: resource,
            scope: scopes.join(' '),
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: 'ES256' } },
          };
        },
      },
    },
  };
}

/** Keeps cookies, and stops where a redirect leaves the authorization server. */
function browse(): Browser {
  const cookies = new Map<string, string>();
  return {
    async authorize(request) {
      let url = request;
      for (let hop = 0; hop < 12; hop++) {
        const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
        const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
        for (const line of response.headers.getSetCookie()) {
          const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
          if (value === '') cookies.delete(name);
          else cookies.set(name, value);
        }
        const location = response.headers.get('location');
        if (location === null) throw new Error(`${url.pathname}: ${response.status} ${await response.text()}`);
        await response.body?.cancel();
        const next = new URL(location, url);
        if (next.origin !== request.origin) return next;
        url = next;
      }
      throw new Error(`the authorization server redirects for ever: ${url.pathname}`);
    },
  };
}

/** Everything in memory, for the life of the test. */
function memoryAdapters(): (model: string) => Oidc.Adapter {
  return () => {
    const entries = new Map<string, Oidc.AdapterPayload>();
    return {
      find: async (id) => entries.get(id),
      findByUid: async (uid) => [...entries.values()].find((entry) => entry.uid === uid),
      findByUserCode: async () => undefined,
      upsert: async (id, payload) => void entries.set(id, payload),
      consume: async (id) => void Object.assign(entries.get(id) ?? {}, { consumed: Math.floor(Date.now() / 1000) }),
      destroy: async (id) => void entries.delete(id),
      revokeByGrantId: async (grantId) => {
        for (const [id, entry] of entries) if (entry.grantId === grantId) entries.delete(id);
      },
    };
  };
}
