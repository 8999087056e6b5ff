// The baseline of a probe: the good request gets through, and the one without credentials.

import { type Answered, fieldOf, readChallenges, type Reply, shownReply } from './reply.ts';
import { ANONYMOUS } from './request.ts';
import type { ProbeStage } from './stage.ts';

/**
 * Sends the request without credentials and the good one, twice, and keeps the answers on the stage.
 * @returns why nothing can be shown: the good request is refused, or is answered as if it had no credentials; undefined: it gets through
 * @throws ServerGone
 */
export async function setBaseline(stage: ProbeStage): Promise<string | undefined> {
  stage.without = await stage.send(ANONYMOUS);
  if ('kind' in stage.without && stage.without.kind === 'untrusted') return whyNot(stage, stage.without);
  const first = await sendGood(stage);
  const problem = whyNot(stage, first);
  if (problem !== undefined) return problem;
  stage.good = first as Answered;
  const second = await stage.sendWithNonce(() => ({}));
  const again = whyNot(stage, second);
  if (again !== undefined) return `the good request was accepted once, and then ${again}`;
  const { content } = stage.good;
  stage.fixed = content !== '' && content === (second as Answered).content ? content : undefined;
  return undefined;
}

/** As DPoP where the token is bound to a key. A server that knows no DPoP may take it as Bearer, and then does so for all attacks. */
async function sendGood(stage: ProbeStage): Promise<Reply> {
  const reply = await stage.sendWithNonce(() => ({}));
  const refused = !('kind' in reply) && whyNot(stage, reply) !== undefined;
  if (stage.scheme === 'Bearer' || !refused) return reply;
  stage.scheme = 'Bearer';
  const asBearer = await stage.send({});
  if (whyNot(stage, asBearer) === undefined) return asBearer;
  stage.scheme = 'DPoP';
  return reply;
}

/** What the reply to the good request lacks to count as accepted. */
function whyNot(stage: ProbeStage, reply: Reply): string | undefined {
  const got = shownReply(reply);
  if ('kind' in reply) {
    const hint = reply.kind === 'untrusted' ? '; --ca-file names who vouches for it' : '';
    return `the good request was not answered: ${got}${hint}`;
  }
  const { status } = reply;
  const { marker } = stage.settings;
  if (marker !== undefined) {
    return stage.isMarked(reply) ? undefined : `the answer to the good request (${got}) does not hold the --marker`;
  }
  if (status >= 200 && status < 300) return undefined;
  if (status === 404 || (status >= 300 && status < 400)) {
    const { without } = stage;
    const told = without !== undefined && ('kind' in without || without.status !== status);
    return told ? undefined : `the good request is answered as the one without a token is: ${got}`;
  }
  return `the good request was refused: ${got}${HINTS[status] ?? ''}`;
}

const HINTS: Readonly<Record<number, string>> = {
  401: '; is the token expired, for another API, or bound to something that was not given?',
  403: '; does the token have the scope of this URL?',
  405: '; --method says by which of GET, HEAD and OPTIONS the URL can be asked',
  421: '; is this the origin by which clients call the API?',
  429: '; --rate sends fewer requests per second',
};

/** What the refusal without a token says beyond what is judged, and what was assumed. */
export function notesOf({ without, credentials, scheme, good, fixed, settings }: ProbeStage): readonly string[] {
  const notes: string[] = [];
  if (without !== undefined && !('kind' in without)) {
    const challenges = readChallenges(without) ?? [];
    const named = challenges.some(({ parameters }) => parameters.has('resource_metadata'));
    notes.push(
      named
        ? 'The challenge names resource metadata (RFC 9728 §5.1).'
        : 'No challenge names resource metadata (RFC 9728 §5.1).',
    );
  }
  if (credentials.key !== undefined && scheme === 'Bearer') {
    notes.push(
      'The server takes the bound token as Bearer and not as DPoP: any copy of it can be used (RFC 9449 §7.2).',
    );
  }
  if (credentials.token.jws === undefined) {
    notes.push('The token is opaque: it counts as bound to the key or certificate that was given.');
  }
  if (credentials.key === undefined && credentials.bound === undefined) {
    notes.push('The token is bound to nothing: any copy of it can be used (RFC 9700 §2.2.1).');
  }
  if (good !== undefined && fixed === undefined && settings.marker === undefined) {
    notes.push('Two good answers differ: --marker TEXT, a text that only they have, lets disguised paths be judged.');
  }
  if (good !== undefined && fieldOf(good, 'dpop-nonce') !== undefined && credentials.key === undefined) {
    notes.push('The server sends DPoP-Nonce, though the token is not bound to a key.');
  }
  return notes;
}
