/** Whether to try again after a failure, and how long to wait before it; the twin of python/sanderling/sdk/backoff.py. */

import { NativeCode, type SanderlingError } from "./errors.js";

/** How long a lost connection, a publish and a play are tried again (the native 20 minutes; product-facts 5.5). */
export const RETRY_LIMIT_MS = 20 * 60_000;
/** Before the second attempt; the first is made at once, because most interruptions are a moved address. */
const FIRST_MS = 100;
/** How long attempts are frequent: somebody is looking at a frozen picture. */
const EAGER_FOR_MS = 30_000;
const LONGEST_EAGER_MS = 1_000;
/** Longest wait afterwards: a radio that wakes up every second drains a battery. */
const LONGEST_MS = 15_000;

const PASSING: ReadonlySet<number> = new Set([
  NativeCode.LOGIN_FAILED,
  NativeCode.LOGIN_TIMEOUT,
  NativeCode.CONNECTION_INTERRUPTED,
  NativeCode.CONNECTION_LOST,
  NativeCode.SESSION_ERROR,
  NativeCode.ROOM_INTERNAL_ERROR,
  NativeCode.INTERNAL_ERROR,
  1002071,
  1002072,
  1002073,
]);

/** Whether what failed may well succeed a little later: the network, or a server that is starting or busy. */
export function isPassing(error: SanderlingError): boolean {
  return PASSING.has(error.nativeCode);
}

/** Waits that double, up to a ceiling, each drawn from its upper half so that the clients of one server spread. */
export class Backoff {
  readonly #since: number;
  readonly #limit: number;
  readonly #draw: () => number;
  #delay = 0;

  constructor(limitMs: number, now: number, draw: () => number) {
    this.#since = now;
    this.#limit = limitMs;
    this.#draw = draw;
  }

  /** Whether the time for attempts is up. */
  over(now: number): boolean {
    return now - this.#since >= this.#limit;
  }

  /** Whether somebody may still be looking. */
  eager(now: number): boolean {
    return now - this.#since < EAGER_FOR_MS;
  }

  /** Milliseconds to wait before the next attempt, not beyond the limit; `atLeast`: what a server asked for. */
  next(now: number, atLeast = 0): number {
    const delay = this.#delay * (0.5 + 0.5 * this.#draw());
    const ceiling = this.eager(now) ? LONGEST_EAGER_MS : LONGEST_MS;
    this.#delay = Math.min(Math.max(this.#delay * 2, FIRST_MS), ceiling);
    const left = Math.max(0, this.#limit - (now - this.#since));
    return Math.min(Math.max(delay, atLeast), left);
  }
}
