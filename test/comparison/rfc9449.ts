// The twelve checks of RFC 9449 §4.3, written from its text; imports nothing of src/.

import { createHash } from 'node:crypto';
import {
  calculateJwkThumbprint,
  EmbeddedJWK,
  type JWK,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
} from 'jose';

/** The request and the terms by which a proof is judged; times in seconds. */
export interface JudgedRequest {
  readonly method: string;
  readonly uri: string;
  readonly accessToken: string;
  readonly jkt: string;
  readonly algorithms: readonly string[];
  readonly maxAge: number;
  readonly clockTolerance: number;
  readonly now: number;
  /** Nonces that the server provided and still takes. */
  readonly nonces: ReadonlySet<string>;
  readonly nonceRequired: boolean;
}

/** @returns `accepted`, or which check of §4.3 fails: `2/6` for those of the JWS, which jose makes, else its number */
export async function judgeProof(proof: string, request: JudgedRequest): Promise<string> {
  const { algorithms, clockTolerance, now } = request;
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt', // 4
      algorithms: [...algorithms], // 5
      clockTolerance,
      currentDate: new Date(now * 1000),
    });
    return await judgeClaims(payload, protectedHeader, request);
  } catch {
    return '2/6';
  }
}

async function judgeClaims(claims: JWTPayload, header: ProtectedHeaderParameters, request: JudgedRequest) {
  const { jti, iat, htm, htu, ath, nonce } = claims;
  for (const required of [jti, htm, htu, ath]) if (typeof required !== 'string') return '3';
  if (typeof iat !== 'number') return '3';
  const jwk = header.jwk as JWK;
  if (jwk.d !== undefined || jwk.k !== undefined) return '7';
  if (htm !== request.method) return '8';
  if (normalise(String(htu)) !== normalise(request.uri)) return '9';
  const provided = typeof nonce === 'string' && request.nonces.has(nonce);
  if (nonce === undefined ? request.nonceRequired : typeof nonce !== 'string') return '10';
  if (request.nonceRequired && !provided) return '10';
  // "as determined by either the iat claim or a server managed timestamp via the nonce claim"
  const acceptable = iat >= request.now - request.maxAge && iat <= request.now + request.clockTolerance;
  if (!provided && !acceptable) return '11';
  if (ath !== createHash('sha256').update(request.accessToken, 'ascii').digest('base64url')) return '12';
  return (await calculateJwkThumbprint(jwk, 'sha256')) === request.jkt ? 'accepted' : '12';
}

/** RFC 3986 Appendix B takes it apart, §6.2.2 and §6.2.3 normalise it, §5.2.4 removes dot segments; no grammar is checked. */
function normalise(uri: string): string {
  const [, , scheme = '', , authority = '', path = ''] =
    /^(([^:/?#]+):)?(\/\/([^/?#]*))?([^?#]*)(\?([^#]*))?(#([^]*))?$/.exec(uri) ?? [];
  const lower = scheme.toLowerCase();
  const defaultPort = lower === 'https' ? /:(?:443)?$/ : /:(?:80)?$/;
  const host = percent(authority).toLowerCase().replace(defaultPort, '');
  return `${lower}://${host}${withoutDotSegments(percent(path)) || '/'}`;
}

function percent(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (triplet, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[a-z0-9\-._~]/i.test(character) ? character : triplet.toUpperCase();
  });
}

function withoutDotSegments(path: string): string {
  const output: string[] = [];
  const segments = path.split('/');
  for (const [at, segment] of segments.entries()) {
    const last = at === segments.length - 1;
    if (segment === '..' && output.length > 1) output.pop();
    if (segment !== '.' && segment !== '..') output.push(segment);
    else if (last) output.push('');
  }
  return output.join('/');
}
