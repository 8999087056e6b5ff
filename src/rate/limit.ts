// A rate limit as the policy describes it, and whom it counts.

import type { JsonObject } from '../jose/jws.ts';

export type RateKey = 'client' | 'subject' | 'thumbprint' | 'address';

export interface RateLimit {
  readonly name: string;
  readonly key: RateKey;
  /** Seconds that one request takes up. */
  readonly interval: number;
  /** Requests that pass at once after a rest. */
  readonly burst: number;
  /** The same for clients, as whole numbers: requests per `window` seconds, at least `burst`. */
  readonly quota: number;
  readonly window: number;
  /** Counted over all replicas, in their common store; else in the process. */
  readonly shared: boolean;
  /** For people: `100/s, 200 at once, by client`. */
  readonly text: string;
}

/** Who sends a request: verified values only. */
export interface Sender {
  /** Of the token, as configured: one that was asked about its token need not say `iss`. undefined on public routes. */
  readonly issuer: string | undefined;
  /** undefined on public routes. */
  readonly claims: JsonObject | undefined;
  /** Thumbprint of the key or certificate to which the token is bound; undefined: to none. */
  readonly thumbprint: string | undefined;
  /** undefined: not known, as on unix sockets. */
  readonly address: string | undefined;
}

/** As in the default of X-Auth-Client. */
const CLIENT_CLAIMS = ['client_id', 'azp', 'cid', 'appid'];

/** The client of an access token. Takes claims that were verified. @returns undefined: they name none */
export function clientOf(claims: JsonObject): string | undefined {
  return firstText(claims, CLIENT_CLAIMS);
}

function firstText(claims: JsonObject, names: readonly string[]): string | undefined {
  return names.map((name) => claims[name]).find((claim): claim is string => typeof claim === 'string' && claim !== '');
}

/**
 * The text by which requests are counted together. Clients and subjects belong to their issuer; IPv6 addresses count by their
 * /64, of which one host has every address. Whoever lacks what is counted shares one key with all who do, of the same issuer.
 */
export function rateKey(key: RateKey, { issuer = '', claims = {}, thumbprint, address }: Sender): string {
  if (key === 'thumbprint') return `thumbprint ${thumbprint ?? ''}`;
  if (key === 'address') return `address ${address === undefined ? '' : networkOf(address)}`;
  const value = key === 'client' ? clientOf(claims) : firstText(claims, ['sub']);
  // The length keeps issuer and value apart.
  return `${key} ${issuer.length} ${issuer}${value === undefined ? '' : ` ${value}`}`;
}

/**
 * Who counts as one client where something is shared fairly: the subject of its token, else the client that got the token, else its
 * address. Only verified claims say who somebody is; on public routes it is the address.
 */
export function clientKey(sender: Sender): string {
  const { claims } = sender;
  if (typeof claims?.['sub'] === 'string' && claims['sub'] !== '') return rateKey('subject', sender);
  const named =
    claims !== undefined && CLIENT_CLAIMS.some((name) => typeof claims[name] === 'string' && claims[name] !== '');
  return rateKey(named ? 'client' : 'address', sender);
}

/** What counts as one client by its address: IPv4 addresses as they are; of IPv6 ones the first four groups, without leading zeros. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  // An IPv4 address at the end stands for two groups.
  const length = before.length + after.length + (after.at(-1)?.includes('.') ? 1 : 0);
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - length) }, () => '0');
  const groups = [...before, ...zeros, ...after].slice(0, 4);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
