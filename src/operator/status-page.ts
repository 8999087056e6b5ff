// The status page: one HTML document without scripts or other resources.

import { hash } from 'node:crypto';
import type { RouteDescription } from '../config/report/describe.ts';
import type { IssuerStatus, Reload, Status, UpstreamStatus, WorkerStatus } from './status.ts';

/** Text that is HTML already; only `html` makes it, so that nothing gets into a page without being escaped. */
class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Inner = string | number | Html | readonly Html[];

function html(parts: TemplateStringsArray, ...values: readonly Inner[]): Html {
  const shown = (value: Inner | undefined): string => {
    if (value instanceof Html) return value.text;
    if (typeof value === 'object') return value.map(({ text }) => text).join('');
    return String(value ?? '').replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  };
  return new Html(parts.map((part, index) => `${part}${index < values.length ? shown(values[index]) : ''}`).join(''));
}

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --good: #187a3c; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --good: #6fd08c; --bad: #ff8a80; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; } p { margin: .25rem 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
ul { margin: 0; padding-left: 1.1rem; } code { font: .9em ui-monospace, monospace; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
@media (max-width: 40rem) {
  thead { display: none; } tr { display: block; padding: .4rem 0; border-bottom: 1px solid var(--line); }
  td { display: block; border: 0; padding: 0; } td::before { content: attr(data-name) ": "; font-weight: 600; }
}
`;

/** Nothing may be loaded, run, framed or sent anywhere; the one style is the page's own. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The page for people. Everything in it that came from a configuration or from outside is escaped. */
export function statusPage(status: Status): string {
  const { version, policy, state, now, startedAt, replay } = status;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Holdfast: ${state}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${new Html(STYLE)}</style></head><body>
<h1>Holdfast ${version}: ${mark(status.ready, status.ready ? 'ready' : 'not ready')}</h1>
<p>${state}, up ${elapsed(now - startedAt)}, since ${moment(startedAt)}</p>
<p>Policy <code>${policy.id}</code> of <code>${policy.file}</code>, in force since ${moment(policy.since)}</p>
${reloadLines(status.lastReload)}
<p>Proofs remembered: ${replay.entries} of ${replay.capacity} (${percent(replay.entries / Math.max(1, replay.capacity))})</p>
${section('Workers', ['Worker', 'State', 'Restarts', 'Busy'], status.workers.map(workerRow))}
${section(
  'Listeners',
  ['Listener', 'Connections'],
  status.listeners.map(({ description, connections }) => [description, connections]),
)}
${section('Routes', ['Route', 'Demands', 'Upstream', 'Not enforced'], status.routes.map(routeRow))}
${section(
  'Issuers',
  ['Issuer', 'Keys', 'Loaded', 'Last attempt'],
  status.issuers.map((one) => issuerRow(one, now)),
)}
${section('Upstreams', ['Upstream', 'Target', 'Health', 'Pending'], status.upstreams.flatMap(upstreamRows))}
<p>The same as <a href="/status.json">JSON</a>; the <a href="/config">configuration</a> in force.</p>
</body></html>
`;
  return page.text;
}

function section(title: string, names: readonly string[], rows: readonly (readonly Inner[])[]): Html {
  if (rows.length === 0) return html``;
  const cells = (row: readonly Inner[]) =>
    row.map((cell, index) => html`<td data-name="${names[index] ?? ''}">${cell}</td>`);
  return html`<h2>${title}</h2><table><thead><tr>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody></table>`;
}

function reloadLines(reload: Reload | undefined): Html {
  if (reload === undefined) return html`<p>No reload since the start</p>`;
  const { at, cause, result, changes, problems } = reload;
  const why = cause === 'signal' ? 'by SIGHUP' : 'because files changed';
  const what = changes.length > 0 ? html`: ${changes.join(', ')}` : html``;
  return html`<p>Last reload ${moment(at)}, ${why}: ${mark(result !== 'refused', result)}${what}</p>${list(problems)}`;
}

function workerRow({ index, state, restarts, utilization }: WorkerStatus): readonly Inner[] {
  return [index, mark(state === 'serving', state), restarts, percent(utilization)];
}

function routeRow({ name, match, upstream, demands, shadow, notEnforced }: RouteDescription): readonly Inner[] {
  const beside = shadow.length > 0 ? html`<p>Shadow:</p>${list(shadow)}` : html``;
  return [html`<strong>${name}</strong><br>${match}`, html`${list(demands)}${beside}`, upstream, list(notEnforced)];
}

function issuerRow({ name, issuer, keys, loadedAt, lastError }: IssuerStatus, now: number): readonly Inner[] {
  const loaded = loadedAt === undefined ? mark(false, 'never') : `${elapsed(now - loadedAt)} ago`;
  const last = lastError === undefined ? mark(true, 'good') : mark(false, lastError);
  return [html`<strong>${name}</strong><br>${issuer}`, keys, loaded, last];
}

function upstreamRows({ name, targets }: UpstreamStatus): readonly (readonly Inner[])[] {
  return targets.map(({ target, health, pending }) => [name, target, mark(health !== 'unhealthy', health), pending]);
}

function list(items: readonly string[]): Html {
  return items.length === 0 ? html`` : html`<ul>${items.map((item) => html`<li>${item}</li>`)}</ul>`;
}

function mark(good: boolean, text: string): Html {
  return html`<span class="${good ? 'good' : 'bad'}">${text}</span>`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function moment(seconds: number): Html {
  const text = new Date(seconds * 1000).toISOString().replace(/\.\d+/, '');
  return html`<time datetime="${text}">${text.replace('T', ' ').replace('Z', ' UTC')}</time>`;
}

/** The two largest units: `3 d 4 h`. */
function elapsed(seconds: number): string {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const;
  let rest = Math.max(0, Math.round(seconds));
  const parts = units.map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return [count, unit] as const;
  });
  const first = parts.findIndex(([count]) => count > 0);
  return first === -1
    ? '0 s'
    : parts
        .slice(first, first + 2)
        .filter(([count]) => count > 0)
        .map((part) => part.join(' '))
        .join(' ');
}
