// Trace context: hostile spellings first, then what goes on.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatTraceParent, readTraceContext } from '../../src/http/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const GOOD = `00-${TRACE}-${PARENT}-01`;
const stateOf = (...lines: string[]) => readTraceContext([GOOD], lines)?.state;

describe('traceparent', () => {
  test('that is not exactly one valid line begins the trace anew', () => {
    for (const parents of [
      [],
      [''],
      [GOOD, GOOD],
      [GOOD.toUpperCase()],
      [` ${GOOD}`],
      [`${GOOD}\n`],
      [`${GOOD}-`],
      [`${GOOD}-extra`],
      [`${GOOD}, ${GOOD}`],
      [`ff-${TRACE}-${PARENT}-01`],
      [`0-${TRACE}-${PARENT}-01`],
      [`00-${'0'.repeat(32)}-${PARENT}-01`],
      [`00-${TRACE}-${'0'.repeat(16)}-01`],
      [`00-${TRACE.slice(1)}-${PARENT}-01`],
      [`00-${TRACE}-${PARENT}0-01`],
      [`00-${TRACE}-${PARENT}-1`],
      [`00-${TRACE}-${PARENT}-0g`],
      [`00-${TRACE}-${PARENT}`],
      [`cc-${TRACE}-${PARENT}-01.more`],
      [`cc-${TRACE}-${PARENT}-0`],
      ['<script>'],
      ['00-'.repeat(10_000)],
    ]) {
      assert.equal(readTraceContext(parents, []), undefined, parents.join('|').slice(0, 100));
    }
  });

  test('of version 00, and of a later one as far as we know it', () => {
    const context = { traceId: TRACE, parentId: PARENT, sampled: true, random: false, state: '' };
    assert.deepEqual(readTraceContext([GOOD], []), context);
    for (const parent of [`cc-${TRACE}-${PARENT}-01`, `01-${TRACE}-${PARENT}-01-what-the-future-will-be-like`]) {
      assert.deepEqual(readTraceContext([parent], []), context);
    }
  });

  test('flags: sampled and random go on, bits that nobody has defined do not', () => {
    for (const [flags, written] of [
      ['00', '00'],
      ['01', '01'],
      ['02', '02'],
      ['03', '03'],
      ['ff', '03'],
      ['fc', '00'],
    ]) {
      const context = readTraceContext([`00-${TRACE}-${PARENT}-${flags}`], []);
      assert.ok(context !== undefined);
      assert.equal(formatTraceParent(context, 'b7ad6b7169203331'), `00-${TRACE}-b7ad6b7169203331-${written}`);
    }
  });
});

describe('tracestate', () => {
  test('that is not valid is dropped, and the trace goes on', () => {
    for (const lines of [
      ['a'],
      ['a='],
      ['=b'],
      ['A=b'],
      ['a=b=c'],
      ['a =b'],
      ['a=1,a=2'],
      ['a=1', 'a=2'],
      ['a=\u00e9'],
      ['a=\u0007'],
      [`${'a'.repeat(257)}=1`],
      [`a=${'b'.repeat(257)}`],
      [Array.from({ length: 33 }, (_, at) => `k${at}=v`).join(',')],
      ['-a=1'],
      [`a=${' '.repeat(32_768)}b`],
      ['a=1,'.repeat(8192)],
    ]) {
      assert.equal(stateOf(...lines), '', lines.join('|').slice(0, 80));
    }
  });

  test('lines are one list in order; empty members and white space go', () => {
    assert.equal(
      stateOf('rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE', ',  tenant@vendor=1,,', '0a*/-_=x y!'),
      ['rojo=00f067aa0ba902b7', 'congo=t61rcWkgMzE', 'tenant@vendor=1', '0a*/-_=x y!'].join(','),
    );
    assert.equal(stateOf(Array.from({ length: 32 }, (_, at) => `k${at}=v`).join(','))?.split(',').length, 32);
  });

  test('beyond 512 characters whole members go: long ones first, then the last', () => {
    const short = Array.from({ length: 30 }, (_, at) => `key-${String(at).padStart(2, '0')}=0123456789`);
    const long = `long=${'x'.repeat(200)}`;
    const state = stateOf([long, ...short].join(',')) ?? '';
    assert.equal(state, short.slice(0, 28).join(','));
    assert.ok(state.length <= 512);
    assert.equal(stateOf(`${long},a=1`), `${long},a=1`);
  });
});
