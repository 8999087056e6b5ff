// Arbitrary edits of a JWS: values, odd spellings and damage to the text.

import fc from 'fast-check';
import type { Edit, FinishedPart, Part, Respelling } from './recipe.ts';

/** By part and member: values worth trying, as JSON. */
export type Worth = Readonly<Record<Exclude<Part, 'cnf'>, Readonly<Record<string, readonly string[]>>>>;

export const words = (text: string) => text.split(' ');
export const json = (...values: readonly unknown[]) => values.map((value) => JSON.stringify(value));
const ODD = [
  ...json(null, true, false, 0, -1, '', [], {}, 'x', 'x'.repeat(300)),
  '1e999',
  '-1e999',
  '"\\u0000"',
  '1.5',
];

const HOW = ['padding', 'space', 'standard', 'spare', 'zero', 'cut', 'longer', 'bit', 'empty'] as const;
const how = fc.constantFrom<Respelling>(...HOW);
const finished = fc.constantFrom<FinishedPart>('whole', 'headerText', 'claimsText', 'signature');
const text = fc.oneof(
  fc.constantFrom('', '.', '..', '=', ' ', '\n', '+', '/', '-', 'é', 'A', '_', '\u0000', 'A'.repeat(9000)),
  fc.string({ maxLength: 3 }),
);
const bytes = fc.constantFrom(...words(', } " \\ \u00ff \u00ef\u00bb\u00bf \u0000 {} "a":1, ,"a":1 \u00c3\u00a9'), ' ');
const mangled = fc
  .constantFrom('x', 'y', 'n', 'e')
  .chain((member) => fc.record({ part: fc.constant<Part>('jwk'), member: fc.constant(member) }));

/** Every member on its own: missing, and with each value that is worth trying. */
export function singleEdits(worth: Worth): readonly Edit[] {
  return (['header', 'jwk', 'claims'] as const).flatMap((part) =>
    Object.entries(worth[part]).flatMap(([member, values]) => [
      { edit: 'remove' as const, part, member },
      ...[...values, ...ODD].map((json): Edit => ({ edit: 'set', part, member, json })),
    ]),
  );
}

export function editOf(worth: Worth): fc.Arbitrary<Edit> {
  const parts = (['header', 'jwk', 'claims'] as const).filter((part) => Object.keys(worth[part]).length > 0);
  const memberOf = fc
    .constantFrom(...parts)
    .chain((one) => fc.record({ part: fc.constant(one), member: fc.constantFrom(...Object.keys(worth[one])) }));
  const valued = memberOf.chain(({ part, member }) =>
    fc.record({
      part: fc.constant(part),
      member: fc.constant(member),
      json: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(...(worth[part][member] ?? [])) },
        { weight: 2, arbitrary: fc.constantFrom(...ODD) },
        { weight: 1, arbitrary: fc.jsonValue().map((value) => JSON.stringify(value)) },
      ),
    }),
  );
  return fc.oneof(
    { weight: 8, arbitrary: valued.map((one): Edit => ({ edit: 'set', ...one })) },
    { weight: 2, arbitrary: valued.map((one): Edit => ({ edit: 'repeat', ...one })) },
    { weight: 2, arbitrary: memberOf.map((one): Edit => ({ edit: 'remove', ...one })) },
    {
      weight: 2,
      arbitrary: fc.tuple(memberOf, fc.boolean()).map(
        ([one, escaped]): Edit => ({
          edit: 'rename',
          ...one,
          name: escaped
            ? `"\\u00${one.member.charCodeAt(0).toString(16)}${one.member.slice(1)}"`
            : `"${one.member.toUpperCase()}"`,
        }),
      ),
    },
    { weight: 2, arbitrary: fc.tuple(mangled, how).map(([one, how]): Edit => ({ edit: 'respell', ...one, how })) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom('header' as const, 'claims' as const), fc.nat(4000), bytes)
        .map(([part, at, bytes]): Edit => ({ edit: 'insert', part, at, bytes })),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(finished, fc.nat(4000), text)
        .map(([part, at, text]): Edit => ({ edit: 'spoil', part, at, text })),
    },
    { weight: 2, arbitrary: fc.tuple(finished, how).map(([part, how]): Edit => ({ edit: 'respellText', part, how })) },
  );
}
