// The watch of a Secret, against an API server that forgets, breaks off, refuses and lies.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { SecretFailure, listSecret, watchSecret } from '../../../src/cli/secret/api.ts';
import { readDocument, type Secret } from '../../../src/cli/secret/document.ts';
import { followSecret } from '../../../src/cli/secret/watch.ts';
import { ApiServer, NAME } from './api-server.ts';

/** What was told, in order; `until` waits for it. */
class Heard {
  readonly all: string[] = [];
  #look = () => {};

  readonly changed = (secret: Secret) => {
    const document = readDocument(secret);
    this.#add('text' in document ? `text ${document.text}` : `wrong ${document.wrong}`);
  };
  readonly gone = () => this.#add('gone');
  readonly failed = (message: string, retry: number) => {
    assert.ok(retry > 0 && retry <= 20);
    this.#add(`failed ${message}`);
  };

  #add(one: string): void {
    this.all.push(one);
    this.#look();
  }

  until(pattern: RegExp, nth = 1): Promise<string> {
    return new Promise((resolve) => {
      this.#look = () => {
        const found = this.all.filter((one) => pattern.test(one))[nth - 1];
        if (found !== undefined) resolve(found);
      };
      this.#look();
    });
  }
}

async function start(t: TestContext, data?: Record<string, string | Buffer>) {
  const api = await ApiServer.start(t);
  if (data !== undefined) api.put(data);
  const heard = new Heard();
  const end = new AbortController();
  const followed = followSecret(api.cluster, NAME, heard, end.signal);
  t.after(async () => {
    end.abort();
    await followed;
  });
  return { api, heard };
}

const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise(setImmediate);
};

test('the content is told, then each change once, packed or not, and the end of it', async (t) => {
  const { api, heard } = await start(t, { 'holdfast.json': '1' });
  await heard.until(/^text 1$/);
  await until(() => api.watches === 1);
  api.put({ 'holdfast.json': '1' });
  api.put({ 'holdfast.json': '9', 'holdfast.json.gz': gzipSync('2') });
  await heard.until(/^text 2$/);
  api.put({ other: '3' });
  await heard.until(/^wrong has no key holdfast\.json\.gz or holdfast\.json$/);
  api.put(undefined);
  await heard.until(/^gone$/);
  api.put({ 'holdfast.json': '4' });
  await heard.until(/^text 4$/);
  assert.deepEqual(heard.all.length, 5);
});

test('a watch that ends is begun again where it stopped, with bookmarks, and with the token of then', async (t) => {
  const { api, heard } = await start(t, { 'holdfast.json': '1' });
  await until(() => api.watches === 1);
  api.bookmark();
  api.renewToken('second-token');
  await new Promise((resolve) => setTimeout(resolve, 50));
  api.endWatches();
  await until(() => api.asked.length === 3);
  const [list, first, second] = api.asked;
  assert.deepEqual(
    [list?.query.get('watch'), first?.query.get('resourceVersion'), second?.query.get('resourceVersion')],
    [null, '101', '102'],
  );
  assert.deepEqual([first?.token, second?.token], ['Bearer first-token', 'Bearer second-token']);
  assert.deepEqual(heard.all, ['text 1']);
});

test('what was missed while the server was away, or has forgotten (410), is listed', async (t) => {
  const { api, heard } = await start(t, { 'holdfast.json': '1' });
  await until(() => api.watches === 1);
  api.put({ 'holdfast.json': '2' }, false);
  api.endWatches();
  await heard.until(/^text 2$/);
  await until(() => api.watches === 1);
  api.put({ 'holdfast.json': '3' }, false);
  api.endWatches('destroy');
  await heard.until(/^text 3$/);
  assert.ok(heard.all.some((one) => one.startsWith('failed the answer of the API server broke off')));
});

test('a refusal is told with what to do, tried again ever more slowly, and leaves what was told', async (t) => {
  const { api, heard } = await start(t, { 'holdfast.json': '1' });
  await until(() => api.watches === 1);
  let refused = 0;
  api.answer = (_request, response) => {
    refused += 1;
    if (refused <= 2) response.writeHead(403).end('{"secret":"MARK"}');
    return refused <= 2;
  };
  api.put({ 'holdfast.json': '2' }, false);
  const began = performance.now();
  api.endWatches('destroy');
  await heard.until(/^text 2$/);
  assert.ok(performance.now() - began >= 250 + 500 + 1000, 'each time twice as long, and some more by chance');
  const expected =
    /^failed the API server answered 403, expected a Role that lets this ServiceAccount get, list and watch secret public in gateways$/;
  assert.equal(heard.all.filter((one) => expected.test(one)).length, 2);
});

test('what is no list is a failure, whose words are not those of the server', async (t) => {
  const api = await ApiServer.start(t);
  const answers = [
    'no json MARK',
    '[]',
    '{"metadata":{"resourceVersion":1},"items":[]}',
    '{"items":{"MARK":1}}',
    'x'.repeat(9 * 2 ** 20),
  ];
  for (const text of answers) {
    api.answer = (_request, response) => (response.end(text), true);
    await assert.rejects(listSecret(api.cluster, NAME, new AbortController().signal), (error) => {
      assert.ok(
        error instanceof SecretFailure &&
          error.message.startsWith('the API server answered with ') &&
          !error.message.includes('MARK'),
      );
      return true;
    });
  }
  const stranger = { ...api.cluster, folder: (await ApiServer.start(t)).cluster.folder, host: '127.0.0.1' };
  await assert.rejects(
    listSecret(stranger, NAME, new AbortController().signal),
    /^Error: the API server does not answer: /,
  );
  const nowhere = { ...api.cluster, folder: '/nowhere' };
  await assert.rejects(
    listSecret(nowhere, NAME, new AbortController().signal),
    /token and CA of the pod cannot be read: ENOENT$/,
  );
});

test('an event has a bound, and one that is none ends the watch', async (t) => {
  const api = await ApiServer.start(t);
  api.put({ 'holdfast.json': '1' });
  const watch = async (event: string) => {
    const changes = watchSecret(api.cluster, NAME, '101', new AbortController().signal);
    const next = changes.next();
    await until(() => api.watches === 1);
    api.send(event);
    const result = await next.finally(() => api.endWatches('destroy'));
    await until(() => api.watches === 0);
    return result.value;
  };
  await assert.rejects(watch('x'.repeat(9 * 2 ** 20)), /an event of more than 8388608 bytes$/);
  await until(() => api.watches === 0);
  await assert.rejects(watch('{"type":"MODIFIED","object":7}\n'), /an event without a version$/);
  await until(() => api.watches === 0);
  await assert.rejects(
    watch('{"type":"ERROR","object":{"code":500,"reason":"MARK 1"}}\n'),
    /ended the watch with 500$/,
  );
});

test('what is packed is unpacked within a bound', () => {
  const document = (data: Record<string, Buffer>) =>
    readDocument({
      version: '1',
      data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, value.toString('base64')])),
    });
  const bomb = gzipSync(Buffer.alloc(65 * 2 ** 20));
  assert.ok(bomb.length < 100_000);
  for (const wrong of [bomb, Buffer.from('MARK'), Buffer.alloc(0), gzipSync('{}').subarray(0, 12)]) {
    assert.deepEqual(document({ 'holdfast.json.gz': wrong }), {
      wrong: 'holdfast.json.gz is not gzip, or has more than 67108864 bytes unpacked',
    });
  }
  assert.deepEqual(document({ 'holdfast.json': Buffer.from('{"a":[1]}') }), { text: '{"a":[1]}' });
  assert.deepEqual(document({ 'holdfast.json': Buffer.from('version: 1') }), { text: 'version: 1' });
});
