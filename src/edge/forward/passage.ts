// The passage of an answer to the client: its head, then its body at the client's pace.

import type { Dispatcher } from 'undici';
import type { PermitFacts } from '../../binding/permit.ts';
import { readFraming } from '../../http/framing.ts';
import { answerFields } from '../fields/answer-fields.ts';
import { withoutNamed } from '../fields/fields.ts';
import { lines, restOf, undelimitedBy } from './answer-framing.ts';
import { countPiece } from './body-garbage.ts';
import { Download } from './download.ts';
import type { ForwardExchange } from './forward-exchange.ts';

/** Told when the client took what it was held for, or was sent more. */
export interface PassageOwner {
  answerMoved(): void;
}

/** Counts what the client was sent, and holds the upstream back while the client does not take it. */
export class Passage {
  status = 0;
  /** Of the body. */
  bytes = 0;
  readonly #exchange: ForwardExchange;
  readonly #owner: PassageOwner;
  #download: Download | undefined;
  /** Content-Length of the answer, if it has one. */
  #announced: number | undefined;
  /** The piece with the last announced byte: it is written with the end. */
  #last: Buffer | undefined;
  #drains = false;

  constructor(exchange: ForwardExchange, owner: PassageOwner) {
    this.#exchange = exchange;
    this.#owner = owner;
  }

  /** Seconds for which the client may still keep it waiting; infinite while it does not. */
  get patience(): number {
    return this.#download?.patience ?? Number.POSITIVE_INFINITY;
  }

  /** Writes the head. @returns why the end of the answer could not be told; undefined: it was written */
  begin(controller: Dispatcher.DispatchController, status: number, permit: PermitFacts): string | undefined {
    const { transaction, facts, route, own } = this.#exchange;
    const received = lines(controller.rawHeaders);
    const framing = readFraming(received);
    const undelimited = undelimitedBy(framing, route.upstream, facts.method, status);
    if (undelimited !== undefined) return undelimited;
    const fields = answerFields(received, route.rules, own, permit);
    // RFC 9110 §8.6: none with 204, of which a client that goes by it would wait for the next answer's bytes.
    const passed = status === 204 ? withoutNamed(fields, 'content-length') : fields;
    transaction.writeHead(status, passed, restOf(controller, received, framing));
    this.status = status;
    this.#announced = typeof framing === 'number' ? framing : undefined;
    return undefined;
  }

  /** The answer is whole. @param trailers names and values in turn */
  end(trailers: readonly string[]): void {
    this.#exchange.transaction.end(trailers, this.#last);
  }

  /** A piece of the body. */
  pass(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { transaction, route } = this.#exchange;
    this.bytes += chunk.length;
    countPiece(chunk.length);
    // Behind the last byte undici must not be held: it would miss the end, and take the upstream's closing for a broken answer.
    const isLast = this.bytes === this.#announced;
    // In HTTP/1.1 the end is in the same turn; a stream of HTTP/2 may stay open behind its last byte.
    if (isLast && !route.upstream.http2) return void (this.#last = chunk);
    const goesOn = transaction.write(chunk);
    if (!goesOn) (this.#download ??= new Download(route.download, route.timeouts.idle)).stalled(this.bytes);
    this.#owner.answerMoved();
    if (goesOn || isLast) return;
    controller.pause();
    if (this.#drains) return;
    this.#drains = true;
    transaction.onDrain(() => {
      this.#download?.drained(this.bytes);
      this.#owner.answerMoved();
      controller.resume();
    });
  }
}
