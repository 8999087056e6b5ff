// What lint enforces: correct promises and types, the sizes of the house, no circle of files, and pure rooms.

import { defineConfig, type OxlintOverride } from 'oxlint';
import { EXCEPTIONS, ROOMS } from './scripts/rooms.ts';

const grant = { object: 'Permit', property: 'grant', message: 'Only src/enforce.ts grants a Permit.' };
const exit = { object: 'process', property: 'exit', message: 'Only src/main.ts ends the process.' };
const now = { object: 'Date', property: 'now', message: 'The core gets the time as an argument: `now`, in seconds.' };
const ambient = ['process', 'fetch', 'setTimeout', 'setInterval', 'setImmediate', 'performance'];

/** Pure rooms get clock, keys and files as arguments; which room may import which is a matter of test/house/imports.test.ts. */
const pureRoom = ({ name }: { readonly name: string }): OxlintOverride => ({
  files: [`src/${name}/**`, `src/${name}.ts`],
  rules: {
    'no-restricted-properties': ['error', ...(name === 'enforce' ? [] : [grant]), exit, now],
    'no-restricted-globals': ['error', ...ambient],
  },
});

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'promise', 'node'],
  categories: { correctness: 'error', suspicious: 'error' },
  // bin/ is in the syntax of Node versions that no rule here is about; helm/ has a script that is rendered into a Job, without types.
  ignorePatterns: ['bin', 'dist', 'docs', 'helm', 'coverage', 'reports', '.quickstart', 'test/vectors'],
  rules: {
    // A gateway reads control bytes for a living.
    'import/no-named-as-default-member': 'off', // fast-check is one namespace
    'no-control-regex': 'off',
    'no-shadow': 'off',
    'no-underscore-dangle': 'off',
    'oxc/no-async-endpoint-handlers': 'off',
    'promise/always-return': 'off',
    'typescript/consistent-return': 'off', // noImplicitReturns of tsc says the same
    'typescript/no-unsafe-type-assertion': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'unicorn/prefer-add-event-listener': 'off', // sockets are event emitters
    'unicorn/require-post-message-target-origin': 'off', // threads have no origin

    'array-callback-return': 'error',
    eqeqeq: 'error',
    'import/no-commonjs': 'error',
    'import/no-cycle': ['error', { ignoreTypes: false }],
    'import/no-default-export': 'error',
    'import/no-unassigned-import': ['error', { allow: ['reflect-metadata'] }],
    'max-depth': ['error', { max: 4 }],
    'max-lines': ['error', { max: 400 }],
    'max-lines-per-function': ['error', { max: 50, skipBlankLines: true, skipComments: true }],
    'no-case-declarations': 'error',
    'no-empty': 'error',
    'no-fallthrough': 'error',
    'no-param-reassign': 'error',
    'no-self-compare': 'error',
    'no-var': 'error',
    'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'], location: 'start' }],
    'typescript/await-thenable': 'error',
    'typescript/ban-ts-comment': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/no-deprecated': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': [
      'error',
      {
        allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['test', 'describe', 'it', 'suite'] }],
      },
    ],
    'typescript/no-import-type-side-effects': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/no-unsafe-argument': 'error',
    'typescript/no-unsafe-assignment': 'error',
    'typescript/no-unsafe-call': 'error',
    'typescript/no-unsafe-function-type': 'error',
    'typescript/no-unsafe-member-access': 'error',
    'typescript/no-unsafe-return': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/prefer-promise-reject-errors': 'error',
    'typescript/restrict-plus-operands': 'error',
    'typescript/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    'typescript/return-await': ['error', 'error-handling-correctness-only'],
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/use-unknown-in-catch-callback-variable': 'error',
    'unicorn/no-abusive-eslint-disable': 'error',
    'unicorn/no-instanceof-array': 'error',
    'unicorn/no-useless-promise-resolve-reject': 'error',
    'unicorn/prefer-node-protocol': 'error',
  },
  overrides: [
    { files: ['src/**'], rules: { 'no-console': 'error', 'no-restricted-properties': ['error', grant, exit] } },
    ...ROOMS.filter(({ pure }) => pure).map(pureRoom),
    { files: Object.keys(EXCEPTIONS), rules: { 'no-restricted-globals': 'off' } },
    { files: ['src/main.ts'], rules: { 'no-restricted-properties': ['error', grant] } },
    {
      // Tests and tools read JSON of their own making, and a test is as long as its story.
      files: ['test/**', 'bench/**', 'quickstart/**', 'scripts/**'],
      rules: {
        'max-lines-per-function': 'off',
        'typescript/no-non-null-assertion': 'off',
        'typescript/no-unsafe-argument': 'off',
        'typescript/no-unsafe-assignment': 'off',
        'typescript/no-unsafe-call': 'off',
        'typescript/no-unsafe-member-access': 'off',
        'typescript/no-unsafe-return': 'off',
      },
    },
    { files: ['oxlint.config.ts'], rules: { 'import/no-default-export': 'off' } },
  ],
});
