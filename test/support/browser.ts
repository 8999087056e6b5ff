// A real Chromium for tests: started, led, and ended with the test.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';

interface BrowserOptions {
  /** Called when it has ended, which it does with the test. */
  readonly ended?: () => void;
  /** Certificates are not checked. */
  readonly anyCertificate?: boolean;
}

/** Starts a browser; returns the address of its debugging protocol. */
export async function startBrowser(
  t: TestContext,
  file: string,
  url: string,
  { ended = () => {}, anyCertificate = false }: BrowserOptions = {},
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-browser-'));
  const flags = ['--no-sandbox', '--disable-gpu', `--user-data-dir=${folder}`];
  if (anyCertificate) flags.push('--ignore-certificate-errors');
  // A group, because Debian's command is a script that starts the browser.
  const child = spawn(file, [...flags, '--remote-debugging-port=0', url], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  child.once('close', ended);
  t.after(async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      process.kill(-child.pid, 'SIGKILL');
      await once(child, 'close');
    }
    rmSync(folder, { recursive: true, maxRetries: 20 });
  });
  const lines = createInterface(child.stderr);
  for await (const line of lines) {
    const [, address] = /^DevTools listening on (ws:\S+)/.exec(line) ?? [];
    if (address === undefined) continue;
    child.stderr.resume();
    return address;
  }
  throw new Error(`${file} has ended before it could be led`);
}

/** One page of a browser. */
export interface BrowserPage {
  /** A command of the Chrome DevTools Protocol, and its result. */
  send(method: string, params?: object): Promise<Readonly<Record<string, unknown>>>;
  /** The value of an expression in the page. */
  value(expression: string): Promise<unknown>;
  /** Settles when the page and all that it needs is loaded. */
  open(url: string): Promise<void>;
  /** Calls back for each event of that name. */
  on(method: string, listener: (params: Readonly<Record<string, unknown>>) => void): void;
  /** What the browser and the page complained of: violations of the policy, failed loads, errors of scripts. */
  readonly log: readonly unknown[];
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** Opens a page in a browser. @param address of the browser's debugging protocol */
export async function openPage(t: TestContext, address: string): Promise<BrowserPage> {
  const { host } = new URL(address);
  const made = await fetch(`http://${host}/json/new?about:blank`, { method: 'PUT' });
  const { webSocketDebuggerUrl } = (await made.json()) as { webSocketDebuggerUrl: string };
  const socket = new WebSocket(webSocketDebuggerUrl);
  t.after(() => socket.terminate());
  await once(socket, 'open');
  const waiting = new Map<number, (message: Message) => void>();
  const log: unknown[] = [];
  const listeners = new Map<string, (params: Readonly<Record<string, unknown>>) => void>([
    ['Log.entryAdded', ({ entry }) => log.push(entry)],
    ['Runtime.exceptionThrown', ({ exceptionDetails }) => log.push(exceptionDetails)],
    ['Runtime.consoleAPICalled', ({ type, args }) => log.push({ type, args })],
  ]);
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as Message;
    if (message.id !== undefined) waiting.get(message.id)?.(message);
    if (message.method !== undefined) listeners.get(message.method)?.(message.params ?? {});
  });
  const send = async (method: string, params: object = {}) => {
    const id = waiting.size + 1;
    const answer = new Promise<Message>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  };
  for (const domain of ['Page', 'Log', 'Runtime']) await send(`${domain}.enable`);
  return {
    send,
    log,
    on: (method, listener) => void listeners.set(method, listener),
    async value(expression) {
      const { result } = await send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
      return (result as { value?: unknown }).value;
    },
    async open(url) {
      const done = new Promise<void>((resolve) => listeners.set('Page.loadEventFired', () => resolve()));
      await send('Page.navigate', { url });
      await done;
    },
  };
}
