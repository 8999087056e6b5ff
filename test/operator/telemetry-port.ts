// A telemetry port for tests.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { request } from 'undici';
import { openTelemetry, type TelemetrySources } from '../../src/operator/telemetry.ts';
import { sendRaw, statusOf } from '../support/edge.ts';

export const SOURCES: TelemetrySources = {
  ready: () => ({ ready: true, details: { policy: true, listeners: ['public'], issuers: { login: 'loaded' } } }),
  metrics: async () => async () => 'holdfast_build_info{version="0.1.0"} 1\n',
  assertionKeys: () => '{"keys":[]}',
  onFailure: () => assert.fail('nothing fails here'),
};

/** A telemetry port, closed when the test ends. */
export async function openPort(t: TestContext, sources: Partial<TelemetrySources> = {}) {
  const telemetry = await openTelemetry({ host: '127.0.0.1', port: 0 }, { ...SOURCES, ...sources });
  t.after(() => telemetry.close());
  const port = 'port' in telemetry.bind ? telemetry.bind.port : 0;
  const head = async (text: string) => statusOf(await sendRaw(port, `${text}\r\nConnection: close\r\n\r\n`));
  const get = async (path: string, method: 'GET' | 'HEAD' | 'POST' | 'OPTIONS' = 'GET') => {
    const { statusCode, headers, body } = await request(`http://127.0.0.1:${port}${path}`, { method, reset: true });
    return { status: statusCode, headers, body: await body.text() };
  };
  return { port, get, head };
}
