// The looks of a kubelet at a container, and its hooks: HTTP, TCP and commands.

import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { ContainerProcess } from './container.ts';
import type { Container, Hook, HttpGet } from './objects.ts';

/** What a look needs to know. */
export interface Looking {
  readonly container: Container;
  readonly process: ContainerProcess;
  /** Of the pod. */
  readonly address: string;
}

/** Does what a probe or hook says. @returns whether it went well within the time */
export async function perform(hook: Hook, { container, process, address }: Looking, ms: number): Promise<boolean> {
  if (hook.exec) return (await process.execute(hook.exec.command, ms)) === 0;
  if (hook.httpGet) return await get(hook.httpGet, address, portOf(container, hook.httpGet.port), ms);
  if (hook.tcpSocket) return await accepts(address, portOf(container, hook.tcpSocket.port), ms);
  if (hook.sleep) {
    await Promise.race([pause(Math.min(hook.sleep.seconds * 1000, ms)), process.ended]);
    return true;
  }
  throw new Error(`a hook of ${container.name} is not one that the harness knows: ${JSON.stringify(hook)}`);
}

function portOf({ ports = [], name: container }: Container, port: number | string): number {
  if (typeof port === 'number') return port;
  const found = ports.find(({ name }) => name === port);
  if (found === undefined) throw new Error(`container ${container} has no port ${port}`);
  return found.containerPort;
}

/** What has come while this process itself was held up is looked at first. */
const late = (end: () => void) => setImmediate(end);

/** As kubelet does it: the certificate is not looked at, and redirects count as good. */
async function get(http: HttpGet, host: string, port: number, timeout: number): Promise<boolean> {
  const headers = Object.fromEntries((http.httpHeaders ?? []).map(({ name, value }) => [name, value]));
  const common = { host, port, path: http.path ?? '/', headers, timeout, agent: false as const };
  return await new Promise((resolve) => {
    const options = { ...common, rejectUnauthorized: false, servername: '' };
    const sent = http.scheme === 'HTTPS' ? requestTls(options) : requestPlain(common);
    sent.once('response', (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400);
    });
    sent.once('timeout', () => late(() => sent.destroy())).once('error', () => resolve(false));
    sent.end();
  });
}

async function accepts(host: string, port: number, timeout: number): Promise<boolean> {
  const socket = connect({ host, port, timeout });
  const connected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('timeout', () => late(() => resolve(false)));
  });
  socket.destroy();
  return connected;
}
