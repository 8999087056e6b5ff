// The signature that a request presents (RFC 9421 §4), read strictly from its fields.

import type { Difference } from '../rejection/difference.ts';
import { type Rejection, reject } from '../rejection/rejection.ts';
import type { Components } from './components.ts';
import { bytesOf, itemsOf, type Member, readDictionary, writeInnerList } from './structured-fields.ts';

/** Signatures of one request, and components of one signature; of more nothing is looked at. */
const MOST_SIGNATURES = 16;
const MOST_COMPONENTS = 64;
/** Characters of a text parameter. */
const LONGEST_PARAMETER = 256;

/** A signature as sent; nothing of it is verified. */
export interface PresentedSignature {
  /** In their order; each once, in lower case, and without parameters. */
  readonly covered: readonly string[];
  /** Seconds since the epoch. */
  readonly created: number;
  readonly expires: number | undefined;
  readonly alg: string | undefined;
  readonly keyid: string | undefined;
  /** The value of `@signature-params` in the signature base. */
  readonly parameters: string;
  readonly bytes: Buffer;
}

/**
 * Reads the one signature that is meant: the one with the tag, or where no tag is asked for the only one. `created` is required,
 * the others may be absent; parameters that nobody knows are signed as they are and say nothing.
 * @param tag undefined: any
 * @returns Rejection: signature_missing, signature_repeated, signature_malformed, signature_component_refused
 * NOT checked: that the components are there.
 */
export function readPresentedSignature(
  components: Components,
  tag: string | undefined,
): PresentedSignature | Rejection {
  const inputField = components.field('signature-input');
  const signatureField = components.field('signature');
  if (inputField === undefined || signatureField === undefined)
    return reject('signature_missing', { what: 'Signature', differs: 'missing' });
  const inputs = readDictionary(inputField);
  const signatures = readDictionary(signatureField);
  if (inputs === undefined || inputs.size > MOST_SIGNATURES) return malformed('Signature-Input');
  if (signatures === undefined) return malformed('Signature');

  const meant = [...inputs].filter(([, member]) => tag === undefined || member[1].get('tag') === tag);
  const [only, another] = meant;
  if (only === undefined) return noneMeant(tag);
  if (another !== undefined) return reject('signature_repeated', { what: 'Signature-Input' });
  return readOne(only[1], signatures.get(only[0]));
}

function noneMeant(tag: string | undefined): Rejection {
  if (tag === undefined) return reject('signature_missing', { what: 'Signature', differs: 'missing' });
  return reject('signature_missing', { what: 'tag', differs: 'missing', expected: tag });
}

function readOne(input: Member, signature: Member | undefined): PresentedSignature | Rejection {
  const items = itemsOf(input);
  const bytes = bytesOf(signature);
  if (items === undefined) return malformed('Signature-Input');
  if (bytes === undefined) return malformed('Signature');
  const [, said] = input;
  const created = said.get('created');
  const expires = said.get('expires');
  if (!isTime(created)) return malformed('created', created === undefined ? 'missing' : 'type');
  if (expires !== undefined && !isTime(expires)) return malformed('expires', 'type');
  for (const name of ['nonce', 'alg', 'keyid', 'tag']) {
    if (!isText(said.get(name))) return malformed(name, 'type');
  }
  const covered = readCovered(items);
  const parameters = writeInnerList(input);
  if (parameters === undefined) return malformed('Signature-Input');
  if (covered === undefined) return reject('signature_component_refused', { what: 'component', differs: 'form' });
  return {
    covered,
    created,
    expires,
    alg: textOf(said.get('alg')),
    keyid: textOf(said.get('keyid')),
    parameters,
    bytes,
  };
}

const malformed = (what: string, differs: Difference = 'form') => reject('signature_malformed', { what, differs });
const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value);
const isText = (value: unknown) =>
  value === undefined || (typeof value === 'string' && value.length <= LONGEST_PARAMETER);
const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined);

/** `sf`, `key`, `bs`, `req` and `tr` (§2.1, §2.4) would have to be undone as the signer did them: none is taken. */
function readCovered(items: readonly Member[]): readonly string[] | undefined {
  const covered = items.map(([name, parameters]) =>
    typeof name === 'string' && name === name.toLowerCase() && parameters.size === 0 ? name : '',
  );
  const isGood = covered.length <= MOST_COMPONENTS && !covered.includes('') && new Set(covered).size === covered.length;
  return isGood ? covered : undefined;
}
