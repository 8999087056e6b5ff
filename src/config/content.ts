// Contents of files that are written in the place of their names, and are never shown.

/** PEM begins so, and `data:` is a URL with what it stands for (RFC 2397). A file of such a name is written `./data:…`. */
const CONTENT = /^(?:\s*-----BEGIN |data:)/;

/** Stands for content wherever a configuration is shown. */
const HIDDEN = '…';
/** In the place of each character, so that offsets stay; no text has it. */
const FILLER = '\uE000';

/** Whether the value of a key that names a file is its content instead. */
export function isContent(value: string): boolean {
  return CONTENT.test(value);
}

/** The content that a value stands for; undefined: a data URL that is not one. */
export function contentOf(value: string): Buffer | undefined {
  if (!value.startsWith('data:')) return Buffer.from(value, 'utf8');
  const [, base64, data = ''] = /^data:[^,]*?(;base64)?,(.*)$/s.exec(value) ?? [undefined, undefined, undefined];
  if (data === '' && !value.endsWith(',')) return undefined;
  if (base64 === undefined) return percentDecoded(data);
  const bytes = Buffer.from(data, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === data.replace(/=+$/, '') ? bytes : undefined;
}

function percentDecoded(data: string): Buffer | undefined {
  try {
    return Buffer.from(decodeURIComponent(data), 'utf8');
  } catch {
    return undefined; // a % without two hex digits
  }
}

/** PEM up to its end, or to the end of all where that is missing; and data URLs, quoted or up to the next blank. */
const CONTENTS = /-----BEGIN [^]*?(?:-----END [^-\r\n]*-----|$)|(?<![\w-])data:[^\s"']+/g;

/** The same text with fillers in the place of contents; lines and offsets stay. */
export function fillContents(text: string): string {
  return text.includes('-----BEGIN ') || text.includes('data:')
    ? text.replaceAll(CONTENTS, (content) => content.replaceAll(/[^\n]/g, FILLER))
    : text;
}

/** Fillers as one sign. */
export function withoutFillers(text: string): string {
  return text.replaceAll(/\uE000+/g, HIDDEN);
}

/** A text of the configuration as it can be shown. */
export function hideContents(text: string): string {
  return withoutFillers(fillContents(text).replaceAll(/\uE000[\uE000\n]*/g, FILLER));
}
