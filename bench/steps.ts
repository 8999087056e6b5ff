// The steps of a request: to which of them each function in a profile belongs.

import type { Profile, ProfileNode } from './profiling.ts';

/** In the order in which a request meets them. */
export const STEPS = [
  'native: TLS read, HTTP parser, event loop',
  'Node: HTTP, streams, sockets, timers',
  'intake and route',
  'token and binding',
  'proof',
  'signature verification',
  'replay store',
  'forward: fields, balance, deadlines',
  'undici',
  'write to the upstream',
  'answer',
  'TLS and write to the client',
  'metrics and log',
  'code of the program, else',
  'garbage collection in the thread',
] as const;

export type Step = (typeof STEPS)[number];

/** Functions of Node that end in a system call: whose write it is, their callers tell. */
const WRITES = /^write(?:v|Buffer|Latin1String|Utf8String|AsciiString|Ucs2String)$|^shutdown$/;

const PROGRAM = 'code of the program, else';

/** The first that fits; a function of Node that is in none belongs to what called it. */
const OWNERS: readonly (readonly [url: RegExp, step: Step])[] = [
  [/^node:internal\/crypto\/sig$/, 'signature verification'],
  [
    /^node:internal\/(?:streams|timers|process|tls)|^node:(?:_?http|https|_tls|net|timers)/,
    'Node: HTTP, streams, sockets, timers',
  ],
  [/\/node_modules\/undici\//, 'undici'],
  [/\/node_modules\/prom-client\/|\/src\/observe\//, 'metrics and log'],
  [/\/src\/(?:edge\/(?:intake|listen)|http|policy|certificate)\/|\/src\/request-facts/, 'intake and route'],
  [/\/src\/edge\/(?:forward|fields|upstream)\//, 'forward: fields, balance, deadlines'],
  [/\/src\/edge\/(?:transaction|answers)|\/src\/rejection\//, 'answer'],
  [/\/src\/proof\//, 'proof'],
  [/\/src\/memory\//, 'replay store'],
  [/\/src\/(?:token|jose|binding|issuer|signature)\//, 'token and binding'],
  [/^file:|^\//, PROGRAM],
];

/** Owners of a write: the client's side is node:http, the other one undici. */
const WRITERS: readonly (readonly [url: RegExp, step: Step])[] = [
  [/\/node_modules\/undici\//, 'write to the upstream'],
  [/^node:_http|^node:internal\/http2/, 'TLS and write to the client'],
];

type Frame = ProfileNode['callFrame'];

const BY_NAME: Readonly<Record<string, Step | 'idle'>> = {
  '(garbage collector)': 'garbage collection in the thread',
  '(program)': 'native: TLS read, HTTP parser, event loop',
  '(idle)': 'idle',
};

/** @param stack the function that ran, then its callers */
export function stepOf(stack: readonly Frame[]): Step | 'idle' {
  const [leaf] = stack;
  const named = BY_NAME[leaf?.functionName ?? ''];
  if (named !== undefined) return named;
  const owners = WRITES.test(leaf?.functionName ?? '') && leaf?.url === '' ? WRITERS : OWNERS;
  for (const { url } of stack) {
    const owner = owners.find(([pattern]) => pattern.test(url));
    if (owner !== undefined) return owner[1];
  }
  return 'Node: HTTP, streams, sockets, timers';
}

/** The part of the busy time that each step took; they add up to 1. */
export function sharesOf({ nodes, samples, timeDeltas }: Profile): ReadonlyMap<Step, number> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const steps = new Map<number, Step | 'idle'>();
  const stepOfNode = (id: number) => {
    const stack: Frame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = callers.get(at)) stack.push(byId.get(at)!.callFrame);
    return stepOf(stack);
  };
  const took = new Map<Step, number>();
  let busy = 0;
  for (const [at, id] of samples.entries()) {
    let step = steps.get(id);
    if (step === undefined) steps.set(id, (step = stepOfNode(id)));
    if (step === 'idle') continue;
    // The clock of V8 steps back now and then.
    const time = Math.max(0, timeDeltas[at] ?? 0);
    took.set(step, (took.get(step) ?? 0) + time);
    busy += time;
  }
  return new Map([...took].map(([step, time]) => [step, time / busy]));
}
