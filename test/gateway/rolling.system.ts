// A rolling restart behind a real HAProxy under load: no request fails.

import assert from 'node:assert/strict';
import { before, describe, type TestContext, test } from 'node:test';
import { type Haproxy, startHaproxy } from '../support/balancers.ts';
import { SERVER, SERVER_CA, startUpstream, writePolicy } from '../support/gateway.ts';
import { findProgram, freePort, INSTALLING } from '../support/programs.ts';
import { Command } from './command.ts';
import { answerLoad, assertServed, startLoad } from './steady-load.ts';

/** Milliseconds between two health checks. One answer that it is not ready is enough; one that is late on a busy machine says nothing yet. */
const CHECKED_EVERY = 100;
/** HOLDFAST_DRAIN='{ delay: 5s, grace: 30s }' plays it with the chart's own. */
const DRAIN = process.env['HOLDFAST_DRAIN'] ?? '{ delay: 2s, grace: 10s }';
const OPEN =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';

class Instance {
  readonly name: string;
  readonly port: number;
  readonly telemetry: number;
  readonly #t: TestContext;
  readonly #file: string;
  #command: Command | undefined;

  constructor(t: TestContext, name: string, [port, telemetry]: readonly [number, number], upstream: string) {
    this.#t = t;
    this.name = name;
    this.port = port;
    this.telemetry = telemetry;
    const listeners = `- name: public
  bind: "127.0.0.1:${port}"
  origins: [https://api.example.com]
  tls: { certificates: [{ cert: tls.crt, key_file: tls.key }] }`;
    const wishes = {
      routes: OPEN,
      listeners,
      telemetry: `127.0.0.1:${telemetry}`,
      more: `workers: 2\ndrain: ${DRAIN}`,
    };
    this.#file = writePolicy(t, wishes, upstream);
  }

  async start(): Promise<void> {
    this.#command = new Command(this.#t, ['serve', '--config', this.#file]);
    await this.#command.logged('serving');
  }

  /** SIGTERM, as every orchestrator sends it. */
  async stop(): Promise<void> {
    this.#command?.signal('SIGTERM');
    const { exit, stderr } = (await this.#command?.ended) ?? {};
    assert.deepEqual([exit, stderr], [0, '']);
  }
}

const MODES: Readonly<Record<string, { readonly mode: string; readonly bind: string; readonly server: string }>> = {
  'passes TLS on': { mode: 'tcp', bind: '', server: '' },
  'terminates TLS and encrypts again, over HTTP/1.1': {
    mode: 'http',
    bind: ' ssl crt server.pem alpn h2,http/1.1',
    server: ' ssl verify required ca-file ca.pem sni str(api.example.com) verifyhost api.example.com alpn http/1.1',
  },
  'terminates TLS and encrypts again, over HTTP/2': {
    mode: 'http',
    bind: ' ssl crt server.pem alpn h2,http/1.1',
    server: ' ssl verify required ca-file ca.pem sni str(api.example.com) verifyhost api.example.com alpn h2',
  },
};

/** No retries and no redispatch: whatever fails reaches the client. */
async function balance(t: TestContext, how: keyof typeof MODES, instances: readonly Instance[]) {
  const { mode, bind, server } = MODES[how]!;
  const port = await freePort();
  const servers = instances.map(
    (one) => `  server ${one.name} 127.0.0.1:${one.port}${server} check port ${one.telemetry} no-check-ssl`,
  );
  const configuration = `
defaults
  mode ${mode}
  retries 0
  timeout connect 20s
  timeout check 20s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port}${bind}
  default_backend holdfast
backend holdfast
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  default-server inter ${CHECKED_EVERY}ms fall 1 rise 1
${servers.map((line) => (server === '' ? line.replace(' no-check-ssl', '') : line)).join('\n')}`;
  const files = { 'server.pem': `${SERVER.chain}\n${SERVER.key}`, 'ca.pem': SERVER_CA.cert };
  return { port, haproxy: await startHaproxy(t, configuration, files) };
}

const isUp = (haproxy: Haproxy, { name }: Instance) =>
  haproxy.until(`holdfast/${name}`, ({ status, check }) => status === 'UP' && check === 'L7OK');

describe('a rolling restart of two instances behind HAProxy', () => {
  before(() => findProgram('haproxy'), INSTALLING);

  for (const how of Object.keys(MODES)) {
    test(`that ${how}: no request fails`, async (t) => {
      const upstream = await startUpstream(t);
      const repeated = answerLoad(upstream);
      const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
      const instances = [
        new Instance(t, 'one', [ports[0], ports[1]], upstream.origin),
        new Instance(t, 'two', [ports[2], ports[3]], upstream.origin),
      ];
      await Promise.all(instances.map((one) => one.start()));
      const { port, haproxy } = await balance(t, how, instances);
      for (const one of instances) await isUp(haproxy, one);

      const load = startLoad(t, port);
      for (const one of instances) {
        await one.stop();
        await one.start();
        await isUp(haproxy, one);
      }
      await assertServed(t, load);
      assert.deepEqual(repeated, []);
    });
  }
});
