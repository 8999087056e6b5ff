// User information of URLs, which may be a password, taken out of texts that are shown.

/**
 * `//user:password@` in a text as `//…@`. What is no URL because of a slash, an "@" or a quote in its password is what gets shown most, so
 * that everything up to the last "@" before white space goes.
 */
export function withoutUserinfo(text: string): string {
  return text.replaceAll(/\/\/\S*@/g, '//…@');
}
