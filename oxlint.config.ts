// What lint enforces: correct promises and types, the sizes of the house, and imports that go one way.

import { defineConfig, type OxlintOverride } from 'oxlint';

/**
 * The rooms of src/ in the order in which they may import one another: a room knows those before it.
 * Rooms on one line are neighbours and do not know each other. test/house/imports.test.ts checks the same order.
 */
export const ROOMS = [
  ['rejection'],
  ['token'],
  ['binding'],
  ['proof', 'certificate'],
  ['policy'],
  ['enforce'],
  ['edge', 'watch'],
  ['threads'],
  ['gateway'],
  ['cli'],
  ['main'],
] as const;

/** Rooms that are data in, data out; the one file that reads configuration is named apart. */
export const CORE = ['rejection', 'token', 'binding', 'proof', 'certificate', 'policy', 'enforce'];
export const CORE_READER = 'src/policy/read.ts';

/** Rooms beside the order: they know types of the core and of each other; edge, gateway and cli use them. */
export const SIDE_ROOMS = ['store', 'observe'];

/** What only the rooms outside the core may import: sockets, files, processes, clients and servers. */
export const OUTSIDE =
  /^(?:node:(?:fs|fs\/promises|net|http|http2|https|tls|dgram|dns|dns\/promises|child_process|worker_threads|cluster)|undici|ioredis|pino|prom-client|http-proxy-3)$/;

const flat: readonly string[] = ROOMS.flat();
const neighbours = (room: string): readonly string[] =>
  ROOMS.find((group) => group.some((name) => name === room)) ?? [];
/** Rooms that `room` may not import: its neighbours and those after it. */
const beyond = (room: string) =>
  flat.filter((name, at) => name !== room && (at > flat.indexOf(room) || neighbours(room).includes(name)));

const inRoom = (rooms: readonly string[]) => `^\\.{1,2}/(?:.*/)?(?:${rooms.join('|')})(?:/|\\.ts$)`;
const noTools = {
  regex: '^\\.{1,2}/(?:.*/)?(?:test|bench|quickstart|scripts)/',
  message: 'The product imports nothing of its tests and tools.',
};
const oneWay = (rooms: readonly string[]) => ({
  regex: inRoom(rooms),
  message: 'Imports go one way (ROOMS in oxlint.config.ts).',
});
const noOutside = {
  regex: OUTSIDE.source,
  message: 'The core never sees a file, a socket or the library of a server.',
};

const grant = { object: 'Permit', property: 'grant', message: 'Only src/enforce.ts grants a Permit.' };
const exit = { object: 'process', property: 'exit', message: 'Only src/main.ts ends the process.' };
const now = { object: 'Date', property: 'now', message: 'The core gets the time as an argument: `now`, in seconds.' };
const ambient = ['process', 'fetch', 'setTimeout', 'setInterval', 'setImmediate', 'performance'];

const files = (room: string) => [`src/${room}/**`, `src/${room}.ts`];

/** enforce.ts alone knows the contracts of the stores, as types: their answers come to it as arguments. */
const ports = (room: string) =>
  room === 'enforce' ? [{ ...oneWay(['store']), allowTypeImports: true }, oneWay(['observe'])] : [oneWay(SIDE_ROOMS)];

const coreRoom = (room: string): OxlintOverride => ({
  files: files(room),
  rules: {
    'no-restricted-imports': ['error', { patterns: [oneWay(beyond(room)), ...ports(room), noOutside, noTools] }],
    'no-restricted-properties': ['error', ...(room === 'enforce' ? [] : [grant]), exit, now],
    'no-restricted-globals': ['error', ...ambient],
  },
});

const outerRoom = (room: string): OxlintOverride => ({
  files: files(room),
  rules: { 'no-restricted-imports': ['error', { patterns: [oneWay(beyond(room)), noTools] }] },
});

const sideRoom = (room: string): OxlintOverride => {
  const others = SIDE_ROOMS.filter((name) => name !== room);
  const typesOnly = { ...oneWay([...CORE, ...others]), allowTypeImports: true };
  return {
    files: files(room),
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [oneWay(['edge', 'gateway', 'cli', 'main']), typesOnly, noTools] },
      ],
    },
  };
};

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'promise', 'node'],
  categories: { correctness: 'error', suspicious: 'error' },
  ignorePatterns: ['dist', 'coverage', 'reports', '.quickstart', 'test/vectors'],
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
    'import/no-cycle': ['error', { ignoreTypes: true }],
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
    ...CORE.map(coreRoom),
    {
      files: [CORE_READER],
      rules: {
        'no-restricted-imports': ['error', { patterns: [oneWay([...beyond('policy'), ...SIDE_ROOMS]), noTools] }],
        'no-restricted-globals': 'off',
      },
    },
    ...['edge', 'watch', 'gateway', 'cli'].map(outerRoom),
    ...SIDE_ROOMS.map(sideRoom),
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
