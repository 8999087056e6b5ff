// A front's question as a transaction: the request that it describes.

import { Readable } from 'node:stream';
import type { Field } from '../../http/field.ts';
import type { Transaction } from '../transaction/transaction.ts';
import type { DescribedRequest, Dialect, Permitted } from './dialect.ts';

/** Nothing is forwarded from here, so the request has no body and its answer no stream: whatever is answered stops it. */
export class Question implements Transaction {
  readonly method: string;
  readonly target: string;
  readonly scheme: string | undefined;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
  readonly stated: DescribedRequest['stated'];
  readonly expectsContinue = false;
  readonly received = true;
  readonly #asked: Transaction;
  readonly #dialect: Dialect;
  #body: Readable | undefined;

  constructor(asked: Transaction, dialect: Dialect, described: DescribedRequest) {
    this.#asked = asked;
    this.#dialect = dialect;
    this.method = described.method;
    this.target = described.target;
    this.scheme = described.scheme;
    this.httpVersion = described.httpVersion;
    this.rawHeaders = described.rawHeaders;
    this.stated = described.stated;
  }

  /** Made when somebody asks, which hardly anybody does. */
  get body(): Readable {
    return (this.#body ??= Readable.from([]));
  }
  get begun(): boolean {
    return this.#asked.begun;
  }
  get finished(): boolean {
    return this.#asked.finished;
  }
  get gone(): boolean {
    return this.#asked.gone;
  }

  permit(permitted: Permitted): void {
    if (!this.begun) this.#dialect.permit(this.#asked, permitted);
  }

  answer(status: number, fields: readonly string[], body: string): void {
    const lines: Field[] = [];
    for (let at = 0; at < fields.length; at += 2) lines.push([fields[at] ?? '', fields[at + 1] ?? '']);
    this.#dialect.refuse(this.#asked, { status, fields: lines, body });
  }

  bodyLength(): number {
    return 0;
  }
  onClose(listener: () => void): void {
    this.#asked.onClose(listener);
  }
  breakOff(): void {
    this.#asked.breakOff();
  }
  // Of answers that are streamed, which these never are.
  onDrain(): void {}
  writeContinue(): void {}
  writeInterim(): void {}
  flushHead(): void {}
  discard(): void {}
  end(): void {}
  writeHead(): void {
    throw new Error('a question is answered as a whole');
  }
  write(): boolean {
    return true;
  }
}
