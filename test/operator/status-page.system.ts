// The status page in a real Chromium: light, dark, wide, narrow, by keyboard.

import assert from 'node:assert/strict';
import { before, describe, test, type TestContext } from 'node:test';
import { openAdmin } from '../../src/operator/admin.ts';
import type { Status } from '../../src/operator/status.ts';
import { type BrowserPage, openPage, startBrowser } from '../support/browser.ts';
import { CONTRASTS, hideScrollbars, press, scheme, screen, takePicture, WIDTH } from '../support/looks.ts';
import { portOf } from '../support/gateway.ts';
import { findProgram, INSTALLING } from '../support/programs.ts';
import { STATUS } from '../support/status.ts';

/** Markup, long words and directions of text in every cell. */
function spoil(value: unknown): unknown {
  const nasty = `"><script>document.title='run'</script><img src=x onerror=alert(1)>\u202e${'w'.repeat(300)}`;
  if (typeof value === 'string') return nasty;
  if (Array.isArray(value)) return value.map(spoil);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, spoil(inner)]));
}

async function show(t: TestContext, status: Status): Promise<BrowserPage> {
  const failed: unknown[] = [];
  const announce = () => Promise.resolve(0);
  const sources = {
    status: () => status,
    config: () => '',
    announce,
    onFailure: (error: unknown) => failed.push(error),
  };
  const admin = await openAdmin({ host: '127.0.0.1', port: 0 }, sources);
  t.after(() => admin.close());
  const page = await openPage(t, await startBrowser(t, await findProgram('chromium-headless-shell'), 'about:blank'));
  await hideScrollbars(page);
  await page.open(`http://127.0.0.1:${portOf(admin.bind)}/status`);
  assert.deepEqual(failed, []);
  return page;
}

/** Words of table cells that stand on two lines, but for those of clients, which may have any length. */
const BROKEN = `[...document.querySelectorAll('th, td, td *')].flatMap((one) => one.closest('.any') ? [] :
  [...one.childNodes].filter((node) => node.nodeType === 3).flatMap((node) => [...node.data.matchAll(/\\S+/g)]
    .filter(({ 0: word, index }) => { const range = document.createRange();
      range.setStart(node, index); range.setEnd(node, index + word.length);
      return range.getClientRects().length > 1; }).map(([word]) => word)))`;

describe('the status page in Chromium', INSTALLING, () => {
  before(() => findProgram('chromium-headless-shell'), INSTALLING);

  test('is as wide as the screen, light and dark, also on a phone, and its words can be read', async (t) => {
    const page = await show(t, STATUS);
    for (const width of [1280, 390]) {
      await screen(page, width);
      for (const value of ['light', 'dark'] as const) {
        await scheme(page, value);
        assert.equal(await page.value(WIDTH), width, `${width} px, ${value}`);
        assert.deepEqual(await page.value(CONTRASTS), [], `${width} px, ${value}: contrast under 4.5`);
      }
    }
    assert.equal(await page.value(`getComputedStyle(document.querySelector('thead')).display`), 'none', 'on a phone');
    assert.deepEqual(page.log, []);
    await screen(page, 1280);
    assert.deepEqual(await page.value(BROKEN), [], 'words that are broken');
    await scheme(page, 'light');
    await takePicture(page, 'status-page.png');
  });

  test('opens by keyboard what is folded', async (t) => {
    const page = await show(t, STATUS);
    await press(page, 'Tab');
    assert.equal(await page.value('document.activeElement.tagName'), 'SUMMARY');
    await press(page, 'Enter');
    assert.equal(await page.value(`document.querySelector('details').open`), true);
  });

  test('runs nothing, loads nothing and stays in its width, whatever stands in its cells', async (t) => {
    const page = await show(t, spoil(STATUS) as Status);
    await page.value(`document.querySelectorAll('details').forEach((one) => (one.open = true))`);
    for (const width of [1280, 390]) {
      await screen(page, width);
      assert.ok(Number(await page.value(WIDTH)) <= width, `wider than ${width} px`);
    }
    assert.match(String(await page.value('document.title')), /^Holdfast/);
    assert.equal(await page.value(`document.querySelectorAll('script, img').length`), 0);
    assert.deepEqual(page.log, []);
  });
});
