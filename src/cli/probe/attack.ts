// An attack of the probe: what is tried, what is expected, and what a reply shows.

import { errorsOf, type Reply, shownReply } from './reply.ts';
import type { Departure } from './request.ts';
import type { Meaning, ProbeStage } from './stage.ts';

export const GROUPS = [
  'token',
  'proof',
  'replay',
  'nonce',
  'certificate',
  'fields',
  'paths',
  'lines',
  'framing',
  'browsers',
  'answers',
  'tls',
] as const;
export type Group = (typeof GROUPS)[number];

/**
 * `held`: it came out as expected. `not held`: something got in that has to stay out. `different`: nothing got in that has to stay out,
 * but the answer is another one. `unclear`: the answer shows neither. `not tried`: it could not be.
 */
export type AttackVerdict = 'held' | 'not held' | 'different' | 'unclear' | 'not tried';

export interface Judged {
  readonly verdict: AttackVerdict;
  /** What came, or why it was not tried. */
  readonly got: string;
}

export interface Attack {
  /** For --only. */
  readonly id: string;
  readonly group: Group;
  readonly what: string;
  readonly section: string;
  readonly needs: readonly Need[];
  /** How many requests it sends at most. */
  readonly requests: number;
  readonly expected: string;
  readonly play: (stage: ProbeStage) => Promise<Judged>;
}

const isBound = ({ credentials: { key, bound } }: ProbeStage) => key !== undefined || bound !== undefined;

/** What an attack needs, when it is there, and what to say where it is not. */
export const NEEDS = {
  dpop: [({ credentials }) => credentials.key !== undefined, 'the token is not bound to a DPoP key'],
  es256: [({ credentials }) => credentials.key?.alg === 'ES256', 'the DPoP key is not for ES256'],
  certificate: [({ credentials }) => credentials.bound !== undefined, 'the token is not bound to a certificate'],
  bound: [isBound, 'the token is bound to nothing'],
  'harmless in logs': [isBound, 'the token is bound to nothing: in a URL it would lie in logs, of use to anyone'],
  jwt: [({ credentials }) => credentials.token.jws !== undefined, 'the token is opaque'],
  'issuer key': [({ credentials }) => credentials.issuerKey !== undefined, 'no --jwks-file'],
  'unbound token': [({ credentials }) => credentials.others.unbound !== undefined, 'no --unbound-token-file'],
  'expired token': [({ credentials }) => credentials.others.expired !== undefined, 'no --expired-token-file'],
  'foreign token': [({ credentials }) => credentials.others.foreign !== undefined, 'no --foreign-token-file'],
  'public path': [({ settings }) => settings.publicPath !== undefined, 'no --public-path'],
  framing: [({ settings }) => settings.framing, 'no --framing'],
  tls: [({ settings }) => settings.destination.servername !== undefined, 'the URL is http'],
  nonce: [({ nonce }) => nonce !== undefined, 'the server asks for no nonce'],
  echo: [(stage) => stage.echoes, 'the API does not answer with what it received'],
  content: [({ good }) => good !== undefined && good.content !== '', 'the answer to the good request has no content'],
  refusal: [
    (stage) => stage.without !== undefined && stage.meaningOf(stage.without) === 'refused',
    'the URL is open without a token',
  ],
} as const satisfies Record<string, readonly [(stage: ProbeStage) => boolean, string]>;
export type Need = keyof typeof NEEDS;

/** What only the first answers tell. */
const LATER: readonly Need[] = ['nonce', 'echo', 'content', 'refusal'];

/** What is missing for it; undefined: nothing. @param when `before` anything was sent, what answers will tell is not missing */
export function missingFor({ needs }: Attack, stage: ProbeStage, when: 'before' | 'now' = 'now'): string | undefined {
  const known = needs.filter((need) => when === 'now' || !LATER.includes(need));
  return known.map((need) => NEEDS[need]).find(([met]) => !met(stage))?.[1];
}

/** An attack of one request that has to be refused. */
export interface RefusalRow {
  readonly id: string;
  readonly what: string;
  readonly section: string;
  readonly needs?: readonly Need[];
  readonly departure: (stage: ProbeStage) => Departure;
  /** Statuses of the refusal; 401 by default. */
  readonly statuses?: readonly number[];
  /** Error codes of the refusal, one of them; empty: none or any. */
  readonly errors?: readonly string[];
  /** In words, where the statuses say too much. */
  readonly expected?: string;
  /** A closed connection is a refusal as good as any. */
  readonly mayClose?: boolean;
  /** The RFC permits to let it through. */
  readonly permitted?: boolean;
  /** A challenge with a nonce is an answer like others: the request is not sent again. */
  readonly withoutNonce?: boolean;
  /** What a reply means, where the status does not say it. */
  readonly meaning?: (stage: ProbeStage, reply: Reply) => Meaning;
}

/** Attacks of a group by its rows. @param common what rows do not say themselves */
export function refusals(group: Group, common: Partial<RefusalRow>, rows: readonly RefusalRow[]): readonly Attack[] {
  return rows.map((own) => {
    const row = { ...common, ...own, needs: [...(common.needs ?? []), ...(own.needs ?? [])] };
    return {
      id: row.id,
      group,
      what: row.what,
      section: row.section,
      needs: row.needs,
      requests: row.withoutNonce ? 1 : 2,
      expected: expectedOf(row),
      async play(stage) {
        const make = () => row.departure(stage);
        const reply = await (row.withoutNonce ? stage.send(make()) : stage.sendWithNonce(make));
        return judge(row, stage, reply);
      },
    };
  });
}

function expectedOf({ statuses = [401], errors = [], permitted = false, expected }: RefusalRow): string {
  const refused = [statuses.join(' or '), errors.join(' or '), ...(permitted ? ['(may pass)'] : [])];
  return expected ?? refused.filter((text) => text !== '').join(' ');
}

function judge(row: RefusalRow, stage: ProbeStage, reply: Reply): Judged {
  const { statuses = [401], errors = [], mayClose = false, permitted = false } = row;
  const got = shownReply(reply);
  switch (row.meaning?.(stage, reply) ?? stage.meaningOf(reply)) {
    case 'reached':
      return { verdict: permitted ? 'different' : 'not held', got };
    case 'unclear':
      return { verdict: 'unclear', got };
    case 'refused': {
      if ('kind' in reply) return { verdict: mayClose ? 'held' : 'different', got };
      const given = errorsOf(reply);
      const named = errors.length === 0 || errors.some((error) => given.includes(error));
      return { verdict: statuses.includes(reply.status) && named ? 'held' : 'different', got };
    }
  }
}
