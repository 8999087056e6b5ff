// Servers with one fault each: the probe finds that fault, and no other.

import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify, type webcrypto } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { boundToken, HOLDER, runProbe, serve } from './probing.ts';

/** A request with one proof, taken apart; nothing of it is checked yet. */
interface Taken {
  readonly request: IncomingMessage;
  readonly origin: string;
  readonly token: string;
  /** Of all DPoP lines. */
  readonly proofs: readonly string[];
  readonly text: string;
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly used: Set<string>;
}

type Check = (taken: Taken) => boolean | Promise<boolean>;

const now = () => Date.now() / 1000;
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url');
const targetOf = ({ request, origin }: Taken) => origin + (request.url ?? '');
const remember = ({ used }: Taken, id: string) => !used.has(id) && used.add(id) !== undefined;

function isSigned({ text, header }: Taken): boolean {
  const at = text.lastIndexOf('.');
  const { kty, crv, x, y } = header['jwk'] as webcrypto.JsonWebKey;
  const key = createPublicKey({ key: { kty, crv, x, y } as webcrypto.JsonWebKey, format: 'jwk' });
  const signature = Buffer.from(text.slice(at + 1), 'base64url');
  return verify('sha256', Buffer.from(text.slice(0, at)), { key, dsaEncoding: 'ieee-p1363' }, signature);
}

function thumbprint({ header }: Taken): string {
  const { crv, kty, x, y } = header['jwk'] as Record<string, unknown>;
  return sha256(JSON.stringify({ crv, kty, x, y }));
}

/** RFC 9449 §4.3, in its order; the last one remembers. */
const CHECKS = {
  one: ({ proofs }) => proofs.length === 1 && !proofs[0]?.includes(','),
  jti: ({ claims }) => typeof claims['jti'] === 'string',
  crit: ({ header }) => header['crit'] === undefined,
  typ: ({ header }) => header['typ'] === 'dpop+jwt',
  alg: ({ header }) => header['alg'] === 'ES256',
  signature: isSigned,
  private: ({ header }) =>
    (header['jwk'] as object | undefined) !== undefined && !Object.hasOwn(header['jwk'] as object, 'd'),
  htm: ({ claims, request }) => claims['htm'] === request.method,
  htu: (taken) => taken.claims['htu'] === targetOf(taken),
  iat: ({ claims }) => Math.abs(Number(claims['iat']) - now()) < 60,
  ath: ({ claims, token }) => claims['ath'] === sha256(token),
  key: (taken) => thumbprint(taken) === HOLDER.jkt,
  replay: (taken) => remember(taken, String(taken.claims['jti'])),
} satisfies Record<string, Check>;
type Name = keyof typeof CHECKS;

const ABSENT: Check = () => true;
const path = (text: string) => new URL(text, 'http://elsewhere.invalid').pathname;
const hostOf = (host: string | undefined, { request, origin }: Taken) =>
  (host === undefined ? origin : `https://${host}`) + (request.url ?? '');
const FORWARDED = ['relay-forwarded-host', 'relay-forwarded'];

/** What a server does instead of a check, and the attacks that get in by that. */
const FAULTS: Readonly<Record<string, readonly [check: Name, instead: Check, found: readonly string[]]>> = {
  'takes the first of several proofs': ['one', ABSENT, ['two-proofs', 'two-proofs-one-line']],
  'does not look for jti': ['jti', ABSENT, ['proof-no-jti']],
  'passes over crit': ['crit', ABSENT, ['proof-crit']],
  'does not look at typ': ['typ', ABSENT, ['proof-typ', 'proof-no-typ']],
  'takes a JWT for a proof': ['typ', ({ header }) => header['typ'] !== undefined, ['proof-typ']],
  'does not verify the signature': [
    'signature',
    ABSENT,
    ['proof-signed-by-thief', 'proof-signature', 'proof-unsigned'],
  ],
  'takes a private key': ['private', ABSENT, ['proof-private-jwk']],
  'does not compare htm': ['htm', ABSENT, ['proof-htm', 'proof-htm-case', 'proof-no-htm']],
  'compares htm without case': [
    'htm',
    ({ claims, request }) => String(claims['htm']).toUpperCase() === request.method,
    ['proof-htm-case'],
  ],
  'compares the path of htu alone': [
    'htu',
    (taken) => path(String(taken.claims['htu'])) === path(targetOf(taken)),
    ['proof-htu-host', 'proof-htu-prefix', 'proof-htu-scheme', 'proof-htu-relative', 'relay-host', ...FORWARDED],
  ],
  'takes what begins like its origin for htu': [
    'htu',
    ({ claims, origin }) => String(claims['htu']).startsWith(origin),
    ['proof-htu-path', 'proof-htu-prefix'],
  ],
  'believes Host': [
    'htu',
    (taken) => {
      const { host = '' } = taken.request.headers;
      return taken.claims['htu'] === (host.startsWith('127.') ? targetOf(taken) : hostOf(host, taken));
    },
    ['relay-host'],
  ],
  'believes X-Forwarded-Host of anyone': [
    'htu',
    (taken) => taken.claims['htu'] === hostOf(taken.request.headers['x-forwarded-host']?.toString(), taken),
    ['relay-forwarded-host'],
  ],
  'believes Forwarded of anyone': [
    'htu',
    (taken) => taken.claims['htu'] === hostOf(/host=([^;]+)/.exec(taken.request.headers.forwarded ?? '')?.[1], taken),
    ['relay-forwarded'],
  ],
  'does not look at iat': ['iat', ABSENT, ['proof-no-iat', 'proof-old', 'proof-future']],
  'takes proofs from the future': ['iat', ({ claims }) => Number(claims['iat']) > now() - 60, ['proof-future']],
  'compares ath where it is there': [
    'ath',
    ({ claims, token }) => claims['ath'] === undefined || claims['ath'] === sha256(token),
    ['proof-no-ath'],
  ],
  'does not compare ath': ['ath', ABSENT, ['proof-no-ath', 'proof-ath']],
  'does not compare the key with cnf': ['key', ABSENT, ['proof-other-key']],
  'remembers no proof': ['replay', ABSENT, ['replay', 'replay-respelled', 'replay-race']],
  'remembers the text of proofs': ['replay', (taken) => remember(taken, taken.text), ['replay-respelled']],
  'looks, and remembers later': [
    'replay',
    async ({ used, claims }) => {
      const isNew = !used.has(String(claims['jti']));
      // As long as another request needs to get here.
      for (let turns = 0; turns < 200; turns++) await turn();
      used.add(String(claims['jti']));
      return isNew;
    },
    ['replay-race'],
  ],
};

function take(request: IncomingMessage, origin: string, used: Set<string>): Taken | undefined {
  const proofs = request.rawHeaders.filter((_, at) => at % 2 === 1 && request.rawHeaders[at - 1] === 'DPoP');
  const [scheme = '', token = ''] = (request.headers.authorization ?? '').split(' ');
  const text = proofs[0]?.split(',')[0] ?? '';
  const [header = {}, claims = {}] = text.split('.', 2).map((part) => {
    try {
      return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
    } catch {
      return undefined; // Not a JWT: no check can pass.
    }
  });
  return scheme === 'DPoP' ? { request, origin, token, proofs, text, header, claims, used } : undefined;
}

async function isGood(taken: Taken, checks: Readonly<Record<Name, Check>>): Promise<boolean> {
  try {
    for (const check of Object.values(checks)) if (!(await check(taken))) return false;
    return true;
  } catch {
    return false; // A member of the wrong type.
  }
}

describe('a server that', () => {
  const server = async (t: Parameters<typeof serve>[0], checks: Readonly<Record<Name, Check>>) => {
    const used = new Set<string>();
    const served = await serve(t, (request, response) => {
      const taken = take(request, new URL(served.url).origin, used);
      void (taken === undefined ? Promise.resolve(false) : isGood(taken, checks)).then((good) => {
        if (!good) response.writeHead(401, { 'WWW-Authenticate': 'DPoP error="invalid_dpop_proof"' });
        response.end(good ? 'order' : '');
      });
    });
    return served.url;
  };
  const find = async (t: Parameters<typeof serve>[0], checks: Readonly<Record<Name, Check>>) => {
    const { options } = await boundToken(t);
    const ran = await runProbe(await server(t, checks), { ...options, only: 'proof,replay' });
    assert.equal(ran.report.stopped, null);
    return ran.ids('not_held');
  };

  test('makes all checks holds all', async (t) => {
    assert.deepEqual(await find(t, CHECKS), []);
  });

  for (const [fault, [check, instead, found]] of Object.entries(FAULTS)) {
    test(fault, async (t) => {
      assert.deepEqual(await find(t, { ...CHECKS, [check]: instead }), found);
    });
  }

  test('every check has a fault of which the probe knows', () => {
    const known = new Set(Object.values(FAULTS).map(([check]) => check));
    assert.deepEqual(
      Object.keys(CHECKS).filter((name) => !known.has(name as Name)),
      ['alg'],
    );
  });
});
