// Problems for people: each cause once, the line that is wrong, a caret under the place.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemText } from '../../src/cli/problem-text.ts';
import { formatProblem, oncePerCause, type Problem } from '../../src/config/problem.ts';

const problem = (path: string, line: number, text: string, column: number, message = 'is wrong'): Problem => ({
  file: 'a.yaml',
  line,
  column,
  path,
  message,
  excerpt: { line: text, column },
});

test('the same text at the same key of several items is one cause, another text or message is another', () => {
  const all = [
    problem('routes[0].upstream', 3, '  upstream: odrers', 13),
    problem('routes[1].upstream', 4, '  upstream: odrers', 13),
    problem('routes[2].upstream', 5, '  upstream: other', 13),
    problem('routes[3].upstream', 6, '  upstream: odrers', 13, 'is something else'),
    problem('upstreams.a', 7, 'a: odrers', 4),
    { ...problem('routes[4].upstream', 9, '  upstream: odrers', 13), file: 'b.yaml' },
  ];
  assert.deepEqual(oncePerCause(all).map(formatProblem), [
    'a.yaml:3:13 routes[0].upstream: is wrong (the same at 4:13, b.yaml:9:13)',
    'a.yaml:5:13 routes[2].upstream: is wrong',
    'a.yaml:6:13 routes[3].upstream: is something else',
    'a.yaml:7:4 upstreams.a: is wrong',
  ]);
});

test('many places are counted, and what has no text to show is never put together', () => {
  const many = Array.from({ length: 9 }, (_, index) => problem(`routes[${index}].a`, index + 1, 'a: b', 4));
  assert.match(oncePerCause(many).map(formatProblem).join(), /\(the same at 2:4, 3:4, 4:4, 5:4, 6:4 and 3 more\)$/);
  const bare = { file: 'a.yaml', line: 1, column: 1, path: '', message: 'cannot be read' };
  assert.equal(oncePerCause([bare, { ...bare }]).length, 2);
  assert.equal(problemText(bare), 'a.yaml:1:1 cannot be read');
});

test('the caret stands under the place, also in a line that is cut, and nothing steers the terminal', () => {
  const caretUnder = (text: string) => {
    const [, line = '', caret = ''] = text.split('\n');
    return line[caret.indexOf('^')];
  };
  assert.equal(
    problemText(problem('a', 12, '\tb: x'.replace('\t', ' '), 5)),
    'a.yaml:12:5 a: is wrong\n   12 |  b: x\n      |     ^',
  );
  for (const at of [0, 50, 300, 999]) {
    const line = `${'-'.repeat(at)}X${'-'.repeat(999 - at)}`;
    const text = problemText(problem('a', 1, line, at + 1));
    assert.equal(caretUnder(text), 'X', text);
    assert.ok(text.split('\n').every((one) => one.length <= 110));
  }
  const steering = /[\u001b\u202e]/;
  assert.doesNotMatch(problemText(problem('a', 1, 'a: \u001b[2J\u202e', 4)), steering);
});
