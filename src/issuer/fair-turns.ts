// Fair turns at the issuer: known tokens first, then an equal share for each client.

export interface TurnLimits {
  /** Turns at the same time. */
  readonly turns: number;
  /** Of these, for what is not known yet. */
  readonly unknown: number;
  /** Of these, for one client. */
  readonly perClient: number;
  /** That wait, of what is known and of what is not each. */
  readonly waiting: number;
}

export interface Claimant {
  /** What counts as one client. */
  readonly client: string;
  readonly known: boolean;
  /** Waits no longer than this. */
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly claimant: Claimant;
  readonly settle: (turn: boolean) => void;
}

/** Claims that wait, in a line for each client; the lines take turns. */
class Lines {
  size = 0;
  readonly #lines = new Map<string, Waiting[]>();

  add(one: Waiting): void {
    const { client } = one.claimant;
    const line = this.#lines.get(client);
    if (line === undefined) this.#lines.set(client, [one]);
    else line.push(one);
    this.size += 1;
  }

  /** Takes out the one whose turn it is. @param may whether a client may have a turn */
  next(may: (client: string) => boolean): Waiting | undefined {
    for (const [client, line] of this.#lines) {
      const [first] = line;
      if (first === undefined || !may(client)) continue;
      this.delete(first);
      // To the end of the lines.
      if (line.length > 0) {
        this.#lines.delete(client);
        this.#lines.set(client, line);
      }
      return first;
    }
    return undefined;
  }

  delete(one: Waiting): void {
    const { client } = one.claimant;
    const line = this.#lines.get(client) ?? [];
    const at = line.indexOf(one);
    if (at === -1) return;
    line.splice(at, 1);
    this.size -= 1;
    if (line.length === 0) this.#lines.delete(client);
  }

  /** The last one of the longest line. */
  get last(): Waiting | undefined {
    let longest: readonly Waiting[] = [];
    for (const line of this.#lines.values()) if (line.length > longest.length) longest = line;
    return longest.at(-1);
  }
}

/**
 * Shares turns. What is known may take all of them and goes first; what is not known never takes the last ones, and of one client no more than its
 * share. Clients take turns. Where too many wait, the last of the client with the most gives way.
 * NOT done here: telling one client from another, and what is known.
 */
export class FairTurns {
  readonly #limits: TurnLimits;
  readonly #known = new Lines();
  readonly #unknown = new Lines();
  /** Turns of clients for what is not known. */
  readonly #strangers = new Map<string, number>();
  #taken = 0;
  #takenByStrangers = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** @returns whether it has a turn, for which `end` must be called; a promise where it has to wait */
  take(claimant: Claimant): true | Promise<boolean> {
    // Whoever waits meanwhile has no share left: a free turn is this one's.
    if (this.#isFree(claimant)) {
      this.#begin(claimant);
      return true;
    }
    const lines = claimant.known ? this.#known : this.#unknown;
    return new Promise((resolve) => {
      const giveUp = () => leave(false);
      const leave = (turn: boolean) => {
        lines.delete(waiting);
        claimant.signal.removeEventListener('abort', giveUp);
        resolve(turn);
      };
      const waiting: Waiting = { claimant, settle: leave };
      lines.add(waiting);
      claimant.signal.addEventListener('abort', giveUp);
      if (claimant.signal.aborted) giveUp();
      else if (lines.size > this.#limits.waiting) lines.last?.settle(false);
    });
  }

  end({ client, known }: Claimant): void {
    this.#taken -= 1;
    if (!known) {
      this.#takenByStrangers -= 1;
      const left = (this.#strangers.get(client) ?? 1) - 1;
      if (left === 0) this.#strangers.delete(client);
      else this.#strangers.set(client, left);
    }
    this.#advance();
  }

  #isFree({ client, known }: Pick<Claimant, 'client' | 'known'>): boolean {
    if (this.#taken >= this.#limits.turns) return false;
    return known || (this.#takenByStrangers < this.#limits.unknown && this.#hasShare(client));
  }

  #hasShare(client: string): boolean {
    return (this.#strangers.get(client) ?? 0) < this.#limits.perClient;
  }

  #begin({ client, known }: Claimant): void {
    this.#taken += 1;
    if (known) return;
    this.#takenByStrangers += 1;
    this.#strangers.set(client, (this.#strangers.get(client) ?? 0) + 1);
  }

  #advance(): void {
    const { turns, unknown } = this.#limits;
    while (this.#taken < turns) {
      const next =
        this.#known.next(() => true) ??
        (this.#takenByStrangers < unknown ? this.#unknown.next((client) => this.#hasShare(client)) : undefined);
      if (next === undefined) return;
      this.#begin(next.claimant);
      next.settle(true);
    }
  }
}
