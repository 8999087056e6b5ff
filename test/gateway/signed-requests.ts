// Requests with message signatures for tests of the gateway, and ways to change them.

import { createPrivateKey, KeyObject } from 'node:crypto';
import { ORIGIN, type RequestWishes, type TestGateway } from '../support/gateway.ts';
import { CONTENT_DIGEST, contentDigest, signMessage, type SigningWishes } from '../support/signing.ts';
import { CLIENT, HOLDER, issue, MARK, prove, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

const HOLDER_KEY = KeyObject.from(HOLDER.privateKey);
const CLIENT_KEY = createPrivateKey(CLIENT.key);

type FieldLine = readonly [name: string, value: string];

export interface SignedWishes extends SigningWishes {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  readonly fields?: readonly FieldLine[];
  readonly by?: KeyObject;
  readonly token?: string;
  /** The token is bound to the certificate, and there is no proof. */
  readonly certificate?: boolean;
}

export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly request: RequestWishes;
}

/** A request that is good and signed, unless it is wished otherwise. */
export async function makeSigned(gateway: TestGateway, wishes: SignedWishes = {}): Promise<SignedRequest> {
  const { body, path = `/signed/1?code=${MARK}`, fields: more = [], certificate = false, by, ...others } = wishes;
  const { method = body === undefined ? 'GET' : 'POST', token: given, ...signing } = others;
  const token = given ?? (await issue(gateway, certificate ? TO_CERTIFICATE : TO_KEY));
  const proof = certificate ? undefined : await prove(gateway, token, method, path);
  const isDigested = body === undefined || more.some(([name]) => name === CONTENT_DIGEST);
  const fields = isDigested ? more : [...more, [CONTENT_DIGEST, contentDigest(body)] as const];
  const credentials: FieldLine[] = [['Authorization', `${proof === undefined ? 'Bearer' : 'DPoP'} ${token}`]];
  if (proof !== undefined) credentials.push(['DPoP', proof]);
  const message = { method, url: `${ORIGIN}${path}`, fields: [...credentials, ...fields] };
  // One without a proof that is as old as the gateway may have been used before it.
  const created = certificate ? Math.ceil(gateway.now()) : gateway.now();
  const signature = await signMessage(by ?? (certificate ? CLIENT_KEY : HOLDER_KEY), message, { created, ...signing });
  const request: RequestWishes = {
    token,
    ...(proof === undefined ? { client: CLIENT } : { proof }),
    fields: [...fields, ...signature],
    ...(body !== undefined && { body }),
  };
  return { method, path, request };
}

export type Edit = (request: RequestWishes) => RequestWishes;

/** Sends such a request, changed after it was signed. */
export async function sendSigned(gateway: TestGateway, wishes: SignedWishes = {}, change: Edit = (same) => same) {
  const { method, path, request } = await makeSigned(gateway, wishes);
  return gateway.request(method, path, change(request));
}

/** Changes the value of a field; undefined takes it out. */
export const edit =
  (name: string, change: (value: string) => string | undefined): Edit =>
  (request) => ({
    ...request,
    fields: (request.fields ?? []).flatMap(([one, value]) => {
      const next = one === name ? change(value) : value;
      return next === undefined ? [] : [[one, next] as const];
    }),
  });
