// Compilation of tracing: the collector, and what it may cost and learn.

import type { TracingRules } from '../../policy/tracing.ts';
import type { Compilation } from './compilation.ts';
import { isLoopback } from '../../http/address.ts';
import { authoritiesAt } from './pem.ts';

/** What a field can hold (RFC 9110 §5.5), on one line. */
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const PATH = '/v1/traces';

/**
 * Problems: header files without one line of text, and headers in the clear beyond loopback; `ca_file` with http. Warnings: spans in the
 * clear beyond loopback, and `trust: all`.
 * NOT checked: whether a collector is there.
 */
export function compileTracing(compilation: Compilation): TracingRules | undefined {
  const { tracing } = compilation.read.config;
  if (tracing === undefined) return undefined;
  const { otlp_endpoint: written, sample, trust, timeout, queue, client_address: clientAddress } = tracing;
  const endpoint = new URL(written);
  if (endpoint.pathname === '/') endpoint.pathname = PATH;
  const headers = compileHeaders(compilation, Object.keys(tracing.header_files));
  if (endpoint.protocol === 'http:') checkPlain(compilation, endpoint, headers.size > 0);
  if (trust === 'all') {
    compilation.warning(
      ['tracing', 'trust'],
      'is all: every client chooses which of its requests are recorded, and to which trace they belong',
    );
  }
  return {
    endpoint: endpoint.href,
    headers,
    ca: authoritiesAt(compilation, ['tracing', 'ca_file']),
    sample,
    trust,
    attributes: new Map(Object.entries(tracing.resource)),
    clientAddress,
    timeout,
    queue,
  };
}

function compileHeaders(compilation: Compilation, names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    names.map((name) => {
      const at = ['tracing', 'header_files', name];
      const value = compilation.fileAt(at)?.content.toString('utf8').trim() ?? '';
      const isRead = compilation.fileAt(at) !== undefined;
      if (isRead && !VALUE.test(value))
        compilation.problem(at, 'holds no value of a field, expected one line of ASCII');
      return [name, value];
    }),
  );
}

function checkPlain(compilation: Compilation, { hostname }: URL, secret: boolean): void {
  const at = ['tracing', 'otlp_endpoint'];
  if (compilation.read.config.tracing?.ca_file !== undefined) {
    compilation.problem(at, 'is http although ca_file is given, expected https, or no ca_file');
  }
  if (isLoopback(hostname)) return;
  if (secret) compilation.problem(at, 'is http beyond loopback, where header_files can be read, expected https');
  else
    compilation.warning(at, 'is http beyond loopback: anyone on the way reads hosts, paths and outcomes of requests');
}
