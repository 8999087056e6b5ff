// The protobuf messages of ext_authz and gRPC health: the fields read and written.

import protobuf from 'protobufjs/light.js';

/** HeaderValue (envoy.config.core.v3); Envoy fills `rawValue` with encode_raw_headers, `value` without. */
export interface HeaderValue {
  readonly key: string;
  readonly value?: string;
  readonly rawValue?: Uint8Array;
}

/** AttributeContext (envoy.service.auth.v3), as far as it is read; what the front leaves out is undefined. */
export interface CheckRequest {
  readonly attributes?: {
    readonly source?: {
      readonly address?: { readonly socketAddress?: { readonly address?: string } };
      /** Percent-encoded PEM of the client's certificate, with include_peer_certificate. */
      readonly certificate?: string;
    };
    readonly request?: {
      readonly http?: {
        readonly method?: string;
        readonly headers?: Readonly<Record<string, string>>;
        readonly path?: string;
        readonly host?: string;
        readonly scheme?: string;
        readonly headerMap?: { readonly headers?: readonly HeaderValue[] };
      };
    };
  };
}

/** HeaderValueOption; `append` false: replaces what is there. */
export interface HeaderOption {
  readonly header: HeaderValue;
  readonly append: { readonly value: boolean };
}

/** CheckResponse with a DeniedHttpResponse. */
export interface Denial {
  /** google.rpc.Status: anything but 0. */
  readonly status: { readonly code: number };
  readonly deniedResponse: {
    readonly status: { readonly code: number };
    readonly headers: readonly HeaderOption[];
    readonly body: string;
  };
}

/** OkHttpResponse. */
export interface OkResponse {
  readonly headers: readonly HeaderOption[];
  readonly headersToRemove: readonly string[];
  readonly responseHeadersToAdd: readonly HeaderOption[];
}

const field = (id: number, type: string) => ({ id, type });
const many = (id: number, type: string) => ({ id, type, rule: 'repeated' });

const ROOT = protobuf.Root.fromJSON({
  nested: {
    BoolValue: { fields: { value: field(1, 'bool') } },
    HeaderValue: { fields: { key: field(1, 'string'), value: field(2, 'string'), rawValue: field(3, 'bytes') } },
    HeaderMap: { fields: { headers: many(1, 'HeaderValue') } },
    HeaderOption: { fields: { header: field(1, 'HeaderValue'), append: field(2, 'BoolValue') } },
    Status: { fields: { code: field(1, 'int32') } },
    SocketAddress: { fields: { address: field(2, 'string') } },
    Address: { fields: { socketAddress: field(1, 'SocketAddress') } },
    Peer: { fields: { address: field(1, 'Address'), certificate: field(5, 'string') } },
    HttpRequest: {
      fields: {
        method: field(2, 'string'),
        headers: { id: 3, type: 'string', keyType: 'string' } as protobuf.IMapField,
        path: field(4, 'string'),
        host: field(5, 'string'),
        scheme: field(6, 'string'),
        headerMap: field(13, 'HeaderMap'),
      },
    },
    Request: { fields: { http: field(2, 'HttpRequest') } },
    Attributes: { fields: { source: field(1, 'Peer'), request: field(4, 'Request') } },
    CheckRequest: { fields: { attributes: field(1, 'Attributes') } },
    Denied: { fields: { status: field(1, 'Status'), headers: many(2, 'HeaderOption'), body: field(3, 'string') } },
    Ok: {
      fields: {
        headers: many(2, 'HeaderOption'),
        headersToRemove: many(5, 'string'),
        responseHeadersToAdd: many(6, 'HeaderOption'),
      },
    },
    CheckResponse: {
      // On the wire a message is its bytes: a permit is put together from two pieces, of which one is always the same.
      fields: { status: field(1, 'Status'), deniedResponse: field(2, 'Denied'), okResponse: field(3, 'bytes') },
    },
    HealthCheckResponse: { fields: { status: field(1, 'int32') } },
  },
});

const CHECK_REQUEST = ROOT.lookupType('CheckRequest');
const CHECK_RESPONSE = ROOT.lookupType('CheckResponse');
const OK = ROOT.lookupType('Ok');

/** google.rpc.Status. */
const PERMITTED = { code: 0 };

/** @returns undefined: not such a message */
export function readCheckRequest(bytes: Uint8Array): CheckRequest | undefined {
  try {
    return CHECK_REQUEST.decode(bytes) as unknown as CheckRequest;
  } catch {
    return undefined;
  }
}

export function writeDenial(denial: Denial): Uint8Array {
  return CHECK_RESPONSE.encode(denial).finish();
}

/** `headersToRemove` by array, encoded: it is most of a permit, and the same in all of a listener. */
const encoded = new WeakMap<readonly string[], Uint8Array>();

/** @param removeAlways more names to remove; the same array in every permit of a listener */
export function writePermit(ok: OkResponse, removeAlways: readonly string[]): Uint8Array {
  let constant = encoded.get(removeAlways);
  if (constant === undefined)
    encoded.set(removeAlways, (constant = OK.encode({ headersToRemove: removeAlways }).finish()));
  const okResponse = Buffer.concat([OK.encode(ok).finish(), constant]);
  return CHECK_RESPONSE.encode({ status: PERMITTED, okResponse }).finish();
}

/** HealthCheckResponse with SERVING. */
export function writeHealth(): Uint8Array {
  const type = ROOT.lookupType('HealthCheckResponse');
  return type.encode(type.create({ status: 1 })).finish();
}
