// The gRPC statuses of refusals, by their HTTP statuses.

/** Codes of gRPC that refusals use, by the names of its status codes. */
export const GRPC_CODES = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;
export type GrpcStatus = keyof typeof GRPC_CODES;

/**
 * The gRPC status that says what an HTTP status says: the mapping of google.rpc.Code, and for statuses that it leaves out the nearest.
 * 404 is UNIMPLEMENTED as in gRPC's own mapping (http-grpc-status-mapping.md): nothing is there, and no object is meant (decision 110).
 * 504 is DEADLINE_EXCEEDED and not UNAVAILABLE, which clients send again: the upstream may have done what it was asked (decision 72).
 */
export const GRPC_STATUS = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'UNIMPLEMENTED',
  405: 'UNIMPLEMENTED',
  408: 'DEADLINE_EXCEEDED',
  413: 'RESOURCE_EXHAUSTED',
  414: 'INVALID_ARGUMENT',
  417: 'INVALID_ARGUMENT',
  421: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  431: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
} as const satisfies Record<number, GrpcStatus>;
export type HttpStatus = keyof typeof GRPC_STATUS;
