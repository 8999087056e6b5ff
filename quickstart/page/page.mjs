// The demo page: its buttons, and what each step shows.

import { dpopFetch } from '../../docs/clients/browser.mjs';
import { checkAnswer, findKeys, logIn, makeAndKeepKeys, requestToken, takeLogin, tryToExport } from './client.mjs';
import { readPart, thumbprintOf } from './encoding.mjs';
import { overhear } from './overhear.mjs';
import {
  answerMark,
  claims,
  cut,
  element,
  exchangeDetails,
  list,
  passed,
  problemWords,
  requestLine,
  rfc,
  target,
} from './show.mjs';

/** What the thief tries (thief.mjs), and the rule that is in the way. */
const THEFTS = {
  bearer: ['The token alone, as Bearer', '9449 §7.2'],
  'no-proof': ['The token alone, as DPoP', '9449 §7.1'],
  'own-key': ["A proof by the thief's key", '9449 §4.3'],
  'own-thumbprint': ['The token, edited to fit that key', '9068 §4'],
  replay: ['The whole request once more', '9449 §11.1'],
  'other-url': ['The proof for another URL', '9449 §4.3'],
  'other-method': ['The proof for another method', '9449 §4.3'],
};

const settings = await (await fetch('/settings.json')).json();
const exchanges = [];
overhear((exchange) => exchanges.push(exchange));

/**
 * What the steps so far have made; the buttons of later steps are off without it.
 * @type {Record<'keys' | 'token' | 'captured', any>}
 */
const state = { keys: undefined, token: undefined, captured: undefined };

const find = (selector) => document.querySelector(selector);
const tell = (text, tone = '') => {
  find('#news').textContent = text;
  find('#news').className = tone;
};
const show = (step, ...children) => find(`#${step} .outcome`).replaceChildren(...children);
const yes = (text) => element('p', { class: 'good' }, `✓ ${text}`);
const no = (text) => element('p', { class: 'bad' }, `✗ ${text}`);

async function makeKey() {
  Object.assign(state, { keys: await makeAndKeepKeys(), token: undefined, captured: undefined });
  for (const step of ['token', 'call', 'theft']) show(step);
  await showKey();
}

async function showKey() {
  const outcomes = Object.entries(await tryToExport(state.keys));
  const safe = outcomes.every(([, refused]) => refused !== undefined);
  show(
    'key',
    list([
      ['thumbprint', element('code', {}, await thumbprintOf(state.keys))],
      ['extractable', element('code', {}, String(state.keys.privateKey.extractable))],
      ...outcomes.map(([way, refused]) => [way, element('code', {}, refused ?? 'gave it away')]),
    ]),
    safe ? yes('No script gets the private key out of the browser.') : no('A script can read the private key.'),
  );
}

/** Leaves the page; `playing` says whether the rest is played when it is back. */
const getToken = (playing) => logIn(state.keys, settings.audience, { playing });

async function finishLogin(login) {
  const from = exchanges.length;
  state.token = await requestToken(state.keys, login);
  const [exchange] = exchanges.slice(from);
  const { cnf } = readPart(state.token.split('.')[1]);
  const asked = new URL(login.url);
  const bound = cnf?.jkt === (await thumbprintOf(state.keys));
  show(
    'token',
    element('p', { class: 'line' }, element('code', {}, `GET ${asked.pathname}`), ' by redirect'),
    list(['code_challenge', 'dpop_jkt'].map((name) => [name, element('code', {}, cut(asked.searchParams.get(name)))])),
    requestLine(exchange),
    exchangeDetails(exchange),
    element('h4', {}, 'The token says'),
    claims(state.token, ['sub', 'aud', 'scope', 'cnf']),
    bound ? yes('cnf.jkt is the thumbprint of the key.') : no('cnf.jkt is not the thumbprint of the key.'),
  );
}

async function callApi() {
  const from = exchanges.length;
  const trace = crypto.randomUUID();
  await dpopFetch(state.keys, state.token, `${settings.gateway}/browser/orders/1`, {
    headers: { 'X-Demo-Request': trace },
  });
  const made = exchanges.slice(from);
  state.captured = made.find(({ status }) => status === 200);
  show(
    'call',
    ...made.flatMap((exchange) => [
      requestLine(exchange),
      problemWords(exchange),
      exchangeDetails(exchange, { open: true }),
    ]),
    ...(await seenByApi(trace)),
  );
}

/** What the API got from the gateway, which may be nothing. */
async function seenByApi(trace) {
  const seen = await (await fetch(`/.quickstart/seen/${trace}`)).json();
  if (seen === null) return ['the API saw nothing of it'];
  const names = Object.keys(seen.fields).filter((name) => /^x-auth-|^authorization$|^dpop$/i.test(name));
  return [
    element('h4', {}, 'The API saw'),
    list(names.map((name) => [cut(name), element('code', {}, cut(seen.fields[name], 44))])),
  ];
}

/** The thief gets a text of the last good request, and tells what came of each theft. @returns how many were refused */
async function playThief() {
  const sent = new Map(state.captured.sent);
  const [, token] = sent.get('authorization').split(' ');
  const { method, url } = state.captured;
  const loot = { method, url, token, proof: sent.get('dpop') };
  show('theft', list(['token', 'proof'].map((name) => [name, element('code', {}, cut(loot[name], 50))])));
  let refused = 0;
  for await (const { name, trace, exchange } of stolen(JSON.stringify(loot))) {
    if (!passed(exchange)) refused += 1;
    const [, rule] = THEFTS[name];
    find(`#theft-${name} .answer`).replaceChildren(answerMark(exchange, 'bad'));
    find(`#theft-${name} .outcome`).replaceChildren(
      problemWords(exchange, ' (', rfc(rule), ')'),
      exchangeDetails(exchange, { summary: [target(exchange), ': ', ...(await seenByApi(trace))] }),
    );
  }
  return refused;
}

/** The messages of the thief until the last one; a failure of its script is thrown. */
async function* stolen(loot) {
  const thief = new Worker(new URL('thief.mjs', import.meta.url), { type: 'module' });
  try {
    let next = Promise.withResolvers();
    const queue = [];
    const arrive = (message) => {
      queue.push(message);
      next.resolve(undefined);
      next = Promise.withResolvers();
    };
    thief.onmessage = ({ data }) => arrive(JSON.parse(data));
    thief.onerror = ({ message }) => arrive({ failed: message });
    thief.postMessage(loot);
    for (;;) {
      const waiting = next.promise;
      const message = queue.shift();
      if (message?.done) return;
      if (message?.failed !== undefined) throw new Error(`The thief failed: ${message.failed}`);
      if (message === undefined) await waiting;
      else yield message;
    }
  } finally {
    thief.terminate();
  }
}

function conclude(refused) {
  const all = Object.keys(THEFTS).length;
  if (refused === all) tell(`The client got through, and all ${all} thefts were refused.`, 'good');
  else tell(`${all - refused} of ${all} thefts got through.`, 'bad');
}

/** From here to the end, which is beyond a redirect at step 2. */
async function playOn() {
  if (state.keys === undefined) await makeKey();
  if (state.token === undefined) return getToken(true);
  await callApi();
  conclude(await playThief());
}

/**
 * Runs a step with all buttons off, and says what failed.
 * @param {() => unknown} step
 * @param {{ words?: string, next?: string }} [afterwards] what to tell, and the button that has the focus
 */
async function run(step, { words, next } = {}) {
  for (const button of document.querySelectorAll('button')) button.disabled = true;
  tell('…');
  try {
    await step();
    if (words !== undefined) tell(words);
  } catch (error) {
    tell(`That failed. ${error.message}`, 'bad');
  }
  const ready = { key: true, token: state.keys, call: state.token, theft: state.captured };
  for (const [name, value] of Object.entries(ready)) find(`#${name} button`).disabled = value === undefined;
  find('#play').disabled = false;
  if (next !== undefined) find(next).focus({ preventScroll: true });
}

function listThefts() {
  for (const [name, [title]] of Object.entries(THEFTS)) {
    const heading = element('h3', {}, element('span', {}, title), element('span', { class: 'answer' }));
    find('#thefts').append(element('article', { id: `theft-${name}` }, heading, element('div', { class: 'outcome' })));
  }
}

listThefts();
const steal = async () => conclude(await playThief());
find('#key button').onclick = () =>
  run(makeKey, { words: 'The key is made. Now get a token for it.', next: '#token button' });
find('#token button').onclick = () => run(() => getToken(false));
find('#call button').onclick = () =>
  run(callApi, { words: 'The API has answered. Now play the thief.', next: '#theft button' });
find('#theft button').onclick = () => run(steal, { next: '#theft button' });
find('#play').onclick = () => run(playOn, { next: '#play' });

/** What is left to do when the page comes back from the authorization server. */
async function resume(login) {
  checkAnswer(settings.issuer, login);
  state.keys = await findKeys();
  if (state.keys === undefined) throw new Error('The key is gone. Start again.');
  await showKey();
  await finishLogin(login);
  if (login.kept.playing) return playOn();
  tell('The token is there. Now call the API.');
}

const login = takeLogin();
if (Uint8Array.prototype.toBase64 === undefined) tell('This page needs a browser of 2025 or later.', 'bad');
else if (login === undefined) await run(() => {}, { words: 'Play everything at once, or one step after the other.' });
else await run(() => resume(login), { next: login.kept?.playing ? '#play' : '#call button' });
