// The circuit of a target: what opens it, its one trial, and what clients are told.

import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import { describe, it } from 'node:test';
import { script, send } from '../../support/forwarding.ts';
import { type Balanced, openBalanced, openTargets } from '../../support/targets.ts';
import { until } from '../../support/until.ts';

const CIRCUIT = { circuit: { failures: 3, open: 1.5 } };
const HURRIED = { timeouts: { responseHeader: 0.6 } };

async function halfOpen({ upstream }: Balanced): Promise<void> {
  await until(() => upstream.opensIn() <= 0);
}

const bodies = async (asked: readonly Promise<{ body: string }>[]) =>
  (await Promise.all(asked)).map(({ body }) => body);

describe('the circuit of a target that hangs', () => {
  it('opens after failures in a row, lets one trial through, and is closed by its answer', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    const { answer } = target;
    const balanced = await openBalanced(t, [target], CIRCUIT, HURRIED);
    target.answer = () => {};
    await balanced.ask('/1');
    await balanced.ask('/2');
    target.answer = answer;
    assert.equal((await balanced.ask('/3')).status, 200);
    target.answer = () => {};
    for (const path of ['/4', '/5', '/6']) assert.equal((await balanced.ask(path)).body, 'upstream_timed_out');
    assert.equal(balanced.events.count('circuit_opened'), 1);

    assert.deepEqual(await balanced.ask('/7'), { status: 503, body: 'upstream_circuit_open' });
    const last = balanced.outcomes.all.at(-1);
    const retryAfter = last?.kind === 'rejected' ? last.rejection.facts.retryAfter : undefined;
    assert.ok(retryAfter !== undefined && retryAfter > 0 && retryAfter <= CIRCUIT.circuit.open);

    await halfOpen(balanced);
    const first = balanced.ask('/trial');
    await until(() => target.seen.includes('/trial'));
    const others = ['/8', '/9', '/10'].map((path) => balanced.ask(path));
    assert.deepEqual(await bodies(others), Array(3).fill('upstream_circuit_open'));
    assert.equal((await first).body, 'upstream_timed_out');
    assert.equal((await balanced.ask('/11')).body, 'upstream_circuit_open');
    assert.equal(balanced.events.count('circuit_opened'), 1);

    target.answer = answer;
    await halfOpen(balanced);
    assert.equal((await balanced.ask('/good')).status, 200);
    assert.equal(balanced.events.count('circuit_closed'), 1);
    assert.deepEqual(await bodies(['/12', '/13'].map((path) => balanced.ask(path))), ['a ', 'a ']);
    assert.deepEqual(target.seen, ['/1', '/2', '/3', '/4', '/5', '/6', '/trial', '/good', '/12', '/13']);
  });

  it('is not kept open by a trial that hangs: the next one comes when the time has passed again', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    const { answer } = target;
    target.answer = () => {};
    const circuit = { failures: 1, open: 0.1 };
    const balanced = await openBalanced(t, [target], { circuit }, { timeouts: { responseHeader: 1 } });
    await balanced.ask('/1');
    await halfOpen(balanced);
    const hung = balanced.ask('/hung');
    await until(() => target.seen.includes('/hung'));
    target.answer = answer;
    await halfOpen(balanced);
    assert.equal((await balanced.ask('/next')).status, 200);
    await hung;
    assert.equal(balanced.events.count('circuit_closed'), 1);
  });

  it('is neither closed nor kept open by what was sent before it opened', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    const held: (() => void)[] = [];
    target.answer = ({ url }, response) => {
      if (url === '/slow') held.push(() => response.end('slow'));
    };
    const circuit = { failures: 1, open: 60 };
    const balanced = await openBalanced(t, [target], { circuit }, { timeouts: { responseHeader: 2 } });
    const first = balanced.ask('/1');
    await until(() => target.seen.includes('/1'));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const others = [balanced.ask('/slow'), balanced.ask('/2')];
    assert.equal((await first).body, 'upstream_timed_out');
    const opensIn = balanced.upstream.opensIn();
    held[0]?.();
    assert.deepEqual(await bodies(others), ['slow', 'upstream_timed_out']);
    assert.ok(balanced.upstream.opensIn() < opensIn && balanced.upstream.opensIn() > 0);
    assert.equal((await balanced.ask('/3')).body, 'upstream_circuit_open');
  });

  it('sends its requests to the other targets', async (t) => {
    const [hung, alive] = await openTargets(t, 2);
    assert.ok(hung && alive);
    hung.answer = () => {};
    const upstream = { circuit: { failures: 3, open: 60 }, balance: 'round-robin' } as const;
    const balanced = await openBalanced(t, [hung, alive], upstream, { timeouts: { responseHeader: 0.5 } });
    for (let n = 0; n < 6; n += 1) await balanced.ask(`/${n}`);
    assert.equal(balanced.events.count('circuit_opened'), 1);
    const answers = await Promise.all(Array.from({ length: 20 }, () => balanced.ask('/after')));
    assert.ok(answers.every(({ body }) => body === 'b '));
    assert.equal(hung.seen.length, 3);
  });
});

describe('a failure', () => {
  it('is a refused connection, once for each attempt', async (t) => {
    const balanced = await openBalanced(t, ['http://127.0.0.1:1'], { circuit: { failures: 4, open: 60 } });
    assert.deepEqual(
      [await balanced.ask('/'), await balanced.ask('/'), await balanced.ask('/')].map(({ body }) => body),
      ['upstream_unreachable', 'upstream_unreachable', 'upstream_circuit_open'],
    );
    assert.deepEqual(balanced.events.failures, Array(4).fill('unreachable'));
  });

  it('of the first attempt is told where the retry has nowhere to go', async (t) => {
    const balanced = await openBalanced(t, ['http://127.0.0.1:1'], { circuit: { failures: 1, open: 60 } });
    assert.equal((await balanced.ask('/')).body, 'upstream_unreachable');
    assert.equal((await balanced.ask('/')).body, 'upstream_circuit_open');
  });

  it('is an answer that is none', async (t) => {
    const liar = await script(t, (socket) => socket.on('data', () => socket.end('SMTP ready\r\n\r\n')));
    const balanced = await openBalanced(t, [liar], { circuit: { failures: 2, open: 60 } });
    assert.deepEqual(
      [await balanced.ask('/'), await balanced.ask('/'), await balanced.ask('/')].map(({ body }) => body),
      ['upstream_invalid', 'upstream_invalid', 'upstream_circuit_open'],
    );
  });

  it('is an answer whose head is good and whose framing is not', async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx';
    const liar = await script(t, (socket) => socket.on('data', () => socket.end(answer)));
    const balanced = await openBalanced(t, [liar], { circuit: { failures: 2, open: 60 } });
    assert.deepEqual(
      [await balanced.ask('/'), await balanced.ask('/'), await balanced.ask('/')].map(({ body }) => body),
      ['upstream_invalid', 'upstream_invalid', 'upstream_circuit_open'],
    );
  });

  it('is no answer with 502, 503 or 504: clients may cause those, and health checks are for the target', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    target.answer = ({ url }, response) => response.writeHead(Number(url?.slice(1))).end();
    const balanced = await openBalanced(t, [target], { circuit: { failures: 1, open: 60 } });
    for (const status of [500, 502, 503, 504, 502]) assert.equal((await balanced.ask(`/${status}`)).status, status);
    assert.deepEqual(balanced.events.troubles, []);
  });

  it('is no client that went away, and no body of its that came too slowly', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    const wishes = { timeouts: { idle: 0.5 } };
    const balanced = await openBalanced(t, [target], { circuit: { failures: 1, open: 60 } }, wishes);
    const upload = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(70_000)}`;
    await send(t, balanced.port, upload).until(/request_timed_out$/);
    const gone = send(t, balanced.port, upload);
    await until(() => target.seen.length >= 2);
    gone.socket.destroy();
    await balanced.outcomes.next();
    assert.equal((await balanced.outcomes.next()).kind, 'client_gone');
    assert.equal((await balanced.ask('/')).status, 200);
    assert.deepEqual(balanced.events.troubles, []);
  });

  it('is no body that the target did not want to the end: it closes in the middle of each, and is counted', async (t) => {
    const tired = await script(t, (socket) => {
      socket.once('data', (data) => {
        if (data.includes('POST')) socket.destroy();
        else socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    const balanced = await openBalanced(t, [tired], { circuit: { failures: 1, open: 60 } });
    const upload = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(70_000)}`;
    for (let nth = 0; nth < 3; nth += 1) await send(t, balanced.port, upload).until(/upstream_unreachable$/);
    assert.equal((await balanced.ask('/')).status, 200);
    assert.deepEqual(balanced.events.failures, ['unreachable', 'unreachable', 'unreachable']);
    assert.equal(balanced.events.count('circuit_opened'), 0);
  });

  it('is a target that closes after it has the whole body', async (t) => {
    const broken = await script(t, (socket) => void socket.once('data', () => socket.destroy()));
    const balanced = await openBalanced(t, [broken], { circuit: { failures: 1, open: 60 } });
    const upload = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody';
    await send(t, balanced.port, upload).until(/upstream_unreachable$/);
    await balanced.events.until('circuit_opened');
  });

  it('is no queue: requests that wait for the connections of others in vain open nothing', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    target.answer = () => {};
    const wishes = { timeouts: { connect: 0.5 } };
    const upstream = { connections: 1, circuit: { failures: 1, open: 60 } };
    const balanced = await openBalanced(t, [target], upstream, wishes);
    void balanced.ask('/held').catch(() => {});
    await until(() => target.seen.length === 1);
    const asked = await Promise.all([1, 2, 3].map((nth) => balanced.ask(`/${nth}`)));
    assert.deepEqual(
      asked.map(({ body }) => body),
      Array.from({ length: 3 }, () => 'upstream_queue_full'),
    );
    assert.deepEqual([balanced.events.failures, balanced.events.count('waited')], [[], 3]);
  });

  it('is no timeouts.total that the client used up, and one that the target did', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    target.answer = () => {};
    const wishes = { timeouts: { total: 0.6 } };
    const balanced = await openBalanced(t, [target], { circuit: { failures: 1, open: 60 } }, wishes);
    const late = send(t, balanced.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbod');
    setTimeout(() => late.socket.write('y'), 450);
    await late.until(/request_timed_out$/);
    assert.deepEqual(balanced.events.failures, []);
    assert.equal((await balanced.ask('/', 'body')).body, 'upstream_timed_out');
    await balanced.events.until('circuit_opened');
  });

  it('that breaks an answer off is counted, and opens nothing', async (t) => {
    const half = await script(t, (socket) => {
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf');
        setImmediate(() => socket.destroy());
      });
    });
    const balanced = await openBalanced(t, [half], { circuit: { failures: 1, open: 60 } });
    await assert.rejects(balanced.ask('/'));
    await assert.rejects(balanced.ask('/'));
    assert.deepEqual(balanced.events.failures, ['broken', 'broken']);
    assert.equal(balanced.events.count('circuit_opened'), 0);
  });
});

/** Names that cannot be asked for, for one reason or another, until they are told where the target is. */
function failingNames(code: string) {
  let failing = true;
  const lookup: LookupFunction = (_name, _options, answer) => {
    if (failing) answer(Object.assign(new Error(code), { code }), []);
    else answer(null, [{ address: '127.0.0.1', family: 4 }]);
  };
  return { lookup, mend: () => (failing = false) };
}

describe('a connection that could not be opened', () => {
  for (const code of ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']) {
    it(`for want of our own descriptors or memory (${code}) says nothing about the target`, async (t) => {
      const [target] = await openTargets(t, 1);
      assert.ok(target);
      const { lookup, mend } = failingNames(code);
      const balanced = await openBalanced(t, [`http://orders.test:${target.port}`], CIRCUIT, { open: { lookup } });
      for (const path of ['/1', '/2', '/3', '/4'])
        assert.equal((await balanced.ask(path)).body, 'upstream_unreachable');
      assert.equal(balanced.events.count('circuit_opened'), 0);
      mend();
      assert.equal((await balanced.ask('/5')).status, 200, 'it is not paused either');
    });
  }

  it('because nothing listens there opens the circuit', async (t) => {
    const { lookup } = failingNames('ECONNREFUSED');
    const balanced = await openBalanced(t, ['http://orders.test:1'], CIRCUIT, { open: { lookup } });
    for (const path of ['/1', '/2', '/3']) await balanced.ask(path);
    assert.equal(balanced.events.count('circuit_opened'), 1);
  });
});
