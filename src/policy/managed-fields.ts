// Managed fields: names that only the gateway may set, and imitations of them.

import { KNOWN_CERTIFICATE_FIELDS } from '../certificate/formats.ts';
import { squeezeName } from '../http/field.ts';
import type { SignatureRules } from '../signature/message-signature.ts';
import { FOREIGN_FIELDS, FOREIGN_PREFIXES } from './foreign-fields.ts';
import type { FieldStanding, Listener, ManagedFields, Route } from './policy.ts';

/** Clients send few different names, and looking one up again costs a twentieth; names that are longer or too many are not kept. */
const KEPT_NAMES = 500;
const KEPT_LENGTH = 64;

const ALWAYS_MANAGED = [
  'Forwarded',
  'X-Forwarded',
  'X-Real-IP',
  'DPoP',
  // CGI hands it on as HTTP_PROXY, which clients of the upstream obey.
  'Proxy',
  ...FOREIGN_FIELDS,
];

/** Prefixes without separators: how imitations begin. */
const SQUEEZED_PREFIXES = FOREIGN_PREFIXES.map(squeezeName);

/** Free under their own names, which Node's parser judges; `Content_Length` is one more length to a server that follows CGI. */
const FRAMING = ['content-length', 'transfer-encoding'];

/** What signs a request, beside the fields that a route names. */
const SIGNED = ['content-digest', 'signature', 'signature-input'];

/**
 * The fields of which a signed request may have no imitations, by what these have in common with them: an imitation is covered by
 * no signature. On other routes they are fields like any others.
 */
export function signedFields({
  components,
}: Pick<SignatureRules, 'components'>): ReadonlyMap<string, readonly string[]> {
  return Map.groupBy(new Set([...SIGNED, ...components]), squeezeName);
}

/**
 * The names over all routes and listeners: what one route sets must not come from the client on another one that leads to the
 * same upstream; and the field of the request id. Takes names in any case. Does not check that they are field names (config/compile/field.ts).
 */
export function compileManagedFields(
  routes: readonly Pick<Route, 'forward'>[],
  listeners: readonly Pick<Listener, 'clientCertificateFrom'>[],
  requestId?: string,
): ManagedFields {
  const configured = routes.flatMap(({ forward }) => [
    ...forward.identity.map(({ field }) => field),
    ...forward.clientCertificate.map(({ field }) => field),
    ...forward.remove,
    ...(forward.assertion ? [forward.assertion.field] : []),
  ]);
  const sources = listeners.flatMap(({ clientCertificateFrom }) => clientCertificateFrom?.field ?? []);
  const all = [
    ...ALWAYS_MANAGED,
    ...KNOWN_CERTIFICATE_FIELDS,
    ...configured,
    ...sources,
    ...(requestId === undefined ? [] : [requestId]),
  ];
  const names = new Set(all.map((name) => name.toLowerCase()));
  const guarded = new Set(FRAMING);
  return {
    names,
    guarded,
    squeezed: new Set([...names, ...guarded].map(squeezeName)),
    requestId,
    standings: new Map(),
  };
}

/**
 * How a field of the client, or a name in its `Connection`, stands (C6.2, C6.3). `X-Forwarded-` and its like are managed as prefixes. Names
 * with the letters and digits of a managed or guarded one but other separators are forbidden: upstreams that follow CGI (RFC 3875
 * §4.1.18) and its heirs read `Client_Cert` as `Client-Cert`.
 * @param name in any case, a token as Node's parser lets it through
 */
export function checkFieldName(managed: ManagedFields, name: string): FieldStanding {
  const known = managed.standings.get(name);
  if (known !== undefined) return known;
  const standing = compareFieldName(managed, name.toLowerCase());
  if (name.length <= KEPT_LENGTH && managed.standings.size < KEPT_NAMES) managed.standings.set(name, standing);
  return standing;
}

function compareFieldName(managed: ManagedFields, lower: string): FieldStanding {
  if (managed.names.has(lower) || FOREIGN_PREFIXES.some((prefix) => lower.startsWith(prefix))) return 'managed';
  if (managed.guarded.has(lower)) return 'free';
  const squeezed = squeezeName(lower);
  const isImitation = managed.squeezed.has(squeezed) || SQUEEZED_PREFIXES.some((prefix) => squeezed.startsWith(prefix));
  return isImitation ? 'forbidden' : 'free';
}
