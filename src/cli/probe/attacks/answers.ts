// Attacks that need the answer's words: forged fields, foreign pages, challenges, old TLS.

import type { Attack, Judged } from '../attack.ts';
import { randomId } from '../forgery.ts';
import { type Answered, fieldOf, readChallenges, type Reply, shownReply } from '../reply.ts';
import { ANONYMOUS, type Departure, makeRequest } from '../request.ts';
import type { ProbeStage } from '../stage.ts';
import { exchange, offersTls } from '../wire.ts';

/** Names of fields in what an API answers with: members of JSON, or lines. */
const NAMES = /"([A-Za-z][A-Za-z0-9_-]{2,39})"\s*:|^([A-Za-z][A-Za-z0-9_-]{2,39}):\s/gm;
/** Those by which a gateway tells who calls. */
const IDENTITY = /^(?:x-|client-cert|ssl-|remote-)|user|subject|identity|consumer|claim|scope|assertion|principal/i;
/** Those that clients or proxies write without saying who calls. */
const PLAIN = /^(?:user-agent|x-forwarded-.*|x-real-ip|x-request-.*|x-envoy-.*|x-b3-.*|x-probe)$/i;

/** The identity fields that the API got from the gateway with the good request. */
function identityFields({ good }: ProbeStage): readonly string[] {
  const names = [...(good?.content ?? '').matchAll(NAMES)].map(([, member, line]) => member ?? line ?? '');
  return [...new Set(names)].filter((name) => IDENTITY.test(name) && !PLAIN.test(name)).slice(0, 30);
}

/** Forges the identity fields: does one of them arrive as it was sent? */
async function forgeIdentity(stage: ProbeStage, departure: Departure): Promise<Judged> {
  const names = identityFields(stage);
  if (names.length === 0) return { verdict: 'not tried', got: 'the API gets no identity fields from the gateway' };
  const value = `forged-${randomId()}`;
  const fields = names.map((name) => [name, value] as const);
  const reply = await stage.sendWithNonce(() => ({ ...departure, fields }));
  if ('kind' in reply) return { verdict: reply.kind === 'closed' ? 'held' : 'unclear', got: shownReply(reply) };
  if (reply.content.includes(value)) return { verdict: 'not held', got: `${reply.status}, and the API got it` };
  return {
    verdict: reply.status < 500 ? 'held' : 'unclear',
    got: `${shownReply(reply)}, ${names.length} fields replaced`,
  };
}

const OVERRIDING = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'];

/** Does a GET become a HEAD, whose answer has no content? No other method is safe to try. */
async function overrideMethod(stage: ProbeStage): Promise<Judged> {
  const fields = OVERRIDING.map((name) => [name, 'HEAD'] as const);
  const reply = await stage.sendWithNonce(() => ({ fields }));
  const meaning = stage.meaningOf(reply);
  if ('kind' in reply || meaning !== 'reached') {
    return { verdict: meaning === 'unclear' ? 'unclear' : 'held', got: shownReply(reply) };
  }
  return reply.content === ''
    ? { verdict: 'not held', got: `${reply.status} without content` }
    : { verdict: 'held', got: `${reply.status}, as without them` };
}

export const FIELD_ATTACKS: readonly Attack[] = [
  {
    id: 'identity-forged',
    group: 'fields',
    what: 'good request, with forged values of the fields that tell the API who calls',
    section: '',
    needs: ['echo'],
    requests: 2,
    expected: 'replaced',
    play: (stage) => forgeIdentity(stage, {}),
  },
  {
    id: 'identity-forged-public',
    group: 'fields',
    what: 'no token, the same on the public path',
    section: '',
    needs: ['echo', 'public path'],
    requests: 2,
    expected: 'removed',
    play: (stage) => forgeIdentity(stage, { ...ANONYMOUS, target: stage.settings.publicPath || '/' }),
  },
  {
    id: 'method-override',
    group: 'fields',
    what: 'good request, with fields that ask for another method',
    section: 'RFC 9110 §9.1',
    needs: ['content'],
    requests: 2,
    expected: 'ignored',
    play: overrideMethod,
  },
];

const ORIGIN = 'https://probe.invalid';

function judgeCors(reply: Reply, origin: string): Judged {
  if ('kind' in reply) return { verdict: reply.kind === 'closed' ? 'held' : 'unclear', got: shownReply(reply) };
  const allowed = fieldOf(reply, 'access-control-allow-origin');
  const withCredentials = fieldOf(reply, 'access-control-allow-credentials') === 'true';
  const reflected = allowed === origin;
  if (reflected && withCredentials) return { verdict: 'not held', got: 'allowed, with credentials' };
  return reflected
    ? { verdict: 'different', got: 'allowed, without credentials' }
    : { verdict: 'held', got: allowed === '*' ? 'any origin, without credentials' : 'not allowed' };
}

const CORS = { group: 'browsers', section: 'Fetch §3.3', needs: [], expected: 'not allowed' } as const;

export const BROWSER_ATTACKS: readonly Attack[] = [
  {
    ...CORS,
    id: 'cors-origin',
    what: 'a page of an origin that does not exist reads the answer',
    requests: 2,
    play: async (stage) => judgeCors(await stage.sendWithNonce(() => ({ fields: [['Origin', ORIGIN]] })), ORIGIN),
  },
  {
    ...CORS,
    id: 'cors-null',
    what: 'a page of the origin null reads the answer',
    requests: 2,
    play: async (stage) => judgeCors(await stage.sendWithNonce(() => ({ fields: [['Origin', 'null']] })), 'null'),
  },
  {
    ...CORS,
    id: 'cors-preflight',
    what: 'a preflight of an origin that does not exist',
    requests: 1,
    async play(stage) {
      const fields = [
        ['Origin', ORIGIN],
        ['Access-Control-Request-Method', 'GET'],
        ['Access-Control-Request-Headers', 'authorization'],
      ] as const;
      return judgeCors(await stage.send({ ...ANONYMOUS, method: 'OPTIONS', fields }), ORIGIN);
    },
  },
];

/** What the refusal of a request without credentials tells a client. */
function judgeChallenge({ without }: ProbeStage, scheme: string | undefined): Judged {
  const answer = without as Answered;
  const challenges = readChallenges(answer);
  if (answer.status !== 401) return { verdict: 'different', got: String(answer.status) };
  if (challenges === undefined) return { verdict: 'different', got: '401 with a challenge that breaks the grammar' };
  const schemes = challenges.map((one) => one.scheme);
  const got = schemes.length === 0 ? '401 without a challenge' : `401 ${schemes.join(', ')}`;
  const found = scheme === undefined ? schemes.length > 0 : schemes.some((one) => one.toLowerCase() === scheme);
  return { verdict: found ? 'held' : 'different', got };
}

const CHALLENGE = { group: 'answers', requests: 0 } as const;

export const ANSWER_ATTACKS: readonly Attack[] = [
  {
    ...CHALLENGE,
    id: 'challenge',
    what: 'the refusal without a token names a scheme',
    section: 'RFC 9110 §11.6.1',
    needs: ['refusal'],
    expected: '401 with a challenge',
    play: async (stage) => judgeChallenge(stage, undefined),
  },
  {
    ...CHALLENGE,
    id: 'challenge-dpop',
    what: 'the refusal without a token names DPoP',
    section: 'RFC 9449 §7.1',
    needs: ['dpop', 'refusal'],
    expected: '401 DPoP',
    play: async (stage) => judgeChallenge(stage, 'dpop'),
  },
];

const oldTls = (version: 'TLSv1' | 'TLSv1.1', name: string): Attack => ({
  id: `tls-${name}`,
  group: 'tls',
  what: `a handshake of TLS ${name}`,
  section: 'RFC 8996 §4',
  needs: ['tls'],
  requests: 1,
  expected: 'refused',
  async play(stage) {
    await stage.turn();
    const offered = await offersTls(stage.settings.destination, version);
    if (offered === 'unable') return { verdict: 'not tried', got: 'OpenSSL here does not offer it' };
    if (offered === 'late') return { verdict: 'unclear', got: 'no answer in time' };
    return offered ? { verdict: 'not held', got: 'accepted' } : { verdict: 'held', got: 'refused' };
  },
});

export const TLS_ATTACKS: readonly Attack[] = [
  oldTls('TLSv1', '1.0'),
  oldTls('TLSv1.1', '1.1'),
  {
    id: 'plain-http',
    group: 'tls',
    what: 'plain HTTP on the port of TLS, without a token',
    section: 'RFC 6750 §5.3',
    needs: ['tls'],
    requests: 1,
    expected: 'refused',
    async play(stage) {
      await stage.turn();
      const destination = { ...stage.settings.destination, servername: undefined };
      const reply = await exchange(destination, makeRequest(stage, ANONYMOUS));
      const answered = !('kind' in reply) && reply.status < 300;
      return { verdict: answered ? 'not held' : 'held', got: shownReply(reply) };
    },
  },
];
