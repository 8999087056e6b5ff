// `holdfast drain`: the order to send clients elsewhere, and the wait until they are gone.

import { request } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { secondsOf } from '../config/duration.ts';
import { ORDER_FIELD } from '../operator/order-field.ts';
import { type CommandLine, UsageError } from './arguments.ts';
import { EXIT } from './commands.ts';
import { type Printed, printFailure } from './printed.ts';

/** Where `admin.bind` is by default. */
const ADMIN = 'http://127.0.0.1:9901';
/** Less than the 30 seconds that a pod has to end by default. */
const WAIT = '25s';
/** Milliseconds between two looks, and for an answer. */
const LOOK = 250;
const TIMEOUT = 5000;
const ABOUT = { command: 'drain' } as const;

/** Where an order is given: what node:http takes. */
type Place = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/**
 * Gives the order to drain, and waits until no client is connected or `--wait` is over; both are success, and so is the end of
 * the gateway meanwhile. The gateway serves on until a signal ends it.
 * @throws UsageError
 */
export async function drain({ options }: CommandLine): Promise<Printed> {
  const { admin = ADMIN, wait = WAIT, 'not-ready': notReady = false, json = false } = options;
  const place = readPlace(admin);
  const seconds = secondsOf(wait);
  if (Number.isNaN(seconds)) throw new UsageError(`--wait must be a duration such as ${WAIT}`, ABOUT);
  const path = notReady ? '/drain?ready=false' : '/drain';
  const began = performance.now();
  let left: number | undefined;
  for (;;) {
    const answer = await order(place, path);
    if (typeof answer === 'string') {
      if (left === undefined) return printFailure(EXIT.failed, `${admin} ${answer}`, json);
      left = 0; // the gateway has ended, its connections with it
    } else left = answer;
    const waited = (performance.now() - began) / 1000;
    if (left === 0 || waited >= seconds) return printed(left, waited, json);
    await sleep(Math.min(LOOK, (seconds - waited) * 1000));
  }
}

function printed(connections: number, waited: number, json: boolean): Printed {
  const seconds = Math.round(waited * 10) / 10;
  const some = connections === 1 ? '1 connection is left' : `${connections} connections are left`;
  const words = connections === 0 ? 'no connection is left' : some;
  const stdout = json ? `${JSON.stringify({ connections, waited: seconds })}\n` : `${words} after ${seconds} s\n`;
  return { exit: EXIT.ok, stdout, stderr: '' };
}

function readPlace(admin: string): Place {
  if (admin.startsWith('unix:/')) return { socketPath: admin.slice('unix:'.length) };
  const url = URL.parse(admin);
  if (url?.protocol !== 'http:') {
    throw new UsageError(`--admin must be ${ADMIN}, which is the default, or alike, or unix:/PATH`, ABOUT);
  }
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port || 80) };
}

/** @returns connections that are left, or why there is no answer */
async function order(place: Place, path: string): Promise<number | string> {
  const { promise, resolve } = Promise.withResolvers<number | string>();
  const fields = { Host: 'localhost', [ORDER_FIELD]: 'drain', 'Content-Length': 0 };
  const signal = AbortSignal.timeout(TIMEOUT);
  const asked = request({ ...place, path, method: 'POST', headers: fields, agent: false, signal });
  asked.once('error', () => resolve('does not answer; --admin says where admin.bind is'));
  asked.once('response', (response) => {
    void readText(response).then(
      (text) =>
        resolve(
          response.statusCode === 200
            ? readConnections(text)
            : `answered ${response.statusCode}: ${text.trim().slice(0, 200)}`,
        ),
      () => resolve('broke off its answer'),
    );
  });
  asked.end();
  return await promise;
}

function readConnections(text: string): number | string {
  const count: unknown = /^\{"connections":(\d{1,9})\}\n$/.exec(text)?.[1];
  return count === undefined ? 'is not the admin port of a gateway' : Number(count);
}
