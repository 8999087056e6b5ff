// The cluster's DNS: names of Services, and names that a test gives.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const A = 1;
const [ANSWER, NO_SUCH_NAME] = [0x8580, 0x8583];
/** Seconds that an answer may be kept. */
const LIFE = 5;

export class Dns {
  readonly #socket: Socket = createSocket('udp4');
  readonly #given = new Map<string, string>();
  readonly #lookUp: (name: string) => readonly string[] | undefined;

  constructor(lookUp: (name: string) => readonly string[] | undefined) {
    this.#lookUp = lookUp;
  }

  async start(address: string): Promise<void> {
    this.#socket.on('message', (message, { port, address: from }) => {
      const answer = this.#answer(message);
      if (answer !== undefined) this.#socket.send(answer, port, from);
    });
    this.#socket.bind(53, address);
    await once(this.#socket, 'listening');
  }

  /** A name of outside the cluster. */
  give(name: string, address: string): void {
    this.#given.set(name.toLowerCase(), address);
  }

  #answer(message: Buffer): Buffer | undefined {
    const labels: string[] = [];
    let at = 12;
    for (let length = message[at]; length !== undefined && length > 0; length = message[at]) {
      labels.push(message.toString('latin1', at + 1, at + 1 + length));
      at += length + 1;
    }
    if (at + 5 > message.length) return undefined;
    const question = message.subarray(12, at + 5);
    const name = labels.join('.').toLowerCase();
    const given = this.#given.get(name);
    const found = given === undefined ? this.#lookUp(name) : [given];
    const addresses = message.readUInt16BE(at + 1) === A ? (found ?? []) : [];
    const header = Buffer.alloc(12);
    message.copy(header, 0, 0, 2);
    header.writeUInt16BE(found === undefined ? NO_SUCH_NAME : ANSWER, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    // A pointer to the question's name, type A, class IN.
    const records = addresses.map((one) => [0xc0, 12, 0, A, 0, 1, 0, 0, 0, LIFE, 0, 4, ...one.split('.').map(Number)]);
    return Buffer.concat([header, question, ...records.map((one) => Buffer.from(one))]);
  }

  close(): void {
    this.#socket.close();
  }
}
