// Looks of a page in a browser: widths, schemes, contrasts, keys, and pictures for the docs.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserPage } from './browser.ts';

/** How a page is shown from now on. */
export const screen = (page: BrowserPage, width: number) =>
  page.send('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: width < 500 });

/** No bars at the edge of a page that is longer than the screen: they would take of its width. */
export const hideScrollbars = (page: BrowserPage) => page.send('Emulation.setScrollbarsHidden', { hidden: true });

export const scheme = (page: BrowserPage, value: 'light' | 'dark') =>
  page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });

/** An expression: the width that the page takes. */
export const WIDTH = 'document.documentElement.scrollWidth';
/** An expression: elements with text whose contrast to the background is under 4.5, by WCAG 2.2 (relative luminance). */
export const CONTRASTS = `(() => {
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

const KEYS = { Tab: [9, ''], Enter: [13, '\r'] } as const;

/** A key of the keyboard, pressed and released. */
export async function press(page: BrowserPage, key: keyof typeof KEYS): Promise<void> {
  const [code, text] = KEYS[key];
  const what = { key, code: key, windowsVirtualKeyCode: code, text };
  await page.send('Input.dispatchKeyEvent', { type: 'keyDown', ...what });
  await page.send('Input.dispatchKeyEvent', { type: 'keyUp', ...what });
}

/**
 * Writes what the screen shows to a file in docs/, if HOLDFAST_PICTURES is set.
 * @param part selector of an element that is shown instead, at 0.7 of its size
 */
export async function takePicture(page: BrowserPage, name: string, part?: string): Promise<void> {
  if (process.env['HOLDFAST_PICTURES'] === undefined) return;
  const area = `(({ x, y, width, height }) => ({ x: x - 12, y: y + scrollY - 12, width: width + 24, height: height + 24 }))
    (document.querySelector(${JSON.stringify(part)}).getBoundingClientRect())`;
  const clip = part === undefined ? {} : { clip: { ...Object(await page.value(area)), scale: 0.7 } };
  const { data } = await page.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, ...clip });
  writeFileSync(join(import.meta.dirname, '../../docs', name), Buffer.from(String(data), 'base64'));
}
