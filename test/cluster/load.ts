// Clients that keep their connections, until standard input ends: node load.ts JSON.

import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { Agent, request } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import type { LoadResult, LoadWishes } from './loading.ts';

const wishes = JSON.parse(process.argv[2] ?? '') as LoadWishes;
const { address, port, host, path, ca } = wishes;
const failures: Record<string, number> = {};
const state = { sent: 0, good: 0, on: true };

/** Nothing is sent again that a server may have looked at: what is judged here is a request that was lost. */
function judge(said: number | string): void {
  state.sent += 1;
  if (said === 200) state.good += 1;
  else failures[`${new Date().toISOString().slice(11, 23)} ${said}`] = 1;
}

async function askPlain(agent: Agent): Promise<number | string> {
  return await new Promise((resolve) => {
    const options = { host: address, port, path, agent, ca, servername: host, headers: { Host: host } };
    const one = request(options, (response) => {
      response.resume();
      response.once('error', (error) => resolve(`body: ${String(error)}`));
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    one.setTimeout(20_000, () => one.destroy(new Error('no answer within 20 s')));
    one.once('error', (error) => resolve(`http/1.1: ${error.message}`)).end();
  });
}

async function keepPlain(): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (state.on) {
    judge(await askPlain(agent));
    await pause(wishes.pause);
  }
  agent.destroy();
}

async function askStream(session: ClientHttp2Session): Promise<number | string> {
  return await new Promise((resolve) => {
    const stream = session.request({ ':path': path, ':authority': host });
    let status = 0;
    stream.once('response', (fields) => (status = Number(fields[':status'])));
    stream.setTimeout(20_000, () => stream.close());
    stream.once('error', (error) => resolve(`h2: ${error.message}`));
    stream.once('close', () => resolve(status === 0 ? `h2: closed, code ${stream.rstCode}` : status));
    stream.resume().end();
  });
}

/** A session that was told to go is used no more; its streams end in peace. */
async function openSession(): Promise<ClientHttp2Session & { gone?: boolean }> {
  const session: ClientHttp2Session & { gone?: boolean } = connect(`https://${address}:${port}`, {
    ca,
    servername: host,
  });
  session.once('goaway', () => (session.gone = true));
  session.once('close', () => (session.gone = true));
  session.on('error', () => (session.gone = true));
  await once(session, 'connect');
  return session;
}

async function keepStreams(): Promise<void> {
  let session: Awaited<ReturnType<typeof openSession>> | undefined;
  while (state.on) {
    try {
      if (session === undefined || session.gone || session.closed || session.destroyed) {
        session?.close();
        session = await openSession();
      }
      let said = await askStream(session);
      // A stream that crossed GOAWAY was not processed, which clients repeat by themselves (RFC 9113 §8.7).
      if (typeof said === 'string' && said.includes('REFUSED_STREAM')) {
        session = await openSession();
        said = await askStream(session);
      }
      judge(said);
    } catch (error) {
      session = undefined;
      judge(`h2: ${error instanceof Error ? error.message : String(error)}`);
    }
    await pause(wishes.pause);
  }
  session?.close();
}

process.stdin.resume().once('end', () => (state.on = false));
const clients = [
  ...Array.from({ length: wishes.http1 }, async () => await keepPlain()),
  ...Array.from({ length: wishes.http2 }, async () => await keepStreams()),
];
process.stderr.write('ready\n');
await Promise.all(clients);
const result: LoadResult = { sent: state.sent, good: state.good, failures: Object.keys(failures) };
process.stdout.write(JSON.stringify(result));
