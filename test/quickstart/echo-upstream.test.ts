// The echo upstream: its answers are what arrived.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { request } from 'undici';
import {
  type EchoUpstream,
  MARK_PATH,
  SEEN_PATH,
  startEchoUpstream,
  TRACE_FIELD,
} from '../../quickstart/echo-upstream.ts';

suite('the echo upstream', () => {
  let upstream: EchoUpstream;

  before(async () => {
    upstream = await startEchoUpstream({ port: 0, mark: 'a mark' });
  });

  after(() => upstream.close());

  const send = async (path: string, options: { method?: string; headers?: string[]; body?: string } = {}) => {
    const { statusCode, body } = await request(`http://127.0.0.1:${upstream.port}${path}`, { ...options, reset: true });
    return { status: statusCode, document: (await body.json()) as Record<string, unknown> };
  };

  test('answers with method, path, every field line as received, and the length of the content', async () => {
    const headers = ['X-One', '1', 'x-one', '2', 'X-One', '3'];
    const { document } = await send('/a/b?c=d', { method: 'PUT', headers, body: 'four' });
    const { fields, ...rest } = document as { fields: Record<string, unknown> };
    assert.deepEqual(rest, { method: 'PUT', path: '/a/b?c=d', content: 4 });
    assert.deepEqual(fields['X-One'], ['1', '3']);
    assert.equal(fields['x-one'], '2');
  });

  test('tells of a traced request, and only of one that arrived', async () => {
    assert.equal((await send(`${SEEN_PATH}t1`)).status, 404);
    const { document } = await send('/x', { headers: [TRACE_FIELD, 't1'] });
    assert.deepEqual(await send(`${SEEN_PATH}t1`), { status: 200, document });
    assert.equal((await send(`${SEEN_PATH}t2`)).status, 404);
  });

  test('forgets the oldest traces', async () => {
    await send('/x', { headers: [TRACE_FIELD, 'old'] });
    for (let n = 0; n < 200; n++) await send('/x', { headers: [TRACE_FIELD, `new-${n}`] });
    assert.equal((await send(`${SEEN_PATH}old`)).status, 404);
    assert.equal((await send(`${SEEN_PATH}new-199`)).status, 200);
  });

  test('says whose it is', async () => {
    assert.deepEqual((await send(MARK_PATH)).document, { mark: 'a mark' });
  });
});
