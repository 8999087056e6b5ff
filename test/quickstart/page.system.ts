// The demo page in a real Chromium, at the quickstart and at a hostile gateway.

import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { type Services, startServices } from '../../quickstart/services.ts';
import { addressesOf, type PortName, PORTS } from '../../quickstart/settings.ts';
import { type BrowserPage, openPage, startBrowser } from '../support/browser.ts';
import { CONTRASTS, hideScrollbars, press, scheme, screen, takePicture, WIDTH } from '../support/looks.ts';
import { findProgram, freePort, INSTALLING } from '../support/programs.ts';
import { startHostilePage } from './hostile-page.ts';

/** A browser, and what its pages tell their person from the first one on, over redirects. */
class Visit {
  readonly page: BrowserPage;
  readonly #texts: string[] = [];
  #arrived = Promise.withResolvers<void>();

  constructor(page: BrowserPage) {
    this.page = page;
  }

  async open(url: string): Promise<void> {
    this.page.on('Runtime.bindingCalled', ({ payload }) => {
      this.#texts.push(String(payload));
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    });
    await this.page.send('Runtime.addBinding', { name: 'told' });
    const source = `new MutationObserver(() => told(document.querySelector('#news')?.textContent ?? ''))
      .observe(document, { childList: true, subtree: true })`;
    await this.page.send('Page.addScriptToEvaluateOnNewDocument', { source });
    await this.page.open(url);
  }

  /** Settles when the page tells something that matches; what it told before is gone. */
  async told(pattern: RegExp): Promise<void> {
    for (;;) {
      const waiting = this.#arrived.promise;
      const text = this.#texts.shift();
      if (text !== undefined && pattern.test(text)) return;
      if (text === undefined) await waiting;
    }
  }

  /** The texts of all elements that a selector finds. */
  async texts(selector: string): Promise<string[]> {
    const all = `[...document.querySelectorAll(${JSON.stringify(selector)})].map((one) => one.textContent.trim())`;
    return (await this.page.value(all)) as string[];
  }

  async play(end: RegExp): Promise<void> {
    await this.told(/^Play everything at once/);
    await this.page.value(`document.querySelector('#play').click()`);
    await this.told(end);
  }
}

async function visit(t: TestContext, url: string): Promise<Visit> {
  const file = await findProgram('chromium-headless-shell');
  const made = new Visit(await openPage(t, await startBrowser(t, file, 'about:blank')));
  await made.open(url);
  return made;
}

const ALL_REFUSED = /^The client got through, and all 7 thefts were refused\.$/;
const THEFTS = [
  ['theft-bearer', '401 binding_downgraded'],
  ['theft-no-proof', '401 proof_missing'],
  ['theft-own-key', '401 proof_key_mismatch'],
  ['theft-own-thumbprint', '401 token_signature_invalid'],
  ['theft-replay', '401 proof_replayed'],
  ['theft-other-url', '401 proof_uri_mismatch'],
  ['theft-other-method', '401 proof_method_mismatch'],
] as const;

/** Of the gateway's log. */
interface Line {
  readonly msg: string;
  readonly route?: string;
  readonly status?: number;
  readonly reason?: string;
}

describe('the demo page in Chromium', INSTALLING, () => {
  const requests: Line[] = [];
  let logged = Promise.withResolvers<void>();
  let services: Services | undefined;
  let url = '';

  before(async () => {
    await findProgram('chromium-headless-shell');
    const ports = {} as Record<PortName, number>;
    const usual = process.env['HOLDFAST_PICTURES'] !== undefined;
    for (const name of Object.keys(PORTS) as PortName[]) ports[name] = usual ? PORTS[name].port : await freePort();
    const addresses = addressesOf(ports);
    services = await startServices(addresses, (text) => {
      const line = JSON.parse(text) as Line;
      if (line.msg === 'request' && line.route === 'browser') requests.push(line);
      logged.resolve();
      logged = Promise.withResolvers();
    });
    url = `${addresses.page}/`;
  }, INSTALLING);
  after(async () => services?.stop());

  test('a key that cannot be read, a token bound to it, a call with a nonce, and seven thefts that are refused', async (t) => {
    const { length: before } = requests;
    const demo = await visit(t, url);
    await demo.play(ALL_REFUSED);
    const [thumbprint = '', extractable, ...exported] = await demo.texts('#key dd');
    assert.match(thumbprint, /^[\w-]{43}$/);
    assert.equal(extractable, 'false');
    assert.equal(exported.length, 3);
    for (const outcome of exported) assert.match(outcome, /^InvalidAccessError: /);
    assert.deepEqual(await demo.texts('#token .line'), ['GET /auth by redirect', 'POST /token 200']);
    assert.ok((await demo.texts('#token .claims li')).includes(`cnf: {"jkt":"${thumbprint}"}`));
    assert.deepEqual(await demo.texts('main .good, main .outcome > .bad'), [
      '✓ No script gets the private key out of the browser.',
      '200',
      '✓ cnf.jkt is the thumbprint of the key.',
      '200',
    ]);
    const target = 'GET /browser/orders/1';
    assert.deepEqual(await demo.texts('#call .line'), [`${target} 401 nonce_required`, `${target} 200`]);
    const seen = await demo.texts('#call .outcome > dl dd');
    assert.deepEqual(seen.slice(1), ['alice', 'browser-client', 'orders:read', 'dpop', thumbprint]);
    const answers = await demo.texts('#thefts .answer');
    assert.deepEqual(
      answers,
      THEFTS.map(([, answer]) => answer),
    );
    const summaries = await demo.texts('#thefts summary');
    assert.equal(summaries.filter((text) => text.endsWith(': the API saw nothing of it')).length, 7);
    // What the gateway itself says about the same nine requests.
    while (requests.length - before < 9) await logged.promise;
    assert.deepEqual(
      requests.slice(before).map(({ status, reason }) => `${status} ${reason ?? ''}`.trim()),
      ['401 nonce_required', '200', ...answers],
    );
    // The browser itself reports the refusal that the client meets; nothing else may be in its log.
    const complaints = demo.page.log as readonly { source?: string; text?: string }[];
    assert.deepEqual(
      complaints.map(({ source, text }) => `${source} ${text?.slice(-18)}`),
      ['network 401 (Unauthorized)'],
    );
    await demo.page.value(`document.querySelectorAll('details').forEach((one) => (one.open = true))`);
    const whole = (await demo.texts('code, .outcome span, .outcome p')).filter((text) => /[\w-]{44,}/.test(text));
    assert.deepEqual(whole, [], 'a value that is not cut');
    assert.equal(await demo.page.value('location.href'), url, 'no code stays in the address');
  });

  test('is as wide as the screen, light and dark, also on a phone, and its words can be read', async (t) => {
    const demo = await visit(t, url);
    await hideScrollbars(demo.page);
    await demo.play(ALL_REFUSED);
    for (const width of [1280, 390]) {
      await screen(demo.page, width);
      for (const value of ['light', 'dark'] as const) {
        await scheme(demo.page, value);
        assert.equal(await demo.page.value(WIDTH), width, `${width} px, ${value}`);
        assert.deepEqual(await demo.page.value(CONTRASTS), [], `${width} px, ${value}: contrast under 4.5`);
      }
    }
    await screen(demo.page, 1280);
    await scheme(demo.page, 'light');
    await takePicture(demo.page, 'demo.png', 'main > .columns');
  });

  test('is played by keyboard alone, step by step', async (t) => {
    const demo = await visit(t, url);
    await demo.told(/^Play everything at once/);
    const focused = () => demo.page.value('document.activeElement.textContent');
    for (const expected of ['Play everything', 'Start again', 'Make a key']) {
      await press(demo.page, 'Tab');
      assert.equal(await focused(), expected);
    }
    for (const [told, next] of [
      [/^The key is made/, 'Get a token'],
      [/^The token is there/, 'Call the API'],
      [/^The API has answered/, 'Play the thief'],
      [ALL_REFUSED, 'Play the thief'],
    ] as const) {
      await press(demo.page, 'Enter');
      await demo.told(told);
      await demo.page.value(FOCUSED);
      assert.equal(await focused(), next);
    }
  });

  test('keeps a key that not even the same origin can read', async (t) => {
    const demo = await visit(t, url);
    await demo.play(ALL_REFUSED);
    const kept = await demo.page.value(`(async () => {
      const opening = indexedDB.open('holdfast-demo');
      await new Promise((resolve) => (opening.onsuccess = resolve));
      const asking = opening.result.transaction('demo').objectStore('demo').get('keys');
      await new Promise((resolve) => (asking.onsuccess = resolve));
      const { privateKey } = asking.result;
      const names = [];
      for (const format of ['jwk', 'pkcs8', 'raw'])
        names.push(await crypto.subtle.exportKey(format, privateKey).then(() => 'read', ({ name }) => name));
      return { names, type: privateKey.type, extractable: privateKey.extractable, storage: JSON.stringify({ ...sessionStorage, ...localStorage }) };
    })()`);
    const names = ['InvalidAccessError', 'InvalidAccessError', 'InvalidAccessError'];
    assert.deepEqual(kept, { names, type: 'private', extractable: false, storage: '{}' });
  });

  test('takes no login that it did not begin', async (t) => {
    const demo = await visit(t, `${url}?code=of-somebody&state=of-somebody&iss=https%3A%2F%2Flocalhost`);
    await demo.told(/^That failed\. /);
    assert.deepEqual(await demo.texts('#news'), ['That failed. The answer belongs to no login of this page.']);
    assert.equal(await demo.page.value(`performance.getEntriesByName(location.origin + '/token').length`), 0);
    assert.equal(await demo.page.value('location.href'), url);
  });
});

/** Settles in the page when a button has the focus, which it gets right after the page has told how it went. */
const FOCUSED = `new Promise((resolve) => {
  const look = () => (document.activeElement.tagName === 'BUTTON' && !document.activeElement.disabled ? resolve() : setTimeout(look, 5));
  look();
})`;

describe('the demo page at a gateway that answers with markup', INSTALLING, () => {
  before(() => findProgram('chromium-headless-shell'), INSTALLING);

  test('shows it as text, runs nothing, stays in its width, and says which thefts got through', async (t) => {
    const demo = await visit(t, await startHostilePage(t, { passes: 3 }));
    await demo.play(/^\d of 7 thefts got through\.$/);
    assert.deepEqual(await demo.texts('#news'), ['2 of 7 thefts got through.']);
    await demo.page.value(`document.querySelectorAll('details').forEach((one) => (one.open = true))`);
    for (const width of [1280, 390]) {
      await screen(demo.page, width);
      assert.ok(Number(await demo.page.value(WIDTH)) <= width, `wider than ${width} px`);
    }
    assert.match((await demo.texts('#thefts .outcome')).join(), /<img src=x onerror=/);
    assert.equal(await demo.page.value('document.title'), 'Holdfast: a stolen token');
    assert.equal(await demo.page.value(`document.querySelectorAll('script, img, iframe, style').length`), 1);
    const links = (await demo.page.value('[...document.links].map(({ href }) => new URL(href).host)')) as string[];
    const own = await demo.page.value('location.host');
    assert.deepEqual(
      links.filter((host) => host !== own && host !== 'www.rfc-editor.org'),
      [],
    );
    const complaints = demo.page.log as readonly { source?: string }[];
    assert.deepEqual(
      complaints.filter(({ source }) => source !== 'network'),
      [],
    );
  });

  test('says so when the gateway hangs up on client or thief', async (t) => {
    const client = await visit(t, await startHostilePage(t, { passes: 0, hangsUp: true }));
    await client.play(/^That failed\. Failed to fetch$/);
    const thief = await visit(t, await startHostilePage(t, { passes: 1, hangsUp: true }));
    await thief.play(/^That failed\. The thief failed: Failed to fetch$/);
    assert.equal(await thief.page.value(`document.querySelector('#theft button').disabled`), false);
  });
});
