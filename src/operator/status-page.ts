// The status page: one HTML document, in the order of an operator's questions.

import { hash } from 'node:crypto';
import type { RouteDescription } from '../config/report/describe.ts';
import { Html, html, type Inner, bullets, mark, sparkline, table } from './html.ts';
import type { RefusedConnectionStatus } from './refused-connections.ts';
import { elapsed, exactTime, milliseconds, shownTime, percent, perSecond, shortCount } from './shown.ts';
import type { IssuerStatus, Reload, ReplicaStatus, Status, UpstreamStatus, WorkerStatus } from './status.ts';
import type { LastRefusal, Rates, RefusalStatus } from './traffic.ts';

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --good: #187a3c; --bad: #b3261e; --warn: #8a5a00; --dim: #666; }
@media (prefers-color-scheme: dark) { :root { --good: #6fd08c; --bad: #ff8a80; --warn: #e0b050; --dim: #aaa; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; } p { margin: .25rem 0; }
h2 small, .dim { color: var(--dim); font-weight: 400; }
table { border-collapse: collapse; width: 100%; overflow-wrap: normal; } .wide { overflow-x: auto; } .any { overflow-wrap: anywhere; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); }
code { font: .9em ui-monospace, monospace; }
ul { margin: 0; padding-left: 1.1rem; } summary { padding: .3rem 0; cursor: pointer; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.warn { color: var(--warn); font-weight: 600; } .unknown { color: var(--dim); }
.box { border-left: 4px solid var(--bad); background: var(--soft); padding: .6rem .9rem; margin: 1rem 0; }
.box.mild { border-color: var(--warn); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.tile { border: 1px solid var(--line); border-radius: 6px; padding: .6rem .75rem; }
.tile b { display: block; font-size: 1.3rem; } .tile svg { display: block; width: 100%; }
@media (max-width: 60rem) {
  thead { display: none; } tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  td { display: block; border: 0; padding: 0; overflow-wrap: anywhere; }
  td:not(:empty)::before { content: attr(data-name) ": "; color: var(--dim); }
}
`;

/** Nothing may be loaded, run, framed or sent anywhere; the one style is the page's. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Seconds until a browser asks again. */
const AGAIN = 10;

/** The page for people. Everything in it that came from a configuration or from outside is escaped. */
export function statusPage(status: Status): string {
  const { version, host, policy, state, now, startedAt } = status;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Holdfast: ${status.ready ? state : 'not ready'}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="${AGAIN}">
<style>${new Html(STYLE)}</style></head><body>
<h1>Holdfast ${version} on <code>${host}</code> <span aria-hidden="true">●</span> ${mark(status.ready ? 'good' : 'bad', status.ready ? 'ready' : 'not ready')}</h1>
<p class="dim">${state} · policy <code>${policy.id}</code> of <code>${policy.file}</code> since ${shownTime(policy.since)} · up ${elapsed(now - startedAt)}
 · ${reloadLine(status.lastReload, now)} · page of ${shownTime(now)}, again in ${AGAIN} s</p>
${troubleBox(status)}
${tiles(status)}
${refusalTable(status.refusals)}
${lastTable(status.lastRefusals)}
${connectionTable(status.refusedConnections)}
<h2>Routes <small>(last 5 min)</small></h2>
${table(
  ['Route', 'Match', 'Demands', 'Req/s', 'Refused', 'p99', 'Upstream'],
  status.routes.map((route) => routeRow(route, status)),
)}
<details><summary>What each route does and does not enforce</summary>
${table(
  ['Route', 'Demands', 'Forwards', 'Not enforced'],
  status.routes.map(({ name, demands, forwards, shadow, notEnforced }) => [
    html`<strong>${name}</strong>`,
    html`${bullets(demands)}${shadow.length > 0 ? html`<p>Shadow:</p>${bullets(shadow)}` : html``}`,
    bullets(forwards),
    bullets(notEnforced),
  ]),
)}</details>
<details><summary>Issuers, upstreams, workers, listeners, certificates</summary>
${table(
  ['Issuer', 'Keys', 'Loaded', 'Last attempt'],
  status.issuers.map((one) => issuerRow(one, now)),
)}
${table(['Upstream', 'Target', 'Health', 'Pending'], status.upstreams.flatMap(upstreamRows))}
${table(['Worker', 'State', 'Restarts', 'Busy'], status.workers.map(workerRow))}
${table(
  ['Listener', 'Connections'],
  status.listeners.map(({ description, connections }) => [description, connections]),
)}
${table(
  ['Certificate', 'Listener', 'Ends'],
  status.certificates.map(({ file, listener, ends }) => [html`<code>${file}</code>`, listener, shownTime(ends)]),
)}
${reloadDetails(status.lastReload)}</details>
<p>The same as <a href="/status.json">JSON</a>; the <a href="/refusals.json">refusals</a>; the <a href="/config">configuration</a> in force.</p>
</body></html>
`;
  return page.text;
}

function troubleBox({ troubles }: Status): Html {
  if (troubles.length === 0) return html``;
  const grave = troubles.some((one) => one.grave);
  const lines = troubles.map(({ what, more }) => html`<p><strong>${what}</strong> ${more}</p>`);
  return html`<div class="box${grave ? '' : ' mild'}" role="alert">${lines}</div>`;
}

function tiles({ traffic, replay, certificates, now }: Status): Html {
  const { refused, failed, p50, p99, requestsByMinute, refusedByMinute } = traffic;
  const full = replay.entries / Math.max(1, replay.capacity);
  const [next] = certificates;
  const days = next === undefined ? undefined : (next.ends - now) / 86_400;
  const tile = (name: string, value: Inner, picture: Html = html``) =>
    html`<div class="tile"><span class="dim">${name}</span><b>${value}</b>${picture}</div>`;
  return html`<div class="tiles">${[
    tile('requests/s, 5 min', perSecond(traffic.perSecond), sparkline(requestsByMinute, 'unknown')),
    tile('refused, 5 min', shareMark(refused, 0.02), sparkline(refusedByMinute, 'bad')),
    tile('upstream failed, 5 min', shareMark(failed, 0.001)),
    tile('p50 / p99, 5 min', `${milliseconds(p50)} / ${milliseconds(p99)}`),
    replay.replica === undefined
      ? tile('proofs remembered', html`${shortCount(replay.entries)} <small class="dim">${percent(full)}</small>`)
      : tile('replay store in Redis', replicaMark(replay.replica)),
    tile('next certificate ends', days === undefined ? mark('unknown', 'none') : daysMark(days)),
  ]}</div>`;
}

function shareMark(share: number | undefined, high: number): Html {
  if (share === undefined) return mark('unknown', 'no requests');
  return share > high ? mark('bad', percent(share)) : html`${percent(share)}`;
}

function replicaMark({ up, reason = 'away' }: ReplicaStatus): Html {
  if (up === undefined) return mark('unknown', 'not known');
  return up ? mark('good', 'answers') : mark('bad', reason);
}

function daysMark(days: number): Html {
  const text = `${Math.floor(days)} d`;
  return days < 3 ? mark('bad', text) : days < 14 ? mark('warn', text) : html`${text}`;
}

function refusalTable(refusals: readonly RefusalStatus[]): Html {
  if (refusals.length === 0)
    return html`<h2>Why requests were refused</h2><p class="unknown">None in the last hour.</p>`;
  return html`<h2>Why requests were refused</h2>${table(
    ['Reason', 'Route', 'Last 5 min', 'Last hour', 'Last at', 'What to look at'],
    refusals.map(({ reason, route, lastFiveMinutes, lastHour, lastAt, lookAt }) => [
      html`<code>${reason}</code>`,
      route,
      lastFiveMinutes,
      lastHour,
      exactTime(lastAt),
      lookAt,
    ]),
  )}`;
}

function lastTable(refusals: readonly LastRefusal[]): Html {
  if (refusals.length === 0) return html``;
  return html`<h2>The last refusals <small>(50 are kept, in memory only)</small></h2>${table(
    ['At', 'Request', 'Route', 'Reason', 'What', 'Expected', 'Received', 'From', 'request_id'],
    refusals.map(({ at, method, path, route, reason, what, expected, received, client = '', requestId }) => [
      exactTime(at),
      html`<code class="any">${method} ${path}</code>`,
      route,
      html`<code>${reason}</code>`,
      what,
      html`<code class="any">${expected}</code>`,
      html`<code class="any">${received}</code>`,
      client,
      html`<code title="${requestId}">${requestId.slice(0, 8)}</code>`,
    ]),
  )}`;
}

function connectionTable(connections: readonly RefusedConnectionStatus[]): Html {
  if (connections.length === 0) return html``;
  return html`<h2>Connections that were refused <small>(before any request)</small></h2>${table(
    ['Why', 'Code', 'Listener', 'Last 5 min', 'Last hour', 'Last at', 'Last from', 'What to look at'],
    connections.map(({ refusal, code, listener, lastFiveMinutes, lastHour, lastAt, lastClient = '', lookAt }) => [
      html`<code>${refusal}</code>`,
      html`<code>${code}</code>`,
      listener,
      lastFiveMinutes,
      lastHour,
      exactTime(lastAt),
      lastClient,
      lookAt,
    ]),
  )}`;
}

const NO_RATES: Rates = { perSecond: 0, refused: undefined, failed: undefined, p50: undefined, p99: undefined };

function routeRow(
  { name, match, demands, upstream }: RouteDescription,
  { traffic, upstreams }: Status,
): readonly Inner[] {
  const rates = traffic.routes.find(({ route }) => route === name) ?? NO_RATES;
  const known = upstreams.find((one) => upstream.startsWith(`${one.name} (`));
  return [
    html`<strong>${name}</strong>`,
    html`<code class="any">${match}</code>`,
    demands[0] ?? '',
    perSecond(rates.perSecond),
    shareMark(rates.refused, 0.02),
    milliseconds(rates.p99),
    known === undefined ? upstream : html`${known.name} ${healthMark(known)}`,
  ];
}

function healthMark({ targets }: UpstreamStatus): Html {
  const up = targets.filter(({ health }) => health !== 'unhealthy').length;
  if (targets.every(({ health }) => health === 'unknown')) return mark('unknown', `${targets.length} not checked`);
  return mark(up === targets.length ? 'good' : 'bad', `${up} of ${targets.length} up`);
}

function reloadLine(reload: Reload | undefined, now: number): Html {
  if (reload === undefined) return html`no reload since the start`;
  return html`last reload ${elapsed(now - reload.at)} ago: ${mark(reload.result === 'refused' ? 'bad' : 'good', reload.result)}`;
}

function reloadDetails(reload: Reload | undefined): Html {
  if (reload === undefined) return html``;
  const { at, cause, result, changes, problems } = reload;
  const why = { signal: 'by SIGHUP', files: 'because files changed', secret: 'because the Secret changed' }[cause];
  return html`<p>Last reload ${shownTime(at)}, ${why}: ${result}</p>${bullets(changes)}${bullets(problems)}`;
}

function workerRow({ index, state, restarts, utilization }: WorkerStatus): readonly Inner[] {
  return [index, mark(state === 'serving' ? 'good' : 'bad', state), restarts, percent(utilization)];
}

function issuerRow({ name, issuer, keys, loadedAt, lastError }: IssuerStatus, now: number): readonly Inner[] {
  const loaded = loadedAt === undefined ? mark('bad', 'never') : `${elapsed(now - loadedAt)} ago`;
  const last = lastError === undefined ? mark('good', 'good') : mark('bad', lastError);
  return [html`<strong>${name}</strong><br>${issuer}`, keys, loaded, last];
}

function upstreamRows({ name, targets }: UpstreamStatus): readonly (readonly Inner[])[] {
  const tone = { healthy: 'good', unhealthy: 'bad', unknown: 'unknown' } as const;
  return targets.map(({ target, health, pending }) => [name, target, mark(tone[health], health), pending]);
}
