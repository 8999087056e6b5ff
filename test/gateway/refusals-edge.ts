// Refusals of the stages edge, route and upstream.

import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { type Answered, HOST, portOf, readAnswer, type TestGateway } from '../support/gateway.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { Refusal } from './refusal.ts';

/** All of these come before credentials are looked at, so that nobody is asked for any. */
const early = { challenges: [] };
const malformed = { ...early, reason: 'request_malformed', stage: 'edge', status: 400 } as const;
const forbidden = { ...early, reason: 'field_forbidden', stage: 'edge', status: 400 } as const;
const closing = { fields: { Connection: 'close' } };

const lines = (...all: readonly string[]) => `${all.join('\r\n')}\r\n\r\n`;
const raw =
  (...all: readonly string[]) =>
  (gateway: TestGateway) =>
    gateway.raw(lines(...all, 'Connection: close'));
const open =
  (path: string, ...fields: (readonly [string, string])[]) =>
  (gateway: TestGateway) =>
    gateway.request('GET', `/open${path}`, { fields });

/** A clock that fails when told to: the one port that a test can break from outside. */
function breakableClock() {
  let broken = false;
  return {
    now: () => {
      if (broken) throw new RangeError('the clock has stopped at MARK');
      return Date.now() / 1000;
    },
    breakFor: async (send: () => Promise<Answered>) => {
      broken = true;
      return send().finally(() => (broken = false));
    },
  };
}

const clock = breakableClock();

/** A policy whose upstream has one connection, for which requests wait a moment only. */
function narrow(policy: Policy): Policy {
  const copy = structuredClone(policy) as unknown as {
    upstreams: { connections: number }[];
    routes: { timeouts: object }[];
  };
  for (const upstream of copy.upstreams) upstream.connections = 1;
  for (const route of copy.routes) Object.assign(route.timeouts, { connect: 0.2 });
  return copy as unknown as Policy;
}

/** Ends a request whose first line was read before the gateway began to stop; another one keeps it from having stopped. */
async function finishWhileStopping(gateway: TestGateway): Promise<Answered> {
  const held = new Promise((resolve) => (gateway.upstream.answer = resolve));
  gateway.request('GET', '/open/held').catch(() => 'broken off at the end');
  const socket = await gateway.connect();
  socket.write('GET /open/1 HTTP/1.1\r\n');
  await held; // by now the line above was read
  void gateway.running.drain();
  while (gateway.running.ready().details['state'] !== 'stopping') await new Promise((resolve) => setImmediate(resolve));
  socket.write(lines(`Host: ${HOST}`));
  return readAnswer(socket);
}

export const EDGE: readonly Refusal[] = [
  {
    ...early,
    reason: 'internal_error',
    when: 'a part of the gateway throws',
    stage: 'edge',
    status: 500,
    wishes: { now: clock.now },
    send: (gateway) => clock.breakFor(() => gateway.request('GET', '/open/1')),
  },
  {
    ...early,
    reason: 'tls_required',
    when: 'plain HTTP comes to a port that speaks TLS',
    stage: 'edge',
    status: 400,
    async send(gateway) {
      const socket = connect(portOf(gateway.running.listeners[0]?.bind), '127.0.0.1');
      socket.write(lines('GET /open/1 HTTP/1.1', `Host: ${HOST}`));
      return readAnswer(socket);
    },
  },
  { ...malformed, when: 'there is no Host', ...closing, send: raw('GET /open/1 HTTP/1.1') },
  {
    ...malformed,
    when: 'there are two Hosts',
    ...closing,
    send: raw('GET /open/1 HTTP/1.1', `Host: ${HOST}`, `Host: ${HOST}`),
  },
  {
    ...malformed,
    when: 'Content-Length stands beside Transfer-Encoding',
    ...closing,
    send: raw('POST /open/1 HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 3', 'Transfer-Encoding: chunked'),
  },
  {
    ...malformed,
    when: 'the absolute-form disagrees with Host',
    ...closing,
    send: raw('GET https://other.example.org/open/1 HTTP/1.1', `Host: ${HOST}`),
  },
  { ...malformed, when: 'a segment in the middle is empty', ...closing, send: open('//1') },
  { ...malformed, when: 'a segment is an encoded dot segment', ...closing, send: open('/%2e%2e/orders/1') },
  { ...malformed, when: '%2F comes to a route that does not say encoded', ...closing, send: open('/a%2Fb') },
  {
    ...malformed,
    when: 'Via has our own name in it, so that it is a loop',
    ...closing,
    send: (gateway) => open('/1', ['Via', `1.1 proxy, 1.1 holdfast-${gateway.policy.id}`])(gateway),
  },
  {
    ...early,
    reason: 'header_too_large',
    when: 'the fields are larger than header_size',
    stage: 'edge',
    status: 431,
    ...closing,
    send: raw('GET /open/1 HTTP/1.1', `Host: ${HOST}`, `X-Large: ${'MARK'.repeat(8300)}`),
  },
  {
    ...early,
    reason: 'method_unknown',
    when: 'the method is not one that is known',
    stage: 'edge',
    status: 501,
    ...closing,
    send: raw('BREW /open/1 HTTP/1.1', `Host: ${HOST}`),
  },
  {
    ...early,
    reason: 'uri_too_long',
    when: 'the target is longer than url_length',
    stage: 'edge',
    status: 414,
    send: open(`/${'x'.repeat(8200)}`),
  },
  {
    ...early,
    reason: 'request_timed_out',
    when: 'the fields do not end within header_timeout',
    stage: 'edge',
    status: 408,
    ...closing,
    wishes: { listener: 'limits: { header_timeout: 600ms }' },
    send: (gateway) => gateway.raw(`GET /open/1 HTTP/1.1\r\nHost: ${HOST}\r\n`),
  },
  {
    ...early,
    reason: 'request_timed_out',
    when: 'the client stops in the middle of the body',
    stage: 'edge',
    status: 408,
    send: (gateway) => gateway.raw(`${lines('POST /hasty/1 HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 100')}MARK`),
  },
  {
    ...early,
    reason: 'expectation_failed',
    when: 'Expect is not 100-continue',
    stage: 'edge',
    status: 417,
    send: open('/1', ['Expect', 'MARK']),
  },
  { ...forbidden, when: 'a field imitates one of ours', send: open('/1', ['Client_Cert', ':MARK:']) },
  { ...forbidden, when: 'a field imitates an identity field', send: open('/1', ['X.Auth.Subject', 'MARK']) },
  { ...forbidden, when: 'Connection names a managed field', send: open('/1', ['Connection', 'close, Client-Cert']) },
  {
    ...early,
    reason: 'peer_unknown',
    when: 'a stranger asks a listener in mode decide',
    stage: 'edge',
    status: 403,
    fields: { 'X-Holdfast-Reason': 'peer_unknown', 'X-Holdfast-Status': '403' },
    wishes: {
      listener: 'mode: decide\ndialect: forwarded\ntrusted_peers: [{ cidr: 192.0.2.1/32 }]',
      routes: '- { name: open, match: { path: /* }, require: public, weaker_than_defaults: [require] }',
    },
    send: (gateway) => gateway.request('GET', '/auth'),
  },
  {
    ...early,
    reason: 'misdirected',
    when: 'Host is the host of no origin',
    stage: 'edge',
    status: 421,
    send: (gateway) => gateway.request('GET', '/open/1', { host: 'other.example.org' }),
  },
  {
    ...early,
    reason: 'misdirected',
    when: 'Host has a port that no origin has',
    stage: 'edge',
    status: 421,
    send: (gateway) => gateway.request('GET', '/open/1', { host: `${HOST}:8443` }),
  },
  {
    ...early,
    reason: 'draining',
    when: 'the gateway is stopping',
    stage: 'edge',
    status: 503,
    ...closing,
    reached: 1,
    wishes: {},
    send: finishWhileStopping,
  },
];

const preflighted = [
  ['Origin', 'https://app.example.com'],
  ['Access-Control-Request-Method', 'GET'],
] as const;

export const ROUTE: readonly Refusal[] = [
  {
    ...early,
    reason: 'preflight_refused',
    when: 'a page asks before a request to a route without cors',
    stage: 'route',
    status: 403,
    send: (gateway) => gateway.request('OPTIONS', '/any/1', { fields: preflighted }),
  },
  {
    ...early,
    reason: 'route_not_found',
    when: 'no route has the path',
    stage: 'route',
    status: 404,
    send: (gateway) => gateway.request('GET', '/nowhere'),
  },
  ...['DELETE', 'TRACE'].map(
    (method): Refusal => ({
      ...early,
      reason: 'method_not_allowed',
      when: `the route does not have ${method}`,
      stage: 'route',
      status: 405,
      fields: { Allow: 'GET, HEAD, POST' },
      send: (gateway) => gateway.request(method, '/few/1'),
    }),
  ),
  {
    ...early,
    reason: 'method_not_allowed',
    when: 'the method is CONNECT',
    stage: 'route',
    status: 405,
    fields: { Allow: '' },
    send: raw(`CONNECT ${HOST}:443 HTTP/1.1`, `Host: ${HOST}:443`),
  },
  {
    challenges: [],
    reason: 'certificate_field_malformed',
    when: "a trusted peer's certificate field is no certificate",
    stage: 'route',
    status: 400,
    wishes: {
      listener: `trusted_peers: [{ cidr: 127.0.0.1/32 }]
client_certificate_from: { format: rfc9440, field: Client-Cert }`,
    },
    send: (gateway) => gateway.request('GET', '/dpop/1', { fields: [['Client-Cert', ':MARKMARK:']] }),
  },
];

/** Sets what the upstream does for one request. */
async function whileUpstream(
  { upstream }: TestGateway,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  send: () => Promise<Answered>,
): Promise<Answered> {
  const before = upstream.answer;
  upstream.answer = answer;
  return send().finally(() => (upstream.answer = before));
}

/** One chunk of 1025 bytes. */
const TOO_LONG = `401\r\n${'x'.repeat(1025)}\r\n`;

export const UPSTREAM: readonly Refusal[] = [
  {
    ...early,
    reason: 'body_too_large',
    when: 'a longer body is announced than the route takes',
    stage: 'upstream',
    status: 413,
    send: (gateway) => gateway.request('POST', '/small/1', { body: 'x'.repeat(1025) }),
  },
  {
    ...early,
    reason: 'body_too_large',
    when: 'a body of unknown length grows larger than the route takes',
    stage: 'upstream',
    status: 413,
    reached: 'perhaps',
    send: (gateway) =>
      gateway.raw(`${lines('POST /small/1 HTTP/1.1', `Host: ${HOST}`, 'Transfer-Encoding: chunked')}${TOO_LONG}`),
  },
  {
    ...early,
    reason: 'upstream_queue_full',
    when: 'others hold every connection of the upstream for longer than timeouts.connect',
    stage: 'upstream',
    status: 503,
    fields: { 'Retry-After': '1' },
    reached: 1,
    outcome: 'rejected',
    wishes: { adjust: narrow },
    async send(gateway) {
      const held = Promise.withResolvers<ServerResponse>();
      gateway.upstream.answer = (_request, response) => held.resolve(response);
      const first = gateway.request('GET', '/open/1');
      const response = await held.promise;
      const second = await gateway.request('GET', '/open/2');
      response.end();
      assert.equal((await first).status, 200);
      return second;
    },
  },
  {
    ...early,
    reason: 'upstream_circuit_open',
    when: 'the only target could not be reached before',
    stage: 'upstream',
    status: 503,
    fields: { 'Retry-After': '60' },
    wishes: { upstreams: 'gone: { targets: ["http://127.0.0.1:1"], circuit: { failures: 2, open: 60s } }' },
    async send(gateway) {
      assert.equal((await gateway.request('GET', '/gone/1')).reason, 'upstream_unreachable');
      return gateway.request('GET', '/gone/1');
    },
  },
  {
    ...early,
    reason: 'upstream_unreachable',
    when: 'nobody listens at the target',
    stage: 'upstream',
    status: 502,
    send: (gateway) => gateway.request('GET', '/gone/1'),
  },
  {
    ...early,
    reason: 'upstream_invalid',
    when: 'the answer is no HTTP',
    stage: 'upstream',
    status: 502,
    reached: 1,
    send: (gateway) =>
      whileUpstream(
        gateway,
        ({ socket }) => socket.end('HTTP/1.1 two hundred\r\n\r\n'),
        () => gateway.request('GET', '/open/1'),
      ),
  },
  {
    ...early,
    reason: 'upstream_invalid',
    when: 'it answers 101 although nobody asked for an upgrade',
    stage: 'upstream',
    status: 502,
    reached: 1,
    send: (gateway) =>
      whileUpstream(
        gateway,
        ({ socket }) => socket.end(lines('HTTP/1.1 101 Switching Protocols', 'Upgrade: x', 'Connection: upgrade')),
        () => gateway.request('GET', '/open/1'),
      ),
  },
  {
    ...early,
    reason: 'upstream_timed_out',
    when: 'no answer begins within response_header',
    stage: 'upstream',
    status: 504,
    reached: 1,
    send: (gateway) =>
      whileUpstream(
        gateway,
        () => {},
        () => gateway.request('GET', '/hasty/1'),
      ),
  },
];
