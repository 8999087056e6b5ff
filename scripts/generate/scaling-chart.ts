// docs/scaling.svg: the life of a captured proof, computed by the gateway's own code.

import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';
import { verifyProof } from '../../src/proof/dpop-proof.ts';
import { NonceKeys } from '../../src/proof/nonce.ts';
import { readProofKey } from '../../src/jose/jwk.ts';
import { sha256 } from '../../src/jose/thumbprint.ts';
import { Rejection } from '../../src/rejection/rejection.ts';

const START = 1_800_000_000;
const TOKEN = 'token';
const URI = 'https://api.example.com/orders';
/** The defaults of the contract. */
const RULES = { maxAge: 60, clockTolerance: 15, algorithms: ['ES256'] } as const;
const LIFETIME = 120;
const MODES = ['none', 'on-skew', 'required'] as const;

type Point = readonly [x: number, y: number];

interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

/** The whole picture; the same at every run. */
export async function scalingChart(): Promise<string> {
  const windows = await Promise.all(
    MODES.map(async (mode) => ({ name: `nonce: ${mode}`, points: await windowsOf(mode) })),
  );
  const rates = [30, 120, 600].flatMap((lifetime): Line[] => [
    {
      name: `lifetime ${lifetime < 120 ? `${lifetime} s` : `${lifetime / 60} min`}`,
      points: ratesOf(lifetime, 'in steps'),
    },
  ]);
  rates.push({ name: '2 min, secret replaced at once every 10 min', points: ratesOf(120, 'at once') });
  return draw([
    {
      title:
        'Seconds for which a captured proof passes where its use is unknown, by seconds that the client’s clock is ahead',
      lines: windows,
      x: [-90, 45, 15],
      y: [0, 150, 30],
    },
    {
      title: 'Nonce challenges in 100 requests of a client (nonce: required), by seconds between its requests',
      lines: rates,
      x: [0, 180, 30],
      y: [0, 100, 20],
    },
  ]);
}

/** By real proofs: refused is 0; a challenge is answered with the nonce, as a client does. */
async function windowsOf(mode: (typeof MODES)[number]): Promise<readonly Point[]> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)) };
  const jkt = readProofKey(jwk, 'ES256') ?? '';
  const nonces = new NonceKeys([new Uint8Array(32)], LIFETIME);
  const sign = (iat: number, nonce?: string) =>
    new SignJWT({ jti: 'j', htm: 'GET', htu: URI, ath: sha256(TOKEN), ...(nonce && { nonce }) })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
      .setIssuedAt(iat)
      .sign(privateKey);
  const verify = (proof: string, now: number) =>
    verifyProof(proof, {
      method: 'GET',
      targetUri: URI,
      ath: sha256(TOKEN),
      jkt,
      now,
      nonces,
      rules: { ...RULES, nonce: mode },
      rememberedSince: 0,
      rememberFor: RULES.maxAge + RULES.clockTolerance,
      shorterMemories: [],
      keys: new LRUCache({ max: 1 }),
    });
  const points: Point[] = [];
  for (let ahead = -90; ahead <= 45; ahead += 3) {
    let proof = await sign(START + ahead);
    const first = verify(proof, START);
    if (first instanceof Rejection && first.reason === 'nonce_required')
      proof = await sign(START + ahead, nonces.mint(START));
    let passes = 0;
    while (!(verify(proof, START + passes) instanceof Rejection)) passes += 1;
    points.push([ahead, Math.max(0, passes - 1)]);
  }
  return points;
}

/** One client for six hours, by real nonces: it uses the newest that it was given. */
function ratesOf(lifetime: number, rotation: 'in steps' | 'at once'): readonly Point[] {
  const secret = (nth: number) => new Uint8Array(32).fill(nth % 256);
  const points: Point[] = [];
  for (let pause = 1; pause <= 180; pause += pause < 20 ? 1 : 4) {
    let [challenges, requests, held] = [0, 0, ''];
    for (let at = START; at < START + 6 * 3600; at += pause, requests++) {
      const nth = Math.floor(at / 600);
      // In steps: the secret before is honoured while nonces of it live. @see docs/scaling.md
      const keys = new NonceKeys(rotation === 'in steps' ? [secret(nth), secret(nth - 1)] : [secret(nth)], lifetime);
      const nonce = keys.read(held, at);
      if (nonce === undefined) challenges += 1;
      if (nonce === undefined || at > (nonce.mintedAt + nonce.expiresAt) / 2) held = keys.mint(at);
    }
    points.push([pause, (100 * challenges) / requests]);
  }
  return points;
}

interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
  /** From, to, step. */
  readonly x: readonly [number, number, number];
  readonly y: readonly [number, number, number];
}

const [WIDTH, LEFT, RIGHT, HEIGHT, PLOT] = [860, 50, 840, 330, 210];
const STYLES = ['a', 'b', 'c', 'd'] as const;

function draw(panels: readonly Panel[]): string {
  const height = panels.length * HEIGHT;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">
<style>
svg { background: #fff } text { fill: #222 } path { fill: none; stroke-width: 2 } .g { stroke: #ddd; stroke-width: 1 }
.a { stroke: #2f6f4f } .b { stroke: #b5651d } .c { stroke: #3b5fa8 } .d { stroke: #a83b6f } text.a, text.b, text.c, text.d { stroke: none }
text.a { fill: #2f6f4f } text.b { fill: #b5651d } text.c { fill: #3b5fa8 } text.d { fill: #a83b6f }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117 } text { fill: #ddd } .g { stroke: #333 } .a { stroke: #6fcf97 } .b { stroke: #f2a65a } .c { stroke: #7fa7ff } .d { stroke: #ff8fc0 }
text.a { fill: #6fcf97 } text.b { fill: #f2a65a } text.c { fill: #7fa7ff } text.d { fill: #ff8fc0 }
}
</style>
${panels.map((panel, nth) => drawPanel(panel, nth * HEIGHT)).join('\n')}
</svg>
`;
}

function drawPanel({ title, lines, x: [x0, x1, dx], y: [y0, y1, dy] }: Panel, top: number): string {
  const x = (value: number) => LEFT + ((value - x0) / (x1 - x0)) * (RIGHT - LEFT);
  const bottom = top + 70 + PLOT;
  const y = (value: number) => bottom - ((value - y0) / (y1 - y0)) * PLOT;
  const steps = (from: number, to: number, by: number) =>
    Array.from({ length: Math.round((to - from) / by) + 1 }, (_, nth) => from + nth * by);
  const parts = [
    `<text x="${LEFT}" y="${top + 22}" font-weight="bold" font-size="12">${title}</text>`,
    ...steps(y0, y1, dy).map(
      (value) =>
        `<path class="g" d="M${LEFT} ${y(value)}H${RIGHT}"/><text x="${LEFT - 8}" y="${y(value)}" dy="4" text-anchor="end">${value}</text>`,
    ),
    ...steps(x0, x1, dx).map(
      (value) => `<text x="${x(value).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${value}</text>`,
    ),
    ...lines.map(
      ({ name }, nth) => `<text class="${STYLES[nth]}" x="${LEFT + 170 * nth}" y="${top + 46}">${name}</text>`,
    ),
    ...lines.map(
      ({ points }, nth) =>
        `<path class="${STYLES[nth]}" d="${points.map(([at, value], index) => `${index === 0 ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('')}"/>`,
    ),
  ];
  return parts.join('\n');
}
