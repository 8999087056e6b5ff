// A client of the code flow with DPoP, by oauth4webapi, and what it asks for besides.

import { subtle } from 'node:crypto';
import * as oauth from 'oauth4webapi';
import type { Browser } from './login-server.ts';
import { AUDIENCE, type TestKey } from './tokens.ts';

const REDIRECT = 'http://127.0.0.1:9/callback';
const CLIENT = { client_id: 'shop' };

/** As the authorization server has to know it. */
export const CODE_CLIENT = {
  ...CLIENT,
  redirect_uris: [REDIRECT],
  token_endpoint_auth_method: 'none' as const,
  application_type: 'native' as const,
  grant_types: ['authorization_code', 'refresh_token'],
};

export interface Tokens {
  readonly access: string;
  readonly refresh: string;
}

/** What a client asks of the authorization server besides. */
export type Asked = Readonly<Partial<Record<'acr_values' | 'max_age' | 'prompt', string>>>;

export interface CodeClient {
  readonly authorize: (browser: Browser, asked?: Asked) => Promise<Tokens>;
  readonly refresh: (tokens: Tokens) => Promise<Tokens>;
}

/** @param key to which tokens are bound: ES256 */
export async function openCodeClient(issuer: string, key: TestKey): Promise<CodeClient> {
  // oxlint-disable-next-line typescript/no-deprecated -- marked so that it is seen; the server is on loopback
  const insecure = { [oauth.allowInsecureRequests]: true };
  const found = await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...insecure });
  const server = await oauth.processDiscoveryResponse(new URL(issuer), found);
  const publicKey = await subtle.importKey('jwk', key.jwk, { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify']);
  const options = { DPoP: oauth.DPoP({}, { privateKey: key.privateKey, publicKey }), ...insecure };
  const tokensOf = ({ access_token: access, refresh_token: refresh = '' }: oauth.TokenEndpointResponse) => ({
    access,
    refresh,
  });
  return {
    async authorize(browser, asked = {}) {
      const verifier = oauth.generateRandomCodeVerifier();
      const request = await authorizationRequest(String(server.authorization_endpoint), verifier, asked);
      const callback = oauth.validateAuthResponse(
        server,
        CLIENT,
        await browser.authorize(request),
        oauth.expectNoState,
      );
      const answer = await oauth.authorizationCodeGrantRequest(
        server,
        CLIENT,
        oauth.None(),
        callback,
        REDIRECT,
        verifier,
        { ...options, additionalParameters: { resource: AUDIENCE } },
      );
      return tokensOf(await oauth.processAuthorizationCodeResponse(server, CLIENT, answer));
    },
    async refresh({ refresh }) {
      const answer = await oauth.refreshTokenGrantRequest(server, CLIENT, oauth.None(), refresh, options);
      return tokensOf(await oauth.processRefreshTokenResponse(server, CLIENT, answer));
    },
  };
}

async function authorizationRequest(endpoint: string, verifier: string, asked: Asked): Promise<URL> {
  const url = new URL(endpoint);
  const parameters = {
    ...CLIENT,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'openid offline_access orders:read',
    prompt: 'consent',
    resource: AUDIENCE,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...asked,
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url;
}
