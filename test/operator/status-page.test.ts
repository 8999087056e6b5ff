// The status page: complete, and safe against markup in names and messages.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { CONTENT_SECURITY_POLICY, statusPage } from '../../src/operator/status-page.ts';
import { STATUS } from '../support/status.ts';

/** A page as it is read: without tags, white space collapsed. */
function readable(page: string): string {
  return page
    .replace(/<style>[^]*<\/style>/, '')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replaceAll(/\s+/g, ' ');
}

test('the page says what runs, since when, and what became of the last reload', () => {
  const text = readable(statusPage(STATUS));
  for (const part of [
    'Holdfast 0.2.0 on edge-1 ● ready',
    'serving · policy abcd1234 of /etc/holdfast/holdfast.yaml since 2027-01-15 21:53:20 UTC · up 1 d 3 h',
    'Issuer other has no keys: its tokens get 503. no answer in 5 s',
    'requests/s, 5 min 412',
    'refused, 5 min 3.1 %',
    'upstream failed, 5 min 0.02 %',
    'p50 / p99, 5 min 4.0 ms / 61 ms',
    'proofs remembered 500 25 %',
    'next certificate ends 6 d',
    'proof_uri_mismatch orders 742 751',
    'If htu is what the client called, have the balancer send X-Forwarded-Proto and name it in trusted_peers',
    'https://api.example.com/orders/1 http://api.example.com/orders/1 198.51.100.7 df47f920',
    'orders GET api.example.com /orders/* an access token bound to a DPoP key 390 3.2 % 61 ms orders 1 of 2 up',
    'because files changed: refused',
    'holdfast.yaml:7:11 listeners[0].bind: needs a restart',
    '2 starting 3 0 %',
    'public: 0.0.0.0:8443 as https://api.example.com 12',
    'an access token bound to a DPoP key Shadow: and a certificate',
    'login https://login.example.com 2 10 min ago good',
    'other https://other.example.com 0 never no answer in 5 s',
    'http://127.0.0.1:9001 unhealthy 0',
  ]) {
    assert.ok(text.includes(part), `${part} is not in ${text}`);
  }
  assert.match(
    readable(statusPage({ ...STATUS, lastReload: undefined, ready: false })),
    /not ready .* no reload since the start/,
  );
});

test('a replica replay store that is away is told first, and one that is not known is no good one', () => {
  const shown = (up: boolean | undefined, reason?: string) =>
    statusPage({ ...STATUS, replay: { entries: 0, capacity: 100, replica: { up, reason } } });
  assert.match(shown(true), /replay store in Redis<\/span><b><span class="good">answers</);
  assert.match(shown(false, 'timeout'), /replay store in Redis<\/span><b><span class="bad">timeout</);
  assert.match(shown(undefined), /replay store in Redis<\/span><b><span class="unknown">not known</);
  assert.doesNotMatch(readable(shown(true)), /proofs remembered/);
});

test('whatever stands in a name, a path or a message stays text', () => {
  const nasty = `"><script>alert(1)</script><img src=x onerror='alert(1)'>&lt;`;
  const spoil = (value: unknown): unknown => {
    if (typeof value === 'string') return nasty;
    if (Array.isArray(value)) return value.map(spoil);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, spoil(inner)]));
  };
  const page = statusPage(spoil(STATUS) as typeof STATUS);
  assert.doesNotMatch(page, /<script|<img|alert\(1\)</i);
  const tags = (text: string) => [...text.matchAll(/<\/?[a-z0-9]+/g)].map(([tag]) => tag);
  const known = new Set(tags(statusPage(STATUS)));
  assert.deepEqual(
    tags(page).filter((tag) => !known.has(tag)),
    [],
  );
  assert.ok(readable(page).includes(nasty));
});

test('the page needs nothing else: no script, no other resource, and the one style that its policy allows', () => {
  const page = statusPage(STATUS);
  const [, style = ''] = /<style>([^]*)<\/style>/.exec(page) ?? [];
  assert.ok(CONTENT_SECURITY_POLICY.includes(createHash('sha256').update(style).digest('base64')));
  assert.doesNotMatch(page, /<(?:script|link|img|iframe|form)\b| style="| on[a-z]+="|src=/);
  assert.deepEqual(
    [...page.matchAll(/href="([^"]*)"/g)].map(([, href]) => href),
    ['/status.json', '/refusals.json', '/config'],
  );
  assert.match(page, /<meta name="viewport"/);
});
