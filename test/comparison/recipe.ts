// A JWS as a recipe in JSON: a good one, and the edits that spoil it.

import type { TestKey } from '../support/tokens.ts';
import { signBytes } from '../support/tokens.ts';

/** Names and raw JSON of their values, in order: what JSON.stringify cannot spell can be spelled here. */
export type Members = readonly (readonly [name: string, json: string])[];

/** Which text an edit is made to: a JSON object before it is encoded and signed, or the finished JWS. */
export type Part = 'header' | 'jwk' | 'claims' | 'cnf';
export type FinishedPart = 'whole' | 'headerText' | 'claimsText' | 'signature';

/** How the spelling of a value is changed, the value itself being base64url. */
export type Respelling = 'padding' | 'space' | 'standard' | 'spare' | 'zero' | 'cut' | 'longer' | 'bit' | 'empty';

export type Edit =
  | { readonly edit: 'set' | 'repeat'; readonly part: Part; readonly member: string; readonly json: string }
  | { readonly edit: 'remove'; readonly part: Part; readonly member: string }
  /** The member's name spelled otherwise: `\u0068tm`, `HTM`. */
  | { readonly edit: 'rename'; readonly part: Part; readonly member: string; readonly name: string }
  /** Base64url strings. */
  | { readonly edit: 'respell'; readonly part: Part; readonly member: string; readonly how: Respelling }
  /** Bytes (Latin-1) put into the JSON text at a place counted modulo its length, before it is encoded and signed. */
  | { readonly edit: 'insert'; readonly part: 'header' | 'claims'; readonly at: number; readonly bytes: string }
  /** After signing. */
  | { readonly edit: 'spoil'; readonly part: FinishedPart; readonly at: number; readonly text: string }
  | { readonly edit: 'respellText'; readonly part: FinishedPart; readonly how: Respelling };

export interface Parts {
  readonly header: Members;
  readonly claims: Members;
}

/** Members with their values as JSON. */
export function membersOf(object: Readonly<Record<string, unknown>>): Members {
  return Object.entries(object).flatMap(([name, value]) =>
    value === undefined ? [] : [[JSON.stringify(name), JSON.stringify(value)] as const],
  );
}

const textOf = (members: Members) => `{${members.map(([name, json]) => `${name}:${json}`).join(',')}}`;

/** Cooks a recipe: edits the parts, signs them with the key and edits the result. */
export async function cook(key: TestKey, parts: Parts, edits: readonly Edit[]): Promise<string> {
  const header = editMembers(editNested(parts.header, edits, 'jwk'), edits, 'header');
  const claims = editMembers(editNested(parts.claims, edits, 'cnf'), edits, 'claims');
  const input = [
    encode(insertBytes(textOf(header), edits, 'header')),
    encode(insertBytes(textOf(claims), edits, 'claims')),
  ];
  const signature = await signBytes(key, Buffer.from(input.join('.')));
  return editFinished([...input, signature.toString('base64url')], edits);
}

const encode = (bytes: Buffer) => bytes.toString('base64url');

/** Edits to an object inside. */
function editNested(members: Members, edits: readonly Edit[], part: 'jwk' | 'cnf'): Members {
  if (!edits.some((edit) => edit.part === part)) return members;
  return members.map(([name, json]) =>
    name === `"${part}"` ? [name, textOf(editMembers(membersOf(JSON.parse(json)), edits, part))] : [name, json],
  );
}

function editMembers(members: Members, edits: readonly Edit[], part: Part): Members {
  let edited = members;
  for (const edit of edits) {
    if (edit.part !== part || !('member' in edit)) continue;
    const name = JSON.stringify(edit.member);
    const rest = edited.filter(([one]) => one !== name);
    if (edit.edit === 'remove') edited = rest;
    else if (edit.edit === 'repeat') edited = [...edited, [name, edit.json]];
    else if (edit.edit === 'set') edited = [...rest, [name, edit.json]];
    else if (edit.edit === 'rename') edited = edited.map(([one, json]) => [one === name ? edit.name : one, json]);
    else if (edit.edit === 'respell')
      edited = edited.map(([one, json]) => [one, one === name ? respellJson(json, edit.how) : json]);
  }
  return edited;
}

function respellJson(json: string, how: Respelling): string {
  const value: unknown = JSON.parse(json);
  return typeof value === 'string' ? JSON.stringify(respell(value, how)) : json;
}

function insertBytes(text: string, edits: readonly Edit[], part: Part): Buffer {
  let bytes = Buffer.from(text);
  for (const edit of edits) {
    if (edit.edit !== 'insert' || edit.part !== part) continue;
    const at = edit.at % (bytes.length + 1);
    bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(edit.bytes, 'latin1'), bytes.subarray(at)]);
  }
  return bytes;
}

function editFinished(texts: readonly string[], edits: readonly Edit[]): string {
  const change = (text: string, part: FinishedPart) =>
    edits.reduce((before, edit) => (edit.part === part ? editText(before, edit) : before), text);
  const [header = '', claims = '', signature = ''] = texts;
  const three = [change(header, 'headerText'), change(claims, 'claimsText'), change(signature, 'signature')];
  return change(three.join('.'), 'whole');
}

function editText(text: string, edit: Edit): string {
  if (edit.edit === 'respellText') return respell(text, edit.how);
  if (edit.edit !== 'spoil') return text;
  const at = edit.at % (text.length + 1);
  return text.slice(0, at) + edit.text + text.slice(at + 1);
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function respell(text: string, how: Respelling): string {
  const bytes = Buffer.from(text, 'base64url');
  if (how === 'padding') return text.padEnd(Math.ceil(text.length / 4) * 4 + (text.length % 4 === 0 ? 4 : 0), '=');
  if (how === 'space') return `${text.slice(0, 2)} ${text.slice(2)}`;
  if (how === 'standard') return text.replaceAll('-', '+').replaceAll('_', '/');
  if (how === 'spare') return text.slice(0, -1) + ALPHABET[ALPHABET.indexOf(text.slice(-1)) ^ 1];
  if (how === 'zero') return encode(Buffer.concat([Buffer.from([0]), bytes]));
  if (how === 'longer') return encode(Buffer.concat([bytes, Buffer.from([1])]));
  if (how === 'cut') return encode(bytes.subarray(1));
  if (how === 'empty') return '';
  return encode(Buffer.from(bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte))));
}
