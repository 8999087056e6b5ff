// JSON whose numbers keep their exact value (RFC 8259 §6), or become NaN.

import { randomUUID } from 'node:crypto';

/**
 * A number with 16 digits or more or with an exponent, or a text that looks like one: all that a double may change. Everything
 * else takes the fast way.
 */
const LONG_NUMBER = /[:,[]\s*-?\d(?:[\d.]{15}|[\d.]*[eE])/;
/** Digits that a double keeps in any case. */
const SHORT = 15;
/** No integer of 256 bits is longer, and the cost of reading one grows with the square of its length. */
const LONGEST = 100;
/** They are compared with a clock and name nobody, and some clients write them with nanoseconds. */
const TIMES = ['exp', 'nbf', 'iat', 'auth_time'];
/** Begins the strings that stand in for numbers; random, so that no sender can write one. */
const MARK = randomUUID();

/**
 * Parses JSON. An integer beyond 2^53 becomes a bigint, and any other number that a double would change becomes NaN, which no check
 * accepts; times at the top level (`exp`, `nbf`, `iat`, `auth_time`) stay doubles
 * (docs/decisions/0077-numbers-that-a-double-cannot-hold.md). Takes time linear in the length of the text, whatever is in it.
 * @throws SyntaxError
 * NOT checked: repeated members (jws.ts).
 */
export function parseJson(text: string): unknown {
  const rounded: unknown = JSON.parse(text);
  if (typeof rounded !== 'object' || rounded === null || !LONG_NUMBER.test(text)) return rounded;
  const exact = JSON.parse(markNumbers(text)) as object;
  restoreNumbers(exact);
  for (const name of TIMES) {
    const time: unknown = Object.hasOwn(rounded, name) ? Reflect.get(rounded, name) : undefined;
    if (typeof time === 'number' && Object.hasOwn(exact, name)) Reflect.set(exact, name, time);
  }
  return exact;
}

/** Valid JSON with each number that a double may change as a marked string. */
function markNumbers(text: string): string {
  const pieces: string[] = [];
  let taken = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) inString = !inString;
    else if (code === 0x5c) at++;
    else if (!inString && (code === 0x2d || isDigit(code))) {
      const end = endOfNumber(text, at);
      if (end - at > SHORT || (end - at > 2 && /[eE]/.test(text.slice(at, end)))) {
        pieces.push(text.slice(taken, at), `"${MARK}${text.slice(at, end)}"`);
        taken = end;
      }
      at = end - 1;
    }
  }
  return pieces.join('') + text.slice(taken);
}

const isDigit = (code: number) => code >= 0x30 && code <= 0x39;

/** Past digits, `.`, `e`, `E`, `+` and `-`: in valid JSON nothing but a number has them outside of strings. */
function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  for (let code = text.charCodeAt(end); isDigit(code) || IN_NUMBERS.has(code); code = text.charCodeAt(end)) end += 1;
  return end;
}

const IN_NUMBERS: ReadonlySet<number> = new Set([0x2e, 0x65, 0x45, 0x2b, 0x2d]);

function restoreNumbers(root: object): void {
  const open: object[] = [root];
  for (let holder = open.pop(); holder !== undefined; holder = open.pop()) {
    for (const name of Object.keys(holder)) {
      const value: unknown = Reflect.get(holder, name);
      if (typeof value === 'object' && value !== null) open.push(value);
      else if (typeof value === 'string' && value.startsWith(MARK)) {
        // `__proto__` is a member like any other here, and assigning to it would not keep it one.
        Object.defineProperty(holder, name, { value: readNumber(value.slice(MARK.length)) });
      }
    }
  }
}

function readNumber(source: string): number | bigint {
  const value = Number(source);
  if (source.length > LONGEST) return Number.NaN;
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source);
  return isExact(source) ? value : Number.NaN;
}

/**
 * Whether a double holds the number that a text of JSON's grammar means, or would change it into another one.
 * @param source at most a hundred characters count
 */
export function isExact(source: string): boolean {
  return source.length <= LONGEST && decimal(source) === decimal(String(Number(source)));
}

/** One spelling for each decimal number: `-12.50e3` and `-12500` → `-125e2`. */
function decimal(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}
