// Repairs below undici: interim answers, and failed writes that would hide an answer.

import type { Socket } from 'node:net';

/**
 * Milliseconds for which the failure of a write is held back. A server that answers early and closes makes writes fail while its answer
 * waits to be read (RFC 9112 §9.6); the end of the connection is read right behind it, and ends the wait.
 */
const HELD = 500;

type Done = (error?: Error | null) => void;

/** Prepares a connection before undici gets it. @returns told of each request that goes out */
export function prepareSocket(socket: Socket): InterimAnswers {
  const interim = new InterimAnswers();
  const push = socket.push.bind(socket);
  socket.push = (chunk: Uint8Array | null, encoding) => {
    if (chunk !== null) interim.read(chunk);
    return push(chunk, encoding);
  };
  const write = socket._write.bind(socket);
  const writev = socket._writev?.bind(socket);
  const hold = compileHold();
  socket._write = (chunk, encoding, done: Done) => write(chunk, encoding, hold(done));
  if (writev !== undefined) socket._writev = (chunks, done: Done) => writev(chunks, hold(done));
  return interim;
}

/** A stream of Node has one callback for all its writes: there is one in its place, and not one for each write. */
function compileHold(): (done: Done) => Done {
  let given: Done | undefined;
  let held: Done = () => {};
  return (done) => {
    if (done === given) return held;
    given = done;
    held = (error) => {
      if (error) setTimeout(done, HELD, error).unref();
      else done(error);
    };
    return held;
  };
}

/** What 100 (Continue) becomes; no other answer has this status. */
export const MASKED_CONTINUE = 109;

const STATUS_AT = 'HTTP/1.1 '.length;
const [ONE, NINE, CR, LF] = [0x31, 0x39, 0x0d, 0x0a];

/**
 * Follows the interim answers in front of an answer, octet by octet. A server may send 100 (Continue) unasked (RFC 9110 §15.2), for which undici
 * destroys the connection: its last digit is changed, and MASKED_CONTINUE is dropped later (sending.ts). Stops at the first other answer.
 */
export class InterimAnswers {
  /** Octets of the status line so far; -1: within the fields of an interim answer; undefined: not looking. */
  #at: number | undefined;
  #digits = '';
  /** Octets of the empty line that ends the fields: after LF 1, after CR behind that 2. */
  #empty = 0;

  /** A request goes out: what comes next is an answer. */
  begin(): void {
    this.#at = 0;
    this.#digits = '';
  }

  /** Changes the octets in place. */
  read(chunk: Uint8Array): void {
    for (let at = 0; this.#at !== undefined && at < chunk.length; at += 1) {
      if (this.#at === -1) this.#readField(chunk[at]);
      else this.#readStatus(chunk, at, this.#at);
    }
  }

  #readStatus(chunk: Uint8Array, at: number, position: number): void {
    const octet = chunk[at] ?? 0;
    if (position === 0 && (octet === CR || octet === LF)) return;
    this.#at = position + 1;
    if (position < STATUS_AT) return;
    this.#digits += String.fromCharCode(octet);
    if (octet !== ONE && position === STATUS_AT) this.#at = undefined;
    if (position < STATUS_AT + 2) return;
    if (this.#digits === '100') chunk.fill(NINE, at, at + 1);
    this.#at = this.#digits === '101' ? undefined : -1;
    this.#digits = '';
    this.#empty = 0;
  }

  #readField(octet = 0): void {
    if (octet === LF && this.#empty > 0) this.begin();
    else if (octet === LF) this.#empty = 1;
    else this.#empty = octet === CR && this.#empty === 1 ? 2 : 0;
  }
}
