// The doctor's look at the targets of upstreams: names, connections, certificates, HTTP/2.

import { connect as connectHttp2 } from 'node:http2';
import type { Socket } from 'node:net';
import { type PeerCertificate, TLSSocket } from 'node:tls';
import { compileConnector, ConnectFailure, NotHttp2 } from '../../edge/upstream/connect.ts';
import type { Target, Upstream } from '../../policy/upstream.ts';
import { untrusted } from '../../rejection/difference.ts';
import { connectionTrouble, endOf, type DoctorFinding, findingsOf, type Terms } from './finding.ts';

/**
 * Connects to one target as the gateway does, and sends no request.
 * NOT checked: whether the server accepts the client certificate, which TLS 1.3 tells only with the first answer.
 */
export async function lookAtTarget(
  upstream: Upstream,
  target: Target,
  terms: Terms,
): Promise<readonly DoctorFinding[]> {
  const { origin, socketPath } = target;
  const place = socketPath ?? origin;
  const subject = `upstream ${upstream.name} ${place}`;
  const of = findingsOf(subject);
  const name = socketPath === undefined ? await lookAtName(subject, new URL(origin).hostname, terms) : [];
  if (name.some(({ verdict }) => verdict === 'fault')) return name;
  try {
    const socket = await connect(upstream, target, terms);
    try {
      return [...name, ...(await lookAtConnection(subject, upstream, socket, terms))];
    } finally {
      socket.destroy();
    }
  } catch (error) {
    const cause = error instanceof ConnectFailure ? error.cause : error;
    const code = error instanceof ConnectFailure ? error.code : codeOfError(error);
    const { found, next } = connectionTrouble(code);
    const known = namesIn(cause);
    const block = `upstreams.${upstream.name}.tls`;
    return [
      ...name,
      of.fault(
        isAboutTls(code) ? 'TLS' : code === 'HTTP2_NOT_SPOKEN' ? 'HTTP/2' : 'connection',
        known === undefined ? found : `${found}; it names ${known}`,
        known === undefined
          ? next.replace('tls.ca_file of this block', `${block}.ca_file`)
          : upstream.tls.subjectAltNames
            ? `Name one of them in ${block}.subject_alt_names, or give the target a certificate with one of those there.`
            : `Call the target by a name of its certificate, write ${block}.server_name, or give it a certificate for this name.`,
        known === undefined
          ? undefined
          : (upstream.tls.subjectAltNames?.join(', ') ?? upstream.tls.serverName ?? new URL(origin).hostname),
      ),
    ];
  }
}

/** Whether a name has addresses. Addresses have none to look for. */
export async function lookAtName(
  subject: string,
  host: string,
  { each, names }: Pick<Terms, 'each' | 'names'>,
): Promise<readonly DoctorFinding[]> {
  const of = findingsOf(subject);
  if (/^[0-9.]+$|^\[/.test(host)) return [];
  try {
    const addresses = (await inTime(names.resolve(host), each)).map(({ address }) => address);
    const more = addresses.length > 4 ? ` and ${addresses.length - 4} more` : '';
    return [of.ok('name', `${host} is ${addresses.slice(0, 4).join(', ')}${more}`)];
  } catch (error) {
    const { found, next } = connectionTrouble(codeOfError(error));
    return [of.fault('name', `${host}: ${found}`, next, 'at least one address')];
  }
}

function connect(upstream: Upstream, target: Target, { each, signal, names }: Terms): Promise<Socket> {
  const connector = compileConnector(target, upstream, each, names.lookup);
  const { hostname, host, protocol, port } = new URL(target.origin);
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(failureWith('timeout'));
    signal.addEventListener('abort', () => reject(failureWith('timeout')), { once: true });
    connector({ hostname, host, protocol, port }, (error, socket) => {
      if (error !== null) reject(error);
      else if (signal.aborted) socket.destroy();
      else resolve(socket);
    });
  });
}

async function lookAtConnection(
  subject: string,
  { http2, name }: Upstream,
  socket: Socket,
  terms: Terms,
): Promise<readonly DoctorFinding[]> {
  const of = findingsOf(subject);
  const findings: DoctorFinding[] = [of.ok('connection', socket.remoteAddress ?? 'open')];
  if (socket instanceof TLSSocket) {
    const { valid_to: to }: PeerCertificate = socket.getPeerCertificate();
    findings.push(of.ok('TLS', `${socket.getProtocol() ?? ''}, the certificate is trusted`));
    const next = 'Renew the certificate of the target before then.';
    findings.push(endOf({ subject, check: 'certificate end', next }, Date.parse(to) / 1000, terms.now()));
  }
  if (!http2) return findings;
  if (socket instanceof TLSSocket || (await speaksHttp2(socket, terms.each)))
    return [...findings, of.ok('HTTP/2', 'spoken')];
  const { found } = connectionTrouble(new NotHttp2().code);
  const next = `Write upstreams.${name}.http2: false, or turn HTTP/2 in the clear on there.`;
  return [...findings, of.fault('HTTP/2', found, next, 'HTTP/2 with prior knowledge (RFC 9113 §3.3)')];
}

/** Whether a server in the clear says SETTINGS, with which HTTP/2 begins (RFC 9113 §3.4). */
function speaksHttp2(socket: Socket, each: number): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connectHttp2('http://localhost', { createConnection: () => socket });
    const timer = setTimeout(() => end(false), each * 1000);
    const end = (spoken: boolean) => {
      clearTimeout(timer);
      session.destroy();
      resolve(spoken);
    };
    session.once('remoteSettings', () => end(true));
    session.on('error', () => end(false));
    session.once('close', () => end(false));
  });
}

function isAboutTls(code: string): boolean {
  return /CERT|TLS|SSL|EPROTO|SELF_SIGNED|UNABLE_TO/.test(code);
}

/** The names of a certificate that was not for the one that was called. */
function namesIn(error: unknown): string | undefined {
  const { cert } = (error instanceof Error ? error : {}) as { readonly cert?: Partial<PeerCertificate> };
  return cert?.subjectaltname === undefined ? undefined : untrusted(cert.subjectaltname.replaceAll('DNS:', ''));
}

/** @throws Error with the code `timeout` */
async function inTime<T>(answer: Promise<T>, each: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failureWith('timeout')), each * 1000);
  });
  return await Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

const failureWith = (code: string) => Object.assign(new Error(code), { code });

function codeOfError(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
