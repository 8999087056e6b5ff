// One field line of a message, as a name and a value.

/** A header or trailer field (RFC 9110 §5), name and value as they are written. */
export type Field = readonly [name: string, value: string];
