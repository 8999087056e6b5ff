// The stage of a probe: requests at their pace, counted, with nonces, and what answers mean.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Credentials } from './credentials.ts';
import { makeProbeKey, type ProbeKey, randomId } from './forgery.ts';
import { type Answered, errorsOf, fieldOf, type Reply } from './reply.ts';
import { type Departure, makeRequest } from './request.ts';
import type { ProbeSettings } from './settings.ts';
import { imitateCertificate } from './stranger.ts';
import { exchange, open, type ShownCertificate } from './wire.ts';

/** What a reply means: the API was reached, the request was refused, or neither can be said. */
export type Meaning = 'reached' | 'refused' | 'unclear';

/** Thrown where going on would show nothing: the server has stopped answering. */
export class ServerGone extends Error {}

/** Replies in a row without an answer in time, after which the server counts as gone. */
const PATIENCE = 3;

/** What attacks play with. */
export class ProbeStage {
  readonly settings: ProbeSettings;
  readonly credentials: Credentials;
  readonly agent: string;
  /** A key that no token is bound to. */
  readonly thief: ProbeKey = makeProbeKey();
  /** A certificate that looks like the holder's; undefined: there is none to imitate. */
  readonly stranger: ShownCertificate | undefined;
  scheme: 'DPoP' | 'Bearer';
  nonce: string | undefined;
  /** Requests so far. */
  sent = 0;
  /** Replies to the good request and to one without credentials, once they are known. */
  good: Answered | undefined;
  without: Reply | undefined;
  /** Content of the answer to the good request, where it is the same each time. */
  fixed: string | undefined;
  #next = 0;
  #late = 0;

  constructor(settings: ProbeSettings, credentials: Credentials, version: string) {
    this.settings = settings;
    this.credentials = credentials;
    this.agent = `holdfast-probe/${version} (${randomId()})`;
    this.scheme = credentials.key === undefined ? 'Bearer' : 'DPoP';
    const { certificate } = credentials;
    this.stranger = certificate && imitateCertificate(certificate.shown.cert);
  }

  /** Sends one request. @throws ServerGone */
  async send(departure: Departure): Promise<Reply> {
    await this.#turn();
    const reply = await exchange(this.settings.destination, makeRequest(this, departure));
    this.#watch(reply);
    return reply;
  }

  /** Sends what `make` makes; if the server asks for a nonce, once more with it. @throws ServerGone */
  async sendWithNonce(make: () => Departure): Promise<Reply> {
    const first = await this.send(make());
    return this.credentials.key !== undefined && this.learnNonce(first) ? this.send(make()) : first;
  }

  /** Takes the nonce of an answer that asks for one (RFC 9449 §9); false: it does not. */
  learnNonce(reply: Reply): boolean {
    if ('kind' in reply || reply.status !== 401 || !errorsOf(reply).includes('use_dpop_nonce')) return false;
    const nonce = fieldOf(reply, 'dpop-nonce');
    if (nonce === undefined || !/^[\x21-\x7e]{1,512}$/.test(nonce)) return false;
    this.nonce = nonce;
    return true;
  }

  /** Sends the same request over several connections, which are opened before, at the same moment. */
  async race(departure: Departure, runners: number): Promise<readonly Reply[]> {
    await this.#turn(runners);
    const request = makeRequest(this, departure);
    const opened = await Promise.all(Array.from({ length: runners }, () => open(this.settings.destination, request)));
    return Promise.all(opened.map(async (one) => ('kind' in one ? one : one.send())));
  }

  /** Waits for the next turn, and takes so many. */
  async turn(): Promise<void> {
    await this.#turn();
  }

  async #turn(turns = 1): Promise<void> {
    const now = performance.now();
    const at = Math.max(now, this.#next);
    this.#next = at + this.settings.pause * turns;
    this.sent += turns;
    if (at > now) await sleep(at - now);
  }

  #watch(reply: Reply): void {
    const lost = 'kind' in reply && (reply.kind === 'late' || reply.kind === 'unreachable');
    this.#late = lost ? this.#late + 1 : 0;
    if (this.#late >= PATIENCE) throw new ServerGone();
  }

  /** What a reply to a request for the protected URL means. */
  meaningOf(reply: Reply): Meaning {
    const marked = this.settings.marker !== undefined && !('kind' in reply) && reply.status < 400;
    if (marked) return this.isMarked(reply) ? 'reached' : 'refused';
    return this.meaningOfStatus(reply);
  }

  /** The same for answers that have no content by which to tell. */
  meaningOfStatus(reply: Reply): Meaning {
    if ('kind' in reply) return reply.kind === 'closed' ? 'refused' : 'unclear';
    const { status } = reply;
    if (status >= 200 && status < 300) return 'reached';
    if (status === this.good?.status && !this.#isRefusal(status)) return 'reached';
    if (status === 408 || status === 429) return 'unclear';
    return status < 500 || status === 501 || status === 505 ? 'refused' : 'unclear';
  }

  /** Is this the status of the answer without credentials? */
  #isRefusal(status: number): boolean {
    return this.without !== undefined && !('kind' in this.without) && this.without.status === status;
  }

  /** Does the answer hold the text that only answers of the API have? */
  isMarked({ content }: Answered): boolean {
    const { marker } = this.settings;
    return marker !== undefined && Buffer.from(content, 'latin1').toString().includes(marker);
  }

  /** Does the API answer with what it received? */
  get echoes(): boolean {
    return this.good?.content.includes(this.agent) ?? false;
  }
}
