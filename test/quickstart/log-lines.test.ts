// Lines of the gateway's log in plain words: why a request was refused is in them.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { describeLogLine } from '../../quickstart/log-lines.ts';

const TIME = '2026-11-21T12:03:01.500Z';
const line = (fields: object) => describeLogLine(JSON.stringify({ level: 'info', time: TIME, ...fields }));

suite('a log line in plain words', () => {
  test('names the reason of a refusal, its meaning, the remedy and the facts', () => {
    const text = line({
      msg: 'request',
      method: 'GET',
      path: '/orders/1',
      status: 401,
      reason: 'proof_from_future',
      facts: { clock_offset: 90 },
    });
    assert.match(
      text,
      /^12:03:01 {2}GET \/orders\/1 +401 {2}proof_from_future: The DPoP proof is dated in the future\./,
    );
    assert.match(text, /Set the clock of the client\. \(clock_offset=90\)$/);
  });

  test('names the route and the binding of a request that was forwarded', () => {
    const text = line({
      msg: 'request',
      method: 'GET',
      path: '/orders/1',
      status: 200,
      route: 'orders',
      scheme: 'dpop',
      binding: 'dpop',
    });
    assert.match(text, / 200 {2}route orders, scheme dpop, binding dpop$/);
    const preflight = line({
      msg: 'request',
      method: 'OPTIONS',
      path: '/',
      status: 204,
      scheme: 'none',
      binding: 'none',
    });
    assert.match(preflight, / 204 {2}answered by the gateway$/);
  });

  test('keeps the words of an event, and a line that is not of the log as it is', () => {
    assert.equal(line({ msg: 'listening', address: '127.0.0.1:8443' }), '12:03:01  listening (address=127.0.0.1:8443)');
    assert.match(line({ level: 'error', msg: 'broken' }), /^12:03:01 {2}error: broken$/);
    assert.equal(describeLogLine('Warning: something'), 'Warning: something');
    assert.equal(describeLogLine('null'), 'null');
    assert.match(line({ msg: 'request', reason: 'of another version', status: 401 }), /401 {2}of another version/);
  });
});
