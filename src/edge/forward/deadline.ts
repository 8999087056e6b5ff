// The deadline of one exchange: one timer, moved while the exchange proceeds.

/** Milliseconds; Node takes longer ones for 1. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** Told when the time is over; `allow` may begin another one. */
export interface DeadlineOwner {
  deadlinePassed(): void;
}

/**
 * One timer serves all limits of an exchange: it is set again only when it would fire too late, or has fired too early.
 * Does not know what is waited for: the owner does.
 */
export class Deadline {
  readonly #owner: DeadlineOwner;
  /** Milliseconds on the monotonic clock: when the exchange ends in any case, when it ends as things are, and when the timer fires. */
  readonly #last: number;
  #at = 0;
  #due = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  /** @param total seconds from now after which no limit is moved any further; undefined: there are none */
  constructor(total: number | undefined, owner: DeadlineOwner) {
    this.#owner = owner;
    this.#last = total === undefined ? Number.POSITIVE_INFINITY : performance.now() + total * 1000;
  }

  /** Seconds until the last moment; infinite without `total`. */
  get left(): number {
    return (this.#last - performance.now()) / 1000;
  }

  /** Moves the deadline to so many seconds from now, or the last moment. */
  allow(seconds: number): void {
    if (this.#ended) return;
    this.#at = Math.min(performance.now() + seconds * 1000, this.#last);
    if (this.#at < this.#due) this.#set();
  }

  /** Nothing fires any more. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #set(): void {
    clearTimeout(this.#timer);
    this.#due = this.#at;
    this.#timer = setTimeout(fire, Math.max(1, Math.min(this.#at - performance.now(), LONGEST_TIMER)), this);
  }

  /** Called by the timer. */
  fire(): void {
    this.#due = Number.POSITIVE_INFINITY;
    if (performance.now() < this.#at) this.#set();
    else this.#owner.deadlinePassed();
  }
}

function fire(deadline: Deadline): void {
  deadline.fire();
}
