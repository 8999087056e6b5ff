// Declaration of the keys of a listener: where and how clients connect.

import * as z from 'zod';
import { CERTIFICATE_FORMATS, type CertificateFormat } from '../../certificate/formats.ts';
import {
  automatic,
  bind,
  choice,
  choiceOrNone,
  count,
  duration,
  field,
  file,
  flag,
  list,
  name,
  orNone,
  size,
  sizeOrNone,
  text,
} from './values.ts';

const AN_ORIGIN = 'an origin such as https://api.example.com, "https://*.example.com" or "https://*"';

/** Of a listener; `*` is a host, and a port of it. */
const origin = text(AN_ORIGIN, /^https?:\/\/[^\s/?#@\\]+(\/[^\s?#\\]*)?$/).refine(
  (value) => URL.canParse(value.replace('://*:*', '://*')),
  AN_ORIGIN,
);

const sniHost = text(
  'a host such as api.example.com, "*.example.com" or "**.example.com"',
  /^(?:\*{1,2}\.)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/,
).transform((written) => written.toLowerCase());

const tls = z.strictObject({
  certificates: list(
    z.strictObject({
      cert: file.describe('PEM file: the certificate, then its intermediates.'),
      key_file: file.describe('PEM file with its private key.'),
      names: list(sniHost, 'hosts')
        .optional()
        .describe(
          'For which names of SNI it is chosen, before certificates without this key. Absent: its own names. For certificates of others, who could name any host in theirs.',
        ),
    }),
    '{ cert, key_file }',
  ).describe("Chosen by SNI from the certificates' own names; the first is the default."),
  profile: choice('modern', 'intermediate', 'fapi')
    .prefault('intermediate')
    .describe(
      'modern: TLS 1.3 alone. intermediate: TLS 1.2 too, with forward secrecy and authenticated encryption (RFC 9325). ' +
        'fapi: as intermediate, but TLS 1.2 with AES-GCM alone, as FAPI 1.0 Advanced and FAPI 2.0 demand.',
    ),
  min_version: choice('TLSv1.2', 'TLSv1.3')
    .optional()
    .describe('Lowest TLS version accepted. Absent: that of the profile.'),
  sni_hosts: list(sniHost, 'hosts', 0)
    .prefault([])
    .describe(
      'Hosts that have separate connections: where the host of a request fits another of these best than SNI does, the answer is 421, and the ' +
        'client opens a connection for it (RFC 9110 §15.5.20). Clients without SNI, and what a trusted peer passes on, are not compared.',
    ),
});

const clientCertificate = z.strictObject({
  request: choiceOrNone('optional', 'required')
    .prefault('none')
    .describe('Whether clients are asked for a certificate; none where browsers come: they would show a prompt.'),
  verify: choice('chain', 'possession')
    .prefault('chain')
    .describe(
      'chain: issued by a CA of ca_file (RFC 8705 §2.1). possession: any certificate proves its own key (§2.2).',
    ),
  ca_file: file.optional().describe('PEM file with the CAs of clients and of trusted peers.'),
  crl_file: file.optional().describe('PEM file with revocation lists; an expired one refuses.'),
});

const trustedPeer = z
  .strictObject({
    cidr: z
      .union([z.cidrv4(), z.cidrv6()], 'an address range such as 10.0.0.0/8; one address is 10.0.0.1/32')
      .optional()
      .describe('Address range of the peer.'),
    certificate_san: text('a name in the certificate, such as lb.internal')
      .optional()
      .describe("A subject alternative name of the peer's own certificate."),
    forwarding: choice('x-forwarded', 'forwarded')
      .optional()
      .describe(
        'The fields in which it says who called it: X-Forwarded-For, -Host and -Proto, or Forwarded. The others are removed. Absent: a ' +
          'request with both must say the same in both; in mode decide the former count.',
      ),
  })
  .refine((peer) => peer.cidr !== undefined || peer.certificate_san !== undefined, 'cidr, certificate_san or both');

const certificateSource = z.strictObject({
  format: choice(...(Object.keys(CERTIFICATE_FORMATS) as [CertificateFormat, ...CertificateFormat[]])).describe(
    'How the peer writes the certificate.',
  ),
  field: field.optional().describe(
    `The field in which it comes. Absent: ${Object.entries(CERTIFICATE_FORMATS)
      .map(([format, row]) => `${row.field} (${format})`)
      .join(', ')}.`,
  ),
  element: z
    .union([z.enum(['only', 'last']), count(2, 10)], 'only, last, or a whole number from 2 to 10')
    .optional()
    .describe(
      'Of xfcc: which element is the client, where several proxies add one each. only (the default): there must be one. ' +
        'A number: the first of exactly that many, so 2 behind an Istio gateway and a sidecar; fewer mean that the client ' +
        'showed no certificate, more are refused. last: the one that the peer itself added.',
    ),
});

/** Limits of requests; routes have them too (route.ts). */
export const requestLimits = {
  request_body: sizeOrNone.describe('The body of a request; none: unlimited.'),
  upload_rate: sizeOrNone.describe(
    'Of a body with a length, what a client must send per second on average; none: any.',
  ),
  download_rate: sizeOrNone.describe('Of an answer that waits for it, what a client must take per second; none: any.'),
  rate_grace: duration().describe('How long a client may send or take nothing before its rate counts.'),
};

const limits = z.strictObject({
  header_size: size.prefault('32KiB').describe('All field lines of a request together.'),
  url_length: size.prefault('8KiB').describe('The request target.'),
  request_body: requestLimits.request_body.prefault('10MiB'),
  upload_rate: requestLimits.upload_rate.prefault('512B'),
  download_rate: requestLimits.download_rate.prefault('512B'),
  rate_grace: requestLimits.rate_grace.prefault('10s'),
  connections: automatic(1, 1_000_000)
    .prefault('auto')
    .describe(
      'Open connections, per worker; the client with the most makes room where all are taken. auto: as many as fit into half of the free memory, at most 10000.',
    ),
  streams_per_connection: count(1, 100_000).prefault(100).describe('HTTP/2 streams open at once on one connection.'),
  header_timeout: duration().prefault('10s').describe('From the first byte of a request to its last field line.'),
  idle_timeout: duration().prefault('75s').describe('A connection without a request.'),
});

export const listener = z.strictObject({
  name: name.describe('What routes call this listener.'),
  bind: bind.describe('host:port, "[::]:8443" or unix:/run/holdfast.sock.'),
  mode: choice('proxy', 'decide')
    .prefault('proxy')
    .describe('proxy forwards; decide answers another proxy about a request that it describes, and forwards nothing.'),
  dialect: choice('forwarded', 'envoy-http', 'envoy-grpc')
    .optional()
    .describe(
      'With mode decide, how the other proxy asks. forwarded: nginx auth_request, Caddy forward_auth, Traefik ForwardAuth ' +
        '(X-Forwarded-Method, -Proto, -Host and -Uri). envoy-http: ext_authz over HTTP, Gateway API ExternalAuth. envoy-grpc: ext_authz over gRPC (envoy.service.auth.v3).',
    ),
  path_prefix: text('a path such as /decide, without a slash at its end', /^(?:\/[A-Za-z0-9._~-]+)+$/)
    .optional()
    .describe('With dialect envoy-http: what the other proxy puts in front of the path.'),
  origins: list(origin, 'origins such as https://api.example.com', 0)
    .prefault([])
    .describe(
      'How clients call this listener: the Host of a request must be that of one of them, and the htu of a proof must name that very one. ' +
        'May end in the path prefix that a proxy in front strips. "https://*.example.com" is one label below example.com, "https://**.example.com" any number of ' +
        'them, "https://*" any host, "https://*:8443" with that port and "https://*:*" with any; what the request says counts as its origin then, so routes that are ' +
        'not public name their hosts on such a listener. Required wherever a route that is not public can be reached.',
    ),
  fall_through: flag()
    .prefault(false)
    .describe(
      'Where a host and path have routes and none of them takes the method, fields and query of a request, the next less specific path ' +
        'of the same host is looked at, in the end 404, as the Gateway API has it; false: the most specific path is final. Leaving it ' +
        'leads from what a stricter route demands to what a weaker one does: see the warnings of check.',
    ),
  tls: tls.optional().describe('Absent: plain HTTP, for loopback and unix sockets only, or with insecure_plain_http.'),
  insecure_plain_http: flag().prefault(false).describe('Tokens may cross the network in the clear on this listener.'),
  http2: flag().prefault(true).describe('Offer HTTP/2.'),
  client_certificate: clientCertificate.prefault({}).describe("Clients' certificates on TLS connections."),
  trusted_peers: list(trustedPeer, '{ cidr, certificate_san }', 0)
    .prefault([])
    .describe('Whose Forwarded, X-Forwarded-*, certificate fields and PROXY headers are believed; empty: none.'),
  insecure_trusted_peers: flag()
    .prefault(false)
    .describe(
      'The ranges of trusted_peers may be a large part of all addresses: nearly anybody chooses origin, address and certificate.',
    ),
  client_certificate_from: orNone(certificateSource, '{ format, field }')
    .prefault('none')
    .describe("Where a trusted peer that terminated TLS put the client's certificate."),
  proxy_protocol: choiceOrNone('required').prefault('none').describe('PROXY protocol v1 and v2 from trusted peers.'),
  interaction_id: orNone(field, 'a field name such as X-FAPI-Interaction-Id')
    .prefault('none')
    .describe(
      'Field that every answer has, unless the upstream sets it: as in the request where it is a UUID, else the request_id; the ' +
        'upstream gets it where the client sent none, and the log has it (FAPI 1.0 Part 1 §6.2.1).',
    ),
  explain_to_clients: flag()
    .prefault(false)
    .describe(
      'Problem bodies say what was expected and received, and by how much a clock is off. Tells callers the origins, issuers, audiences and ' +
        'algorithms that count here.',
    ),
  limits: limits.prefault({}).describe('What one connection or request may use.'),
});
