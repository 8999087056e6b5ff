// The gateway's own client credentials at an issuer (RFC 6749, RFC 7523, RFC 8705).

import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { ClientRules, Issuer } from '../token/issuer.ts';

/** Seconds for which an assertion counts. */
const ASSERTION_LIFETIME = 60;
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** What a request needs beside its parameters. */
export interface Authentication {
  readonly fields: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Authenticates requests to one issuer; a new assertion for each. @param now seconds since the epoch */
export type Authenticate = (now: number) => Promise<Authentication>;

/** NOT done here: the certificate of tls_client_auth, which the connection shows. */
export function authenticator(
  { issuer }: Pick<Issuer, 'issuer'>,
  { clientId, credentials }: ClientRules,
): Authenticate {
  switch (credentials.method) {
    case 'client_secret_basic': {
      const fields = { authorization: basic(clientId, credentials.secret) };
      return async () => ({ fields, parameters: {} });
    }
    case 'private_key_jwt': {
      const key = createPrivateKey(credentials.key);
      const { alg, kid } = credentials;
      return async (now) => ({
        fields: {},
        parameters: {
          client_id: clientId,
          client_assertion_type: ASSERTION_TYPE,
          client_assertion: await makeAssertion({ clientId, issuer, key, alg, kid }, now),
        },
      });
    }
    // RFC 8705 §2: the certificate is found by the client_id.
    case 'tls_client_auth':
      return async () => ({ fields: {}, parameters: { client_id: clientId } });
  }
}

/** RFC 6749 §2.3.1: both are form-encoded before they are joined. */
function basic(clientId: string, secret: string): string {
  const encode = (text: string) => new URLSearchParams([['', text]]).toString().slice(1);
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(secret)}`).toString('base64')}`;
}

/**
 * RFC 7523 §3. `aud` is the issuer alone: an assertion whose audience another server can choose is one that it can use
 * (docs/decisions/0046-whom-a-client-assertion-is-for.md).
 */
function makeAssertion(
  by: {
    readonly clientId: string;
    readonly issuer: string;
    readonly key: KeyObject;
    readonly alg: string;
    readonly kid: string | undefined;
  },
  now: number,
): Promise<string> {
  const { clientId, issuer, key, alg, kid } = by;
  return new SignJWT()
    .setProtectedHeader({ alg, typ: 'JWT', ...(kid === undefined ? {} : { kid }) })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(issuer)
    .setJti(randomUUID())
    .setIssuedAt(Math.floor(now))
    .setExpirationTime(Math.floor(now) + ASSERTION_LIFETIME)
    .sign(key);
}
