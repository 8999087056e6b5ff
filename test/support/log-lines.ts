// Lines of the log for tests: parsed, held against docs/log.md, waited for.

import {
  CLIENT_MEMBERS,
  COMMON_MEMBERS,
  EVENT_MEMBERS,
  EVENTS,
  FACT_MEMBERS,
  REQUEST_MEMBERS,
} from '../../src/observe/log-members.ts';

export type LogLine = Readonly<Record<string, unknown>>;

/** Seconds until a line that does not come fails the test. */
const PATIENCE = 20;

/** A destination of the log that parses its lines and tells when one comes. */
export class LogLines {
  readonly lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();

  write(line: string): void {
    const parsed = JSON.parse(line) as LogLine;
    const unknown = unknownIn(parsed);
    if (unknown.length > 0) throw new Error(`not in docs/log.md: ${unknown.join(', ')} of ${line}`);
    this.lines.push(parsed);
    for (const look of this.#waiting) look();
  }

  until(members: LogLine): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no log line has ${JSON.stringify(members)}`));
      }, PATIENCE * 1000);
      const look = () => {
        const line = this.lines.find((one) => Object.entries(members).every(([name, value]) => one[name] === value));
        if (line === undefined) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(line);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** What docs/log.md does not know of a line. */
function unknownIn(line: LogLine): string[] {
  const { msg, facts = {}, shadow = {} } = line as { msg: string; facts?: object; shadow?: { facts?: object } };
  const isRequest = msg === 'request';
  const { facts: ofShadow = {}, ...shadowed } = shadow;
  return [
    ...(isRequest || msg.replace(/\d+/, 'N') in EVENTS ? [] : [`msg ${msg}`]),
    ...others(line, { ...COMMON_MEMBERS, ...(isRequest ? { ...REQUEST_MEMBERS, ...CLIENT_MEMBERS } : EVENT_MEMBERS) }),
    ...others(facts, FACT_MEMBERS),
    ...others(shadowed, { reason: 0, stage: 0 }),
    ...others(ofShadow, FACT_MEMBERS),
  ];
}

const others = (found: object, known: object) => Object.keys(found).filter((name) => !Object.hasOwn(known, name));
