// Compilation of listeners: addresses, origins, TLS and trusted peers.

import { CERTIFICATE_FORMATS } from '../../certificate/formats.ts';
import { compileRequestLimits } from './limits.ts';
import { ANY_HOST } from '../../http/host-pattern.ts';
import { hostOf, readOrigin } from '../../http/uri.ts';
import type { Compilation } from './compilation.ts';
import { isLoopback } from '../../http/address.ts';
import { checkSettableField } from './field.ts';
import { authoritiesAt, covers, type KeyPair, keyPairAt, revocationsAt } from './pem.ts';
import { collide } from '../../policy/addresses.ts';
import type { ConfigPath } from '../problem.ts';
import { compilePeerRules } from './trusted-peers.ts';
import type {
  Bind,
  CertificateSource,
  ClientCertificatePolicy,
  DecideRules,
  Listener,
  ListenerOrigin,
  ListenerTls,
} from '../../policy/policy.ts';
import type { Config } from '../schema/schema.ts';

type ListenerConfig = Config['listeners'][number];

/**
 * All listeners, in the order of the file. Problems: plain HTTP beyond loopback that no key names, origins that nobody can
 * call, certificates that do not fit, trust that no certificate or peer backs, the same name or address twice.
 * NOT checked: whether routes need what a listener lacks (reach.ts).
 */
export function compileListeners(compilation: Compilation): readonly Listener[] {
  const { listeners, telemetry, admin } = compilation.read.config;
  const taken: { what: string; bind: Bind }[] = [
    { what: 'telemetry', bind: telemetry.bind },
    { what: 'admin', bind: admin.bind },
  ];
  return listeners.map((config, index) => {
    const at = ['listeners', index];
    const other = taken.find(({ bind }) => collide(bind, config.bind));
    if (other) compilation.problem([...at, 'bind'], `is the address of ${other.what} too, expected another one`);
    if (listeners.findIndex(({ name }) => name === config.name) < index) {
      compilation.problem([...at, 'name'], 'is the name of an earlier listener, expected another one');
    }
    taken.push({ what: `listener ${config.name}`, bind: config.bind });
    return compileListener(compilation, at, config);
  });
}

/** The ports for operators: one address each, and the admin port where nobody else reaches it. */
export function checkPorts(compilation: Compilation): void {
  const { admin, telemetry } = compilation.read.config;
  const at = ['admin', 'bind'];
  if (collide(admin.bind, telemetry.bind)) {
    compilation.problem(at, 'is the address of telemetry too, expected another one');
  }
  if (!('path' in admin.bind) && !isLoopback(admin.bind.host)) {
    compilation.warning(at, 'is beyond loopback: anyone who reaches it reads the status and the configuration');
  }
}

function compileListener(compilation: Compilation, at: ConfigPath, config: ListenerConfig): Listener {
  const pairs = (config.tls?.certificates ?? []).map((_, index) =>
    keyPairAt(compilation, [...at, 'tls', 'certificates', index]),
  );
  checkPlainHttp(compilation, at, config);
  const limits = config.limits;
  return {
    name: config.name,
    bind: config.bind,
    origins: compileOrigins(compilation, at, config, pairs),
    tls: config.tls && compileTls(compilation, [...at, 'tls'], config.tls, pairs),
    http2: config.http2,
    clientCertificate: compileClientCertificate(compilation, [...at, 'client_certificate'], config),
    trustedPeers: compilePeerRules(compilation, at, config),
    clientCertificateFrom: compileSource(compilation, [...at, 'client_certificate_from'], config),
    proxyProtocol: compileProxyProtocol(compilation, [...at, 'proxy_protocol'], config),
    ...compileInteractionId(compilation, [...at, 'interaction_id'], config),
    explainToClients: config.explain_to_clients,
    ...(config.fall_through && { fallThrough: true }),
    decides: compileDecides(compilation, at, config),
    limits: {
      headerSize: limits.header_size,
      urlLength: limits.url_length,
      ...compileRequestLimits(limits),
      // auto: until the memory of the rest is known (memory.ts).
      connections: limits.connections === 'auto' ? 0 : limits.connections,
      streamsPerConnection: limits.streams_per_connection,
      headerTimeout: limits.header_timeout,
      idleTimeout: limits.idle_timeout,
    },
  };
}

/** A stranger that may ask could search for tokens, and would be believed about certificates: peers are always named. */
function compileDecides(
  compilation: Compilation,
  at: ConfigPath,
  { mode, dialect, path_prefix: pathPrefix, trusted_peers: peers }: ListenerConfig,
): DecideRules | undefined {
  const misplaced = (key: string, where: string) =>
    compilation.problem([...at, key], `has no meaning here, expected it only with ${where}`);
  if (mode === 'proxy') {
    if (dialect !== undefined) misplaced('dialect', 'mode: decide');
    if (pathPrefix !== undefined) misplaced('path_prefix', 'mode: decide and dialect: envoy-http');
    return undefined;
  }
  if (peers.length === 0) {
    compilation.problem([...at, 'trusted_peers'], 'is empty with mode: decide, expected the proxies that may ask');
  }
  if (dialect === undefined) {
    compilation.problem(
      [...at, 'mode'],
      'is decide without a dialect, expected dialect: forwarded, envoy-http or envoy-grpc',
    );
    return undefined;
  }
  if (pathPrefix !== undefined && dialect !== 'envoy-http') misplaced('path_prefix', 'dialect: envoy-http');
  return { dialect, pathPrefix: pathPrefix ?? '' };
}

function compileTls(
  compilation: Compilation,
  at: ConfigPath,
  { profile, min_version: minimum, sni_hosts: sniHosts, certificates: written }: NonNullable<ListenerConfig['tls']>,
  pairs: readonly (KeyPair | undefined)[],
): ListenerTls {
  const minVersion = minimum ?? (profile === 'modern' ? 'TLSv1.3' : 'TLSv1.2');
  if (profile === 'modern' && minVersion === 'TLSv1.2') {
    compilation.problem(
      [...at, 'min_version'],
      'is TLSv1.2 under profile: modern, expected TLSv1.3, or profile: intermediate',
    );
  }
  for (const [index, pair] of pairs.entries()) {
    if (profile !== 'fapi' || minVersion === 'TLSv1.3' || pair?.leaf.publicKey.asymmetricKeyType !== 'ec') continue;
    compilation.warning(
      [...at, 'certificates', index, 'cert'],
      'has an EC key, so that TLS 1.2 is ECDHE_ECDSA here: FAPI 2.0 has these suites, FAPI 1.0 Advanced and FAPI 2.0 ID2 have ' +
        'RSA ones alone, expected an RSA certificate, or min_version: TLSv1.3, where those profiles count',
    );
  }
  const certificates = pairs.flatMap((pair, index) => {
    const names = written[index]?.names;
    if (pair === undefined) return [];
    return [{ cert: pair.cert, key: pair.key, certFile: pair.certFile, ...(names && { names }) }];
  });
  return { certificates, minVersion, profile, ...(sniHosts.length > 0 && { sniHosts: new Set(sniHosts) }) };
}

function checkPlainHttp(compilation: Compilation, at: ConfigPath, config: ListenerConfig): void {
  if (config.tls !== undefined || config.insecure_plain_http) return;
  if ('path' in config.bind || isLoopback(config.bind.host)) return;
  compilation.problem(
    [...at, 'bind'],
    'is plain HTTP beyond loopback, where tokens can be read and stolen, ' +
      'expected tls, a loopback address, a unix socket, or insecure_plain_http: true',
  );
}

function compileOrigins(
  compilation: Compilation,
  at: ConfigPath,
  config: ListenerConfig,
  pairs: readonly (KeyPair | undefined)[],
): readonly ListenerOrigin[] {
  const seen = new Set<string>();
  return config.origins.flatMap((written, index) => {
    const here = [...at, 'origins', index];
    const origin = readOrigin(written);
    if (origin === undefined) {
      compilation.problem(
        here,
        'is not a valid origin, expected one such as https://api.example.com, "https://*.example.com", "https://**.example.com" or "https://*"',
      );
      return [];
    }
    const spelled = `${origin.scheme}://${origin.authority}${origin.pathPrefix}`;
    if (seen.has(spelled)) compilation.problem(here, 'is listed before, expected each origin once');
    seen.add(spelled);
    checkReachable(compilation, here, config, origin);
    if (origin.scheme === 'https' && !pairs.includes(undefined))
      checkCovered(compilation, here, origin, { config, pairs });
    return [origin];
  });
}

function checkReachable(
  compilation: Compilation,
  at: ConfigPath,
  config: ListenerConfig,
  origin: ListenerOrigin,
): void {
  if (config.tls !== undefined && origin.scheme === 'http') {
    compilation.problem(at, 'is http on a listener with tls, which no client can call so, expected https');
  }
  if (config.tls === undefined && origin.scheme === 'https' && config.trusted_peers.length === 0) {
    compilation.problem(
      at,
      'is https on a listener without tls, which no client can call so, ' +
        'expected tls, http, or trusted_peers with the proxy that terminates TLS',
    );
  }
}

/**
 * Behind trusted peers clients may meet the peer's certificate and never this listener's, so what is an error elsewhere is
 * only a warning there.
 */
function checkCovered(
  compilation: Compilation,
  at: ConfigPath,
  origin: ListenerOrigin,
  { config, pairs }: { readonly config: ListenerConfig; readonly pairs: readonly (KeyPair | undefined)[] },
): void {
  // One label below the name at least; of any host no certificate is expected.
  const host = hostOf(origin.authority).replace('**', '*');
  if (
    host === ANY_HOST ||
    config.tls === undefined ||
    pairs.some((pair) => pair !== undefined && covers(pair.leaf, host))
  )
    return;
  const report = config.trusted_peers.length === 0 ? 'problem' : 'warning';
  compilation[report](at, 'is not covered by any certificate of this listener, expected one that names its host');
}

function compileClientCertificate(
  compilation: Compilation,
  at: ConfigPath,
  { client_certificate: config, tls, client_certificate_from }: ListenerConfig,
): ClientCertificatePolicy {
  if (config.request !== 'none' && tls === undefined) {
    compilation.problem([...at, 'request'], `is ${config.request} on a listener without tls, expected tls or none`);
  }
  const wanted = config.request !== 'none' || client_certificate_from !== 'none';
  if (wanted && config.verify === 'chain' && config.ca_file === undefined) {
    compilation.problem(
      at,
      'has verify: chain without ca_file, expected ca_file, or verify: possession (RFC 8705 §2.2)',
    );
  }
  if (config.verify === 'possession' && config.crl_file !== undefined) {
    compilation.problem(
      [...at, 'crl_file'],
      'is never used under verify: possession, expected verify: chain or no crl_file',
    );
  }
  return {
    request: config.request,
    verify: config.verify,
    ca: authoritiesAt(compilation, [...at, 'ca_file']),
    crl: revocationsAt(compilation, [...at, 'crl_file']),
  };
}

function compileSource(
  compilation: Compilation,
  at: ConfigPath,
  { client_certificate_from: config, trusted_peers, dialect }: ListenerConfig,
): CertificateSource | undefined {
  if (config === 'none') return undefined;
  if (trusted_peers.length === 0) {
    compilation.problem(
      at,
      'is not believed from any peer, expected trusted_peers with the proxy that sends the field',
    );
  }
  const { format, element } = config;
  const field = config.field ?? CERTIFICATE_FORMATS[format].field;
  if (format !== 'envoy-attribute') checkSettableField(compilation, [...at, 'field'], field);
  else if (dialect !== 'envoy-grpc' || config.field !== undefined) {
    compilation.problem(
      [...at, 'format'],
      'is not a field but part of the question, expected dialect: envoy-grpc, and no field',
    );
  }
  if (element !== undefined && format !== 'xfcc') {
    compilation.problem(
      [...at, 'element'],
      `means nothing to ${format}, whose fields have one element, expected no element`,
    );
  }
  return { format, field: field.toLowerCase(), ...(element !== undefined && { element }) };
}

function compileInteractionId(
  compilation: Compilation,
  at: ConfigPath,
  { interaction_id: name }: ListenerConfig,
): Pick<Listener, 'interactionId'> {
  if (name === 'none') return {};
  checkSettableField(compilation, at, name);
  return { interactionId: name };
}

/** The header comes before TLS, so that its sender is known by its address or not at all. */
function compileProxyProtocol(compilation: Compilation, at: ConfigPath, config: ListenerConfig): boolean {
  if (config.proxy_protocol !== 'required') return false;
  if ('path' in config.bind) {
    compilation.problem(
      at,
      'is required on a unix socket, where no peer has an address to be trusted by, expected a bind of host:port, or none',
    );
  } else if (!config.trusted_peers.some((peer) => peer.cidr !== undefined && peer.certificate_san === undefined)) {
    compilation.problem(
      at,
      'is required and not taken from any peer, expected an entry with cidr alone in trusted_peers: the balancer that sends the ' +
        'header, whose certificate is not known when it comes',
    );
  }
  return true;
}
