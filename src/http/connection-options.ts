// The options of a Connection field (RFC 9110 §7.6.1).

/**
 * The options that all lines of the field name together, in lower case: `close`, `keep-alive`, and names of fields that end here.
 * @param value of the lines, joined by commas; '': there is none
 * NOT checked: that they are tokens.
 */
export function connectionOptions(value: string): ReadonlySet<string> {
  return new Set(value.split(',').map((option) => option.trim().toLowerCase()));
}
