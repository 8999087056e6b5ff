// Readers of untrusted text under fuzzing: no exceptions, and linear cost.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ROOT } from '../../scripts/generate.ts';
import { sourceFiles } from '../../scripts/generate/tree-page.ts';
import type { Reader } from './reader.ts';
import { READERS, TRUSTED } from './readers.ts';

/** Random texts per reader: few in `npm test`, many in `npm run test:nightly`. */
const NIGHTLY = process.env['TRIALS'] !== undefined;
const TEXTS = NIGHTLY ? 5000 : 100;

test('every reader in src/ is in this test, or said to get no untrusted text', () => {
  const exported = sourceFiles(ROOT, ['src']).flatMap((path) =>
    [
      ...readFileSync(join(ROOT, path), 'utf8').matchAll(
        /^(?:export (?:async )?function |  (?:async )?)(read(?:[A-Z]\w*)?)\(/gm,
      ),
    ].map(([, name]) => name ?? ''),
  );
  const known = [...Object.keys(READERS), ...Object.keys(TRUSTED)].filter((name) => !name.startsWith('format '));
  // Nonces are read by two classes of one interface; READERS asks both.
  assert.deepEqual([...new Set(exported)].toSorted(), known.toSorted());
});

const character = fc.oneof(
  fc.constantFrom(...' \t\r\n\0"\\%/;,=:.[]{}()-+?#&@!~A0é\u2028\ud800'.split('')),
  fc.constantFrom(
    '%2F',
    '%00',
    '%C0%AE',
    '\\"',
    '\\u0000',
    '://',
    '--',
    '-----',
    '1e999',
    '"a":',
    '{"__proto__":',
    '\ufeff',
  ),
  fc.string({ unit: 'binary', maxLength: 2 }),
);

/** A sample with pieces cut out, put in or repeated; or any text. */
function textsFor({ samples }: Reader): fc.Arbitrary<string> {
  const sample = fc.constantFrom(...samples);
  const spliced = fc
    .tuple(
      sample,
      fc.array(fc.tuple(fc.nat(5000), fc.nat(4), fc.array(character, { maxLength: 3 })), {
        minLength: 1,
        maxLength: 4,
      }),
    )
    .map(([text, splices]) =>
      splices.reduce((before, [at, cut, put]) => {
        const from = at % (before.length + 1);
        return before.slice(0, from) + put.join('') + before.slice(from + cut);
      }, text),
    );
  return fc.oneof(
    { weight: 6, arbitrary: spliced },
    { weight: 1, arbitrary: fc.array(character).map((all) => all.join('')) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    { weight: 1, arbitrary: fc.jsonValue().map((value) => JSON.stringify(value)) },
  );
}

async function readGently({ read, throws }: Reader, text: string): Promise<void> {
  try {
    await read(text);
  } catch (error) {
    if (throws === undefined || !(error instanceof throws)) throw error;
  }
}

describe('no text makes it throw:', () => {
  for (const [name, reader] of Object.entries(READERS)) {
    test(name, async () => {
      for (const sample of reader.samples) await readGently(reader, sample);
      await fc.assert(
        fc.asyncProperty(textsFor(reader), (text) => readGently(reader, text)),
        { numRuns: TEXTS },
      );
    });
  }
});

/** What hostile texts repeat between a sample and an end. */
const UNITS = [
  ...'a A 0 " \\ % %41 %2F %3B/ / ; , = : . - [ { ( + a= a, a; a=b; a="b", {"a": "a":1, "a", [{ &access_token é'.split(
    ' ',
  ),
  ' ',
  '\t',
  '\n',
  'AAAA\n',
  '0\r\n',
  '-----BEGIN CERTIFICATE-----',
];
const ENDS = NIGHTLY ? ['', '!', '\n', '"'] : ['\n'];
const SIZES = [16, 64, ...(NIGHTLY ? [256] : [])].map((kibibytes) => kibibytes * 1024);

/** From one size to the next linear cost grows by 4, quadratic cost by 16. */
const GROWTH = 10;
/** Milliseconds up to which a smaller size says nothing about the larger one. */
const NOISE = 3;
/** Milliseconds for the smallest size under which even quadratic cost is harmless at the larger ones. */
const HARMLESS = NIGHTLY ? 0.05 : 0.25;

const hostile = (sample: string, unit: string, end: string, size: number) =>
  sample.slice(0, size) + unit.repeat(Math.max(0, Math.ceil((size - sample.length) / unit.length))) + end;

/** Milliseconds by which the system's account of processor time may lag behind. */
const TICK = 4;

/** Milliseconds, at most: by the clock or by this thread's processor, of which other work on the machine takes nothing. */
async function cost(reader: Reader, text: string): Promise<number> {
  const started = performance.now();
  const before = process.threadCpuUsage();
  await readGently(reader, text);
  const { user, system } = process.threadCpuUsage(before);
  return Math.min(performance.now() - started, (user + system) / 1000 + TICK);
}

/** Of some runs the first that is within the bound, else the last. */
async function costWithin(bound: number, reader: Reader, text: string): Promise<number> {
  let took = await cost(reader, text);
  for (let again = 0; again < 4 && took > bound; again++) took = await cost(reader, text);
  return took;
}

async function assertLinear(reader: Reader, sample: string, unit: string, end: string): Promise<void> {
  let smaller = 0;
  for (const size of SIZES) {
    const bound = GROWTH * Math.max(smaller, NOISE);
    const larger = await costWithin(bound, reader, hostile(sample, unit, end, size));
    const what = JSON.stringify([sample.slice(0, 40), unit, end]);
    assert.ok(larger <= bound, `${size / 1024} KiB of ${what} took ${larger} ms, a quarter of it ${smaller} ms`);
    if (larger < HARMLESS) return;
    smaller = larger;
  }
}

describe(`its cost grows no faster than the text, up to ${SIZES.at(-1)! / 1024} KiB:`, () => {
  for (const [name, reader] of Object.entries(READERS)) {
    if (reader.trusted) continue;
    test(name, async () => {
      for (const sample of new Set(['', ...reader.samples])) {
        for (const unit of UNITS) for (const end of ENDS) await assertLinear(reader, sample, unit, end);
      }
    });
  }
});
