// Exchanges, proofs and tokens as elements of the demo page; every value is text.

import { readPart } from './encoding.mjs';

/** An element; children that are strings become text. */
export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A long value without its middle. */
export const cut = (value, most = 30) => {
  const text = String(value);
  return text.length <= most ? text : `${text.slice(0, most - 11)}…${text.slice(-10)}`;
};

/** Names and values as a list. @param rows pairs of a name and a string or an element */
export const list = (rows) =>
  element('dl', {}, ...rows.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]));

const link = (href, text) => element('a', { href }, text);

/** A section of an RFC, such as `9449 §4.3`. */
export function rfc(cited) {
  const [number, section] = cited.split(' §');
  return link(`https://www.rfc-editor.org/rfc/rfc${number}.html#section-${section}`, `RFC ${cited}`);
}

/** A problem document (RFC 9457), or undefined. */
function readProblem({ got, body }) {
  const type = new Map(got).get('content-type') ?? '';
  if (!type.startsWith('application/problem+json')) return undefined;
  try {
    const { title, detail, reason } = JSON.parse(body);
    return { title: cut(title, 200), detail: cut(detail, 300), reason: cut(reason, 60) };
  } catch {
    return undefined;
  }
}

/** Did the request pass? */
export const passed = ({ status }) => status < 400;

/** Status and reason of an answer. @param good the tone of a request that passed */
export function answerMark(exchange, good = 'good') {
  const reason = readProblem(exchange)?.reason ?? '';
  const asked = ['nonce_required', 'nonce_stale'].includes(reason);
  const tone = passed(exchange) ? good : asked ? 'asked' : 'bad';
  const mark = element('span', { class: tone }, `${exchange.status} `);
  if (reason !== '') mark.append(link(`/rejections#${encodeURIComponent(reason)}`, reason));
  return mark;
}

/** Method and path of a request. */
export const target = ({ method, url }) => element('code', {}, `${method} ${cut(new URL(url).pathname, 60)}`);

/** The line of a request and what came of it. */
export const requestLine = (exchange) => element('p', { class: 'line' }, target(exchange), ' ', answerMark(exchange));

const NAMES = {
  authorization: 'Authorization',
  dpop: 'DPoP',
  'content-type': 'Content-Type',
  'www-authenticate': 'WWW-Authenticate',
  'dpop-nonce': 'DPoP-Nonce',
};

/** The fields that matter, of a request or of its answer. */
function fields(lines) {
  const shown = lines.filter(([name]) => name in NAMES).map(([name, value]) => [NAMES[name], shownValue(name, value)]);
  const proof = lines.find(([name]) => name === 'dpop');
  return list([...shown, ...(proof === undefined ? [] : [['in the proof', claims(proof[1])]])]);
}

function shownValue(name, value) {
  if (name === 'www-authenticate') return element('code', {}, cut(value, 300));
  const [, scheme = '', rest = value] = (name === 'authorization' && /^(\S+ )(.*)$/.exec(value)) || [];
  return element('code', {}, scheme + cut(rest));
}

/** The payload of a JWT, or some claims of it, one in a line. */
export function claims(jwt, names) {
  const lines = element('ul', { class: 'claims' });
  try {
    const all = Object.entries(readPart(jwt.split('.')[1]));
    for (const [name, value] of all.filter(([name]) => names?.includes(name) ?? true)) {
      const whole = ['htu', 'iss', 'aud'].includes(name) || typeof value !== 'string';
      const shown = cut(typeof value === 'string' ? value : JSON.stringify(value), whole ? 60 : 30);
      lines.append(element('li', {}, element('code', {}, `${cut(name)}: ${shown}`)));
    }
  } catch {
    lines.append(element('li', {}, 'This cannot be read.'));
  }
  return lines;
}

/** A request and its answer in full, as far as that helps. */
export function exchangeDetails(exchange, { open = false, summary = ['Sent and answered'] } = {}) {
  const folded = element('details', open ? { open: '' } : {}, element('summary', {}, ...summary));
  folded.append(element('h4', {}, 'Sent'), fields(exchange.sent));
  folded.append(element('h4', {}, 'Answered'), fields(exchange.got));
  return folded;
}

/** What a refusal says, in its own words, and what comes behind them. */
export function problemWords(exchange, ...behind) {
  const problem = readProblem(exchange);
  if (problem === undefined) return '';
  return element('p', {}, element('strong', {}, `${problem.title}.`), ` ${problem.detail}`, ...behind);
}
