/** When to try again after the connection was lost (product-facts 5.5: the web gives up after five minutes). */

import { NativeCode, type SanderlingError } from "./errors.js";

/** How long a lost connection is sought. */
export const RETRY_LIMIT_MS = 5 * 60_000;
/** First and longest wait. A shorter first one hammers a server that restarts; a longer last one keeps the picture away. */
const FIRST_MS = 250;
const LONGEST_MS = 5_000;

/** The network's fault, or a server too busy: the same login may work later. */
const PASSING: ReadonlySet<number> = new Set([
  NativeCode.LOGIN_FAILED,
  NativeCode.LOGIN_TIMEOUT,
  NativeCode.CONNECTION_LOST,
  1002071,
  1002072,
  1002073,
]);

/** Whether a login that failed with `error` may work later, unchanged. */
export function mayRetry(error: SanderlingError): boolean {
  return PASSING.has(error.nativeCode);
}

/** Milliseconds before attempt `attempt` (1 = the first after the loss); `random` from 0 to 1 spreads the clients. */
export function retryDelay(attempt: number, random: number): number {
  const full = Math.min(FIRST_MS * 2 ** (attempt - 1), LONGEST_MS);
  return full * (0.5 + random / 2);
}
