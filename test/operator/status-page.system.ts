// The status page in a real Chromium: light, dark, wide, narrow, by keyboard.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { before, describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openAdmin } from '../../src/operator/admin.ts';
import type { Status } from '../../src/operator/status.ts';
import { type BrowserPage, openPage, startBrowser } from '../support/browser.ts';
import { portOf } from '../support/gateway.ts';
import { findProgram, INSTALLING } from '../support/programs.ts';
import { STATUS } from '../support/status.ts';

/** Where docs/operations.md shows what the page looks like. */
const PICTURE = fileURLToPath(new URL('../../docs/status-page.png', import.meta.url));

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
  const sources = { status: () => status, config: () => '', onFailure: (error: unknown) => failed.push(error) };
  const admin = await openAdmin({ host: '127.0.0.1', port: 0 }, sources);
  t.after(() => admin.close());
  const page = await openPage(t, await startBrowser(t, await findProgram('chromium-headless-shell'), 'about:blank'));
  await page.open(`http://127.0.0.1:${portOf(admin.bind)}/status`);
  assert.deepEqual(failed, []);
  return page;
}

const screen = (page: BrowserPage, width: number) =>
  page.send('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: width < 500 });

const scheme = (page: BrowserPage, value: 'light' | 'dark') =>
  page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });

const WIDTH = 'document.documentElement.scrollWidth';
/** Contrast of text and background, by WCAG 2.2 (relative luminance), of every element that holds text. */
const CONTRASTS = `(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const paint = (colors) => { for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const light = (rgb) => rgb.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const base = matchMedia('(prefers-color-scheme: dark)').matches ? '#121212' : '#fff';
  const behind = (one) => one === null ? [base] : [...behind(one.parentElement), getComputedStyle(one).backgroundColor];
  return [...document.querySelectorAll('body *')]
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
    .map((one) => { const under = behind(one); const [a, b] = [light(paint(under)), light(paint([...under, getComputedStyle(one).color]))];
      return { text: one.textContent.slice(0, 40), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) }; })
    .filter(({ ratio }) => ratio < 4.5);
})()`;

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
    if (process.env['HOLDFAST_PICTURES'] === undefined) return;
    await screen(page, 1280);
    await scheme(page, 'light');
    const { data } = await page.send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(PICTURE, Buffer.from(String(data), 'base64'));
  });

  test('opens by keyboard what is folded', async (t) => {
    const page = await show(t, STATUS);
    const press = async (key: string, code: number, text = '') => {
      const what = { key, code: key, windowsVirtualKeyCode: code, text };
      await page.send('Input.dispatchKeyEvent', { type: 'keyDown', ...what });
      await page.send('Input.dispatchKeyEvent', { type: 'keyUp', ...what });
    };
    await press('Tab', 9);
    assert.equal(await page.value('document.activeElement.tagName'), 'SUMMARY');
    await press('Enter', 13, '\r');
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
