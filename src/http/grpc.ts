// gRPC calls and gRPC-Web calls, told by their content type, and the text of a grpc-message.

/** A call, by the content type that its answer has. */
export interface GrpcCall {
  /** `application/grpc`, `application/grpc-web` or `application/grpc-web-text`, with the format of the request's messages. */
  readonly contentType: string;
  /** gRPC-Web: a browser may be reading. */
  readonly web: boolean;
}

interface Message {
  readonly method: string;
  readonly httpVersion: string;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
}

const CONTENT_TYPE = /^application\/grpc(-web(?:-text)?)?(\+[a-z0-9.-]{1,32})?[ \t]*(?:;|$)/i;

/**
 * Whether a request is a gRPC call: POST with one Content-Type of gRPC, over HTTP/2 (PROTOCOL-HTTP2.md), or of gRPC-Web over any
 * version (PROTOCOL-WEB.md). Its client reads the status of the call from fields and not from the HTTP status.
 * NOT checked: the message, and other fields that gRPC demands.
 */
export function readGrpcCall({ method, httpVersion, rawHeaders }: Message): GrpcCall | undefined {
  if (method !== 'POST') return undefined;
  let value: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== 'content-type') continue;
    if (value !== undefined) return undefined;
    value = rawHeaders[at + 1];
  }
  const [found, web = '', format = ''] = CONTENT_TYPE.exec(value ?? '') ?? [];
  if (found === undefined || (web === '' && httpVersion !== '2.0')) return undefined;
  return { contentType: `application/grpc${web}${format}`.toLowerCase(), web: web !== '' };
}

/** A text as `grpc-message` has it: octets other than visible ASCII and blanks, and "%", are percent-encoded (PROTOCOL-HTTP2.md). */
export function grpcMessage(text: string): string {
  return text.replace(/[^ -$&-~]+/gu, (odd) =>
    [...Buffer.from(odd)].map((octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
