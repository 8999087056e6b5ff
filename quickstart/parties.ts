// The clients of the quickstart: their connections, certificates and tokens.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import type { Answer } from './answer.ts';
import { makeProof } from './dpop-client.ts';
import type { Credential } from './development-ca.ts';
import type { Secrets } from './secrets.ts';
import { type Addresses, Problem } from './settings.ts';

/** Who opens the connection: with alice's certificate, with mallory's, or with none. */
export const PARTIES = ['nobody', 'alice', 'mallory'] as const;
export type Party = (typeof PARTIES)[number];

/** What the authorization server has a client for; `expired` is unbound and out of date. */
export const TOKEN_KINDS = ['bearer', 'dpop', 'mtls', 'expired'] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

export interface Outgoing {
  readonly method: string;
  readonly url: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends requests as one of the parties, over TLS with the development CA; `close` lets the process end. */
export class Parties {
  readonly #agents = new Map<Party, Agent>();
  readonly #ca: string;
  readonly #credentials: Readonly<Partial<Record<Party, Credential>>>;

  constructor(ca: string, credentials: Partial<Record<Party, Credential>>) {
    this.#ca = ca;
    this.#credentials = credentials;
  }

  async send(party: Party, { method, url, fields = {}, body }: Outgoing): Promise<Answer> {
    const answer = await request(url, {
      method,
      headers: fields,
      dispatcher: this.#agent(party),
      ...(body === undefined ? {} : { body }),
    });
    return { status: answer.statusCode, fields: answer.headers, body: await answer.body.text() };
  }

  #agent(party: Party): Agent {
    const open = this.#agents.get(party) ?? new Agent({ connect: { ca: this.#ca, ...this.#credentials[party] } });
    this.#agents.set(party, open);
    return open;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.close()));
  }
}

/** The parties with the files that `npm start` made. */
export async function openParties(folder: string): Promise<Parties> {
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  const credential = async (name: string) => ({ cert: await read(`${name}.pem`), key: await read(`${name}.key`) });
  return new Parties(await read('ca.pem'), { alice: await credential('alice'), mallory: await credential('mallory') });
}

/**
 * An access token by client_credentials (RFC 6749 §4.4). The mtls token is alice's: she authenticates with her certificate
 * (RFC 8705 §2.1) and the token is bound to it; the dpop token is bound to `secrets.proofKey`.
 */
export async function requestToken(
  parties: Parties,
  { issuer }: Pick<Addresses, 'issuer'>,
  secrets: Secrets,
  kind: TokenKind,
): Promise<string> {
  const url = `${issuer}/token`;
  const form = new URLSearchParams({ grant_type: 'client_credentials', scope: 'orders:read' });
  const fields: Record<string, string> = { 'Content-Type': 'application/x-www-form-urlencoded' };
  if (kind === 'mtls') form.set('client_id', 'mtls-client');
  else fields['Authorization'] = basic(`${kind}-client`, secrets.clientSecret[kind]);
  if (kind === 'dpop') fields['DPoP'] = await makeProof(secrets.proofKey, { method: 'POST', url });
  const party = kind === 'mtls' ? 'alice' : 'nobody';
  const { status, body } = await parties.send(party, { method: 'POST', url, fields, body: form.toString() });
  if (status !== 200) throw new Problem(`the authorization server refused a ${kind} token: ${status} ${body}`);
  return (JSON.parse(body) as { access_token: string }).access_token;
}

/** RFC 7617; ids and secrets here need no form-encoding (RFC 6749 §2.3.1). */
function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
}
