// The server of the demo page: to whom it answers what, and under which policy.

import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type Page, startPage } from '../../quickstart/page-server.ts';
import { REASON_NAMES } from '../../src/rejection/rejection.ts';
import { startEchoUpstream, type EchoUpstream } from '../../quickstart/echo-upstream.ts';

interface Got {
  readonly status: number | undefined;
  readonly fields: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

suite('the server of the demo page', () => {
  let upstream: EchoUpstream;
  let page: Page;
  before(async () => {
    upstream = await startEchoUpstream({ port: 0, mark: 'secret-mark' });
    page = await startPage({
      port: 0,
      told: { gateway: 'http://localhost:9', issuer: 'https://login.example.com', audience: 'https://api.example.com' },
      upstream: `http://127.0.0.1:${upstream.port}`,
      authorizationServer: (incoming, response) => response.end(`authorization server: ${incoming.url}`),
    });
  });
  after(async () => {
    await page.close();
    await upstream.close();
  });

  /** A request whose path and Host go out as they are. */
  const get = (path: string, { method = 'GET', host = new URL(page.origin).host } = {}): Promise<Got> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(page.origin);
      const sent = request({ host: '127.0.0.1', port, path, method, headers: { Host: host } }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode, fields: response.headers, body }));
      });
      sent.once('error', reject).end();
    });

  test('another name than localhost is turned away, and its address by number is sent there', async () => {
    for (const host of ['evil.example.com', 'localhost', `localhost.evil.example.com:${new URL(page.origin).port}`]) {
      for (const path of ['/', '/settings.json', '/token', '/.quickstart/seen/1']) {
        const { status, body } = await get(path, { host });
        assert.equal(status, 421, `${host} ${path}`);
        assert.match(body, /^This page is http:\/\/localhost:\d+\/\n$/);
      }
    }
    const numbered = await get('//evil.example.com/', { host: `127.0.0.1:${new URL(page.origin).port}` });
    assert.deepEqual([numbered.status, numbered.fields['location']], [307, `${page.origin}/`]);
  });

  test('only files of the page are served, whatever a path looks like', async () => {
    for (const path of [
      '/../package.json',
      '/%2e%2e/package.json',
      '/page/../../package.json',
      '/client.ts',
      '/.quickstart/secrets.json',
      '/.quickstart/mark',
      '/constructor',
      '/__proto__',
      '/authx',
      '/quickstart/page/index.html',
      '/docs/clients/call.mjs',
    ]) {
      assert.equal((await get(path)).status, 404, path);
    }
    assert.equal((await get('/', { method: 'POST' })).status, 405);
  });

  test('every file comes under a policy that allows scripts of ours alone, requests to the gateway, and no frame', async () => {
    const cwd = join(import.meta.dirname, '../..');
    const files = globSync(['quickstart/page/*.{mjs,css,svg}', 'docs/clients/browser.mjs'], { cwd }).map(
      (file) => `/${file}`,
    );
    assert.ok(files.length > 5);
    for (const path of ['/', '/?code=1', '/settings.json', '/rejections', ...files]) {
      const { status, fields } = await get(path);
      assert.equal(status, 200, path);
      const policy = String(fields['content-security-policy']);
      for (const rule of [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self' http://localhost:9",
        "frame-ancestors 'none'",
      ]) {
        assert.ok(policy.includes(rule), `${path}: ${rule}`);
      }
      assert.doesNotMatch(policy, /unsafe|\*/);
      assert.equal(fields['x-content-type-options'], 'nosniff');
      assert.equal(fields['referrer-policy'], 'no-referrer');
      assert.equal(fields['cache-control'], 'no-store');
    }
    const { body } = await get('/');
    assert.doesNotMatch(body, /<script(?! type="module" src="\/)|<style|\son\w+=|\sstyle=/);
  });

  test('the authorization server answers at its paths', async () => {
    for (const path of ['/auth?a=b', '/auth/uid', '/interaction/uid', '/token']) {
      const { body } = await get(path, { method: path === '/token' ? 'POST' : 'GET' });
      assert.equal(body, `authorization server: ${path}`);
    }
  });

  test('what a traced request looked like at the upstream is told, and null where it never arrived', async () => {
    await fetch(`http://127.0.0.1:${upstream.port}/browser/orders/1`, { headers: { 'X-Demo-Request': 'abc' } });
    assert.equal(JSON.parse((await get('/.quickstart/seen/abc')).body).path, '/browser/orders/1');
    const never = await get('/.quickstart/seen/never');
    assert.deepEqual([never.status, never.body], [200, 'null']);
    assert.doesNotMatch((await get('/.quickstart/seen/../mark')).body, /secret-mark/);
  });

  test('every reason has its place among the reasons', async () => {
    const { body } = await get('/rejections');
    for (const name of REASON_NAMES) assert.ok(body.includes(`<code id="${name}">`), name);
  });
});
