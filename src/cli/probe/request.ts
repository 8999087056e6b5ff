// Requests as the holder of the token sends them, and departures from them.

import { sha256 } from '../../jose/thumbprint.ts';
import type { Credentials, ProbeToken } from './credentials.ts';
import { forge, type ProbeKey, randomId, type Sign } from './forgery.ts';
import type { ProbeSettings } from './settings.ts';
import type { ShownCertificate, WireRequest } from './wire.ts';

export type ProbeField = readonly [name: string, value: string];

/** In what a request differs from the good one; what is left out is good. */
export interface Departure {
  /** Another token, sent as `scheme` says. */
  readonly token?: string;
  readonly scheme?: string;
  /** The whole values of the Authorization lines, instead. */
  readonly authorization?: readonly string[];
  /** The whole values of the DPoP lines, instead. */
  readonly proofs?: readonly string[];
  /** A proof that differs from a good one. */
  readonly proof?: ProofDeparture;
  readonly method?: string;
  /** The request target, byte for byte. */
  readonly target?: string;
  /** The Host lines. */
  readonly hosts?: readonly string[];
  /** Further field lines, before the last one. */
  readonly fields?: readonly ProbeField[];
  /** Lines as they are, CR LF included. */
  readonly raw?: string;
  readonly body?: string;
  /** `none`: no certificate is shown. */
  readonly shown?: ShownCertificate | 'none';
}

/** In what a proof differs from a good one. Members that are undefined are left out of it. */
export interface ProofDeparture {
  readonly key?: ProbeKey;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly sign?: Sign;
}

/** What good requests are made of. */
export interface Holder {
  readonly settings: ProbeSettings;
  readonly credentials: Credentials;
  /** By which the server takes the token. */
  readonly scheme: 'DPoP' | 'Bearer';
  /** Of the server, once it has asked for one. */
  readonly nonce: string | undefined;
  /** `holdfast-probe/…` with a number that no other text has. */
  readonly agent: string;
}

/** @param token by which it is bound; the holder's own by default */
export function makeProbeProof(holder: Holder, { key, header, claims, sign }: ProofDeparture = {}, token?: string) {
  const { settings, credentials, nonce } = holder;
  const by = key ?? credentials.key;
  if (by === undefined) throw new Error('a proof without a key');
  const good = {
    jti: randomId(),
    htm: settings.method,
    htu: settings.origin + settings.path,
    iat: Math.floor(Date.now() / 1000),
    ath: sha256(token ?? credentials.token.text),
    nonce,
  };
  return forge({ typ: 'dpop+jwt', alg: by.alg, jwk: by.jwk, ...header }, { ...good, ...claims }, sign ?? by.sign);
}

/** The bytes of a request, on a connection that ends with it. */
export function makeRequest(holder: Holder, departure: Departure = {}): WireRequest {
  const { settings, credentials, agent } = holder;
  const { method = settings.method, target = settings.path + settings.query, hosts = [settings.host] } = departure;
  const lines = [
    `${method} ${target} HTTP/1.1`,
    ...hosts.map((host) => `Host: ${host}`),
    `User-Agent: ${agent}`,
    'Accept: */*',
    'Accept-Encoding: identity',
    ...credentialFields(holder, departure).map(([name, value]) => `${name}: ${value}`),
    ...(departure.fields ?? []).map(([name, value]) => `${name}: ${value}`),
  ];
  const own = credentials.certificate?.shown;
  return {
    method,
    bytes: `${lines.join('\r\n')}\r\n${departure.raw ?? ''}Connection: close\r\n\r\n${departure.body ?? ''}`,
    shown: departure.shown === 'none' ? undefined : (departure.shown ?? own),
  };
}

function credentialFields(holder: Holder, departure: Departure): readonly ProbeField[] {
  const { key, token } = holder.credentials;
  const { token: text = token.text, scheme = holder.scheme } = departure;
  const authorization = departure.authorization ?? [`${scheme} ${text}`];
  const proves = key !== undefined || departure.proof?.key !== undefined;
  const good = () => [makeProbeProof(holder, departure.proof, text)];
  const proofs = departure.proofs ?? (proves ? good() : []);
  return [
    ...authorization.map((value) => ['Authorization', value] as const),
    ...proofs.map((value) => ['DPoP', value] as const),
  ];
}

/** No credentials at all. */
export const ANONYMOUS: Departure = { authorization: [], proofs: [], shown: 'none' };

/** A second token as its holder would send it. */
export function sendToken({ text }: ProbeToken, key: ProbeKey | undefined): Departure {
  return key === undefined ? { token: text, scheme: 'Bearer', proofs: [] } : { token: text, proof: { key } };
}
