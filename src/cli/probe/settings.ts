// The settings of a probe, from its options and the files that they name.

import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { isLoopback } from '../../http/address.ts';
import { UsageError } from '../arguments.ts';
import type { Destination } from './wire.ts';

/** Options of the command line that have a value. */
export type ProbeOption =
  | 'method'
  | 'token-file'
  | 'dpop-key-file'
  | 'cert-file'
  | 'key-file'
  | 'ca-file'
  | 'token-endpoint'
  | 'client-id'
  | 'client-secret-file'
  | 'client-key-file'
  | 'issuer'
  | 'scope'
  | 'resource'
  | 'jwks-file'
  | 'unbound-token-file'
  | 'expired-token-file'
  | 'foreign-token-file'
  | 'public-path'
  | 'marker'
  | 'only'
  | 'rate'
  | 'timeout'
  | 'connect-to';

export type ProbeOptions = { readonly [O in ProbeOption]?: string } & {
  readonly unbound?: boolean;
  readonly framing?: boolean;
  readonly list?: boolean;
  readonly 'insecure-http'?: boolean;
  readonly json?: boolean;
};

/** What is probed and how, apart from credentials. */
export interface ProbeSettings {
  readonly destination: Destination;
  readonly origin: string;
  /** Value of Host. */
  readonly host: string;
  readonly path: string;
  /** With its question mark; '': none. */
  readonly query: string;
  readonly method: 'GET' | 'HEAD' | 'OPTIONS';
  /** Milliseconds between two requests. */
  readonly pause: number;
  /** A text that only answers of the API have. */
  readonly marker: string | undefined;
  readonly publicPath: string | undefined;
  readonly framing: boolean;
}

const METHODS = ['GET', 'HEAD', 'OPTIONS'] as const;
/** Requests per second and seconds, unless options say otherwise. */
const RATE = 10;
const TIMEOUT = 10;

/** @throws UsageError */
export function readSettings(operand: string, options: ProbeOptions): ProbeSettings {
  const url = readTarget('URL', operand, options['insecure-http']);
  const method = METHODS.find((one) => one === (options.method ?? 'GET'));
  if (method === undefined) throw new UsageError('--method is GET, HEAD or OPTIONS: a probe changes nothing');
  if (method === 'HEAD' && options.marker !== undefined) {
    throw new UsageError('--marker is looked for in content, which answers to HEAD do not have');
  }
  const publicPath = options['public-path'];
  if (publicPath !== undefined && !/^\/[\x21-\x7e]*$/.test(publicPath)) {
    throw new UsageError('--public-path is a path such as /healthz');
  }
  return {
    destination: { ...destinationOf(url, options), ...readConnectTo(options['connect-to']) },
    origin: url.origin,
    host: url.host,
    path: url.pathname,
    query: url.search,
    method,
    pause: 1000 / readNumber('rate', options.rate, RATE),
    marker: options.marker,
    publicPath: publicPath?.replace(/\/$/, ''),
    framing: options.framing ?? false,
  };
}

/** @throws UsageError */
export function readTarget(what: string, text: string, insecure = false): URL {
  if (text === '') throw new UsageError(`"probe" needs a ${what}, such as https://api.example.com/orders/1`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`${what} must be an absolute URL, such as https://api.example.com/orders/1`);
  }
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    throw new UsageError(`${what} has no place for a user, a password or a fragment`);
  }
  if (url.protocol === 'https:' || insecure || isLoopback(url.hostname)) return url;
  throw new UsageError(
    `${what} is http: credentials could be read on the way; --insecure-http sends them all the same`,
  );
}

/** Where a URL leads. @throws UsageError */
export function destinationOf({ protocol, hostname, port }: URL, options: ProbeOptions): Destination {
  const tls = protocol === 'https:';
  const name = hostname.replace(/^\[|\]$/g, '');
  const ca = options['ca-file'];
  return {
    host: name,
    port: port === '' ? (tls ? 443 : 80) : Number(port),
    servername: tls ? name : undefined,
    ca: ca === undefined ? undefined : [...getCACertificates('default'), readNamedFile('ca-file', ca)],
    timeout: readNumber('timeout', options.timeout, TIMEOUT) * 1000,
  };
}

function readConnectTo(text: string | undefined): Pick<Destination, 'host' | 'port'> | undefined {
  if (text === undefined) return undefined;
  const [, host, port] = /^(\[[0-9a-f:.]+\]|[^:\s]+):([0-9]{1,5})$/i.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535) throw new UsageError('--connect-to is HOST:PORT');
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

function readNumber(option: 'rate' | 'timeout', text: string | undefined, usual: number): number {
  const number = text === undefined ? usual : Number(text);
  if (text !== undefined && (!/^\d+(?:\.\d+)?$/.test(text) || number < 0.1 || number > 10_000)) {
    throw new UsageError(`--${option} is a number from 0.1 to 10000`);
  }
  return number;
}

/** The content of a file without white space at its ends; `-` is standard input. @throws UsageError */
export function readNamedFile(option: ProbeOption, file: string): string {
  try {
    const text = readFileSync(file === '-' ? 0 : file, 'utf8').trim();
    if (text !== '') return text;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
    throw new UsageError(`--${option} ${file} cannot be read (${code})`, { cause: error });
  }
  throw new UsageError(`--${option} ${file} is empty`);
}
