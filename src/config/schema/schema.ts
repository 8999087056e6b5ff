// The schema: every configuration key with its type, default and meaning.

import * as z from 'zod';
import { include } from './include.ts';
import { issuer } from './issuer.ts';
import { listener } from './listener.ts';
import { defaults, route } from './route.ts';
import { tracing } from './tracing.ts';
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
  host,
  list,
  name,
  orNone,
  RESTART,
  share,
  subjectAltName,
  text,
  uri,
} from './values.ts';

// A configuration is read once. Code that zod makes out of text, to read objects faster, takes longer to make than it saves.
z.config({ jitless: true });

export const upstream = z.strictObject({
  targets: list(
    text(
      'http://host:port, https://host:port or unix:/path, without a path',
      /^(?:https?:\/\/[^\s/?#@\\]+|unix:\/\S+)$/,
    ),
    'targets such as "http://127.0.0.1:9000"',
    0,
  ).describe('Addresses of one service: http, https or unix:/path. None: it is not there at the moment, which is 503.'),
  insecure_plain_http: flag().prefault(false).describe('http to a target that is not loopback.'),
  insecure_close_delimited: flag()
    .prefault(false)
    .describe('Take answers over https that end with their connection, as of HTTP/1.0: one that is cut looks whole.'),
  http2: flag()
    .prefault(false)
    .describe('Speak HTTP/2 and nothing else: by ALPN to https, by prior knowledge to http and unix. gRPC needs it.'),
  connections: count(1, 100_000)
    .prefault(1024)
    .describe(
      'Open connections, per target and worker; as many requests at once over HTTP/1.1, 100 times as many over HTTP/2. One client gets at most two thirds.',
    ),
  tunnels: count(1, 1_000_000)
    .prefault(4096)
    .describe('Open WebSockets, per target and worker. One client gets at most two thirds.'),
  balance: choice('least-pending', 'round-robin').prefault('least-pending').describe('How a target is chosen.'),
  health: z
    .strictObject({
      path: text('a path starting with "/"', /^\/[\x21-\x7e]*$/).describe('What is asked for.'),
      interval: duration('100ms').prefault('5s').describe('How often; at least 100ms.'),
      unhealthy_after: count(1, 1000).prefault(3).describe('Failures in a row.'),
      healthy_after: count(1, 1000).prefault(2).describe('Successes in a row.'),
    })
    .optional()
    .describe('Targets that do not answer get no requests.'),
  circuit: z
    .strictObject({
      failures: count(1, 1_000_000).prefault(10).describe('Failures in a row that open it.'),
      open: duration('100ms').prefault('5s').describe('How long it stays open; at least 100ms.'),
    })
    .optional()
    .describe('A failing upstream is left alone for a while.'),
  retries: count(0, 10)
    .prefault(1)
    .describe(
      'Attempts to connect after the first. 0: nothing is ever sent again, not even what the upstream refused unread.',
    ),
  tls: z
    .strictObject({
      ca_file: file.optional().describe('PEM file with the CAs of the targets.'),
      cert: file.optional().describe('PEM file with the certificate that the gateway shows.'),
      key_file: file.optional().describe('PEM file with its private key.'),
      server_name: text('a host name')
        .optional()
        .describe("The name that is called (SNI), and that the target's certificate must have."),
      subject_alt_names: list(subjectAltName, 'host names and URIs')
        .optional()
        .describe(
          'The certificate must have one of these instead, as an alternative name; server_name is then only called.',
        ),
    })
    .refine((tls) => (tls.cert === undefined) === (tls.key_file === undefined), 'cert and key_file together')
    .optional()
    .describe('For https targets.'),
});

const hostPort = text('host:port', /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:/[\]]+):[0-9]{1,5}$/);

const redis = z
  .strictObject({
    url: uri('redis://host:port/db or rediss://host:port/db', /^rediss?:\/\/[^\s]+$/)
      .optional()
      .describe('One server.'),
    cluster: list(hostPort, 'host:port').optional().describe('A cluster.'),
    sentinel: z
      .strictObject({
        name: text('a name').describe('Of the master.'),
        nodes: list(hostPort, 'host:port').describe('Sentinels.'),
      })
      .optional()
      .describe('A server found through sentinels.'),
    username: text('a user name').optional().describe('Redis user.'),
    password_file: file.optional().describe('File with the password.'),
    tls: z
      .strictObject({ ca_file: file.optional().describe('PEM file with the CAs.') })
      .optional()
      .describe('TLS.'),
    timeout: duration()
      .prefault('250ms')
      .describe('Of one question. The first that is late takes the store for away until a trial is in time.'),
    key_prefix: text('a prefix').prefault('holdfast:').describe('Of every key.'),
  })
  .refine(
    (at) => [at.url, at.cluster, at.sentinel].filter((one) => one !== undefined).length === 1,
    'exactly one of url, cluster and sentinel',
  );

const rateLimit = z.strictObject({
  key: choice('client', 'subject', 'thumbprint', 'address').describe('What is counted.'),
  rate: text('a rate such as 100/s', /^[1-9][0-9]{0,8}\/[smh]$/).describe('Requests per second, minute or hour.'),
  burst: count(1, 1_000_000_000).describe('At once.'),
  shared: flag()
    .prefault(false)
    .describe('Counted over all replicas, in the replica replay store; needs replay.store: redis.'),
});

const replay = z.strictObject({
  store: choice('memory', 'redis')
    .prefault('memory')
    .describe('memory: shared by all workers of this process. redis: by all replicas.')
    .meta(RESTART),
  capacity: automatic(1000, 16_000_000)
    .prefault('auto')
    .describe('Live entries in memory. Full rejects; live entries are never evicted.')
    .meta(RESTART),
  redis: redis.optional().describe('Where the replica replay store is.'),
  when_unavailable: choice('reject', 'nonce-fallback')
    .prefault('reject')
    .describe('When the replica replay store does not answer.'),
});

const nonce = z.strictObject({
  secret_files: list(file, 'file names')
    .optional()
    .describe('The first mints, all verify; absent: random per process.'),
  lifetime: duration('1s', '10m').prefault('2m').describe('How long a nonce counts; at most 10m.'),
});

export const schema = z.strictObject({
  version: z.literal(1, '1').describe('Version of the contract: 1.'),
  include,
  workers: automatic(1, 1024)
    .prefault('auto')
    .describe('Serving threads; auto: cores this process may use, at most 4.')
    .meta(RESTART),
  listeners: list(listener, 'listeners').describe('Where clients connect.'),
  admin: z
    .strictObject({ bind: bind.describe('Loopback unless named otherwise.').meta(RESTART) })
    .prefault({ bind: '127.0.0.1:9901' })
    .describe('Status page and masked configuration.'),
  telemetry: z
    .strictObject({
      bind: bind.describe('Nothing secret is served there.').meta(RESTART),
      hosts: list(host, 'host names such as gateway.monitoring.svc', 0)
        .prefault([])
        .describe('Names by which it is called; its addresses need none. Other names get 421, against DNS rebinding.'),
    })
    .prefault({ bind: '127.0.0.1:9902' })
    .describe('/livez /readyz /metrics.'),
  request_id: orNone(field, 'a field name such as X-Request-Id')
    .prefault('X-Request-Id')
    .describe(
      'Field with the request_id: from trusted peers, else made; to the upstream and on every answer. none: such a field is like any other.',
    ),
  log: z
    .strictObject({
      level: choice('fatal', 'error', 'warn', 'info', 'debug', 'trace')
        .prefault('info')
        .describe('Lowest level logged.'),
      sample_successes: share.prefault(1).describe('Share of the permitted requests that is logged.'),
      client: choiceOrNone('id', 'hash')
        .prefault('none')
        .describe(
          'The client of the token (client_id or azp) in lines of permitted requests: as it is, or a keyed hash of it.',
        ),
      client_key_file: file
        .optional()
        .describe(
          'File with the key of that hash; absent: a random one for each start, so that hashes of two starts differ.',
        ),
    })
    .prefault({})
    .describe('JSON lines on standard output.'),
  problem_base: uri(
    'an http or https URL without a fragment, comma or equals sign, such as https://docs.example.com/rejections',
    /^https?:\/\/[^\s/?#@\\,=]+(?:[/?][!\x24-\x2b\x2d-\x3c\x3e-\x5b\x5d-\x7e]*)?$/,
  )
    .optional()
    .describe(
      'Page about reasons, with the name of each as its fragment: type of problems, and error_uri of challenges (RFC 6750 §3). Absent: type is urn:holdfast:rejection:REASON.',
    ),
  tracing: tracing.optional().describe('OpenTelemetry traces; absent: none, and traceparent passes as it is.'),
  drain: z
    .strictObject({
      delay: duration('0s')
        .prefault('5s')
        .describe(
          'Not ready, still serving; longer while new connections come, by half of `grace` at most. 0s: not at all.',
        ),
      grace: duration('0s')
        .prefault('30s')
        .describe('Then for requests in flight and tunnels. With `delay` the longest that an end takes.'),
    })
    .prefault({})
    .describe('After SIGTERM.'),
  issuers: z
    .record(name, issuer, 'a mapping from names to issuers')
    .prefault({})
    .describe('Authorization servers whose tokens count, by name; none are needed where every route is public.'),
  replay: replay.prefault({}).describe('Where used proofs are remembered.'),
  nonce: nonce.prefault({}).describe('DPoP nonces (RFC 9449 §9).'),
  rate_limits: z
    .record(name, rateLimit, 'a mapping from names to limits')
    .optional()
    .describe('Limits that routes name.'),
  defaults: defaults.prefault({}).describe('Merged under every route.'),
  upstreams: z
    .record(name, upstream, 'a mapping from names to upstreams')
    .prefault({})
    .describe('Services behind the gateway, by name.'),
  routes: list(route, 'routes').describe('Which requests go where, and what they must show.'),
});

/** The configuration as read: keys as in the file, durations in seconds, sizes in bytes, defaults filled in. */
export type Config = z.output<typeof schema>;
