/** The viewer transport: how many places it has, how many are spoken for, and when to offer more. No sockets, no DOM. */

import { NativeCode, SanderlingError } from "./errors.js";
import type { IceServer, ViewerPeer } from "./peer.js";

/** Places at login. More makes the first offer larger and slower to set (16 cost 137 ms), fewer delays the third play. */
export const FIRST_SLOTS = 2;

/** Sends an offer with more places and returns the answer. */
export type Exchange = (offer: string) => Promise<string>;

/** One per session, made before its login. */
export class Viewer {
  readonly peer: ViewerPeer;
  readonly #exchange: Exchange;
  readonly #used = new Set<string>();
  readonly #answered: Promise<void>;
  #resolveAnswered: () => void = () => undefined;
  #rejectAnswered: (error: unknown) => void = () => undefined;
  #slots = 0;
  #wanted = 0;
  #limit = Infinity;
  #growing: Promise<void> | undefined;
  #negotiation: Promise<void> = Promise.resolve();

  constructor(peer: ViewerPeer, exchange: Exchange) {
    this.peer = peer;
    this.#exchange = exchange;
    this.#answered = new Promise((resolve, reject) => {
      this.#resolveAnswered = resolve;
      this.#rejectAnswered = reject;
    });
    // Only a play that needs more places looks at it; without one a failed login must not be an unhandled rejection.
    this.#answered.catch(() => undefined);
  }

  get slots(): number {
    return this.#slots;
  }

  /** The offer that goes with the login. */
  firstOffer(): Promise<string> {
    this.peer.addSlots(FIRST_SLOTS);
    this.#slots = FIRST_SLOTS;
    return this.peer.offer();
  }

  /** The answer that came with the login's reply; at most `maxPlays` streams may be played at once. */
  async accept(answer: string, maxPlays: number): Promise<void> {
    this.#limit = maxPlays;
    if (answer === "") throw new SanderlingError(NativeCode.PLAY_FAILED, "the server offers no viewer transport");
    await this.peer.accept(answer);
    this.#resolveAnswered();
  }

  /** The session is over: nothing that waits for places gets any. */
  abandon(error: SanderlingError): void {
    this.#rejectAnswered(error);
    this.peer.close();
  }

  /** Look for a path over these TURN servers: nothing came of the direct ones. */
  async tryTurn(iceServers: readonly IceServer[]): Promise<void> {
    await this.#answered;
    await this.#negotiate(() => {
      this.peer.useIceServers(iceServers);
    });
  }

  /** Resolves when one more stream has a place; every call needs its `release`, also when it failed. */
  async reserve(): Promise<void> {
    this.#wanted += 1;
    // Past the limit the server is asked all the same: it says so with the right code.
    while (this.#wanted > this.#slots && this.#slots < this.#limit) {
      this.#growing ??= this.#grow().finally(() => {
        this.#growing = undefined;
      });
      await this.#growing;
    }
  }

  /** A stream needs its place no more. */
  release(): void {
    this.#wanted -= 1;
  }

  /** Note that `mid` carries a stream now; true when it carried another one before, whose frames may still come. */
  take(mid: string): boolean {
    const used = this.#used.has(mid);
    this.#used.add(mid);
    return used;
  }

  async #grow(): Promise<void> {
    await this.#answered;
    // Doubling keeps the number of negotiations logarithmic; the pool never shrinks.
    const target = Math.min(Math.max(this.#slots * 2, FIRST_SLOTS), this.#limit);
    const more = target - this.#slots;
    if (more <= 0) return;
    await this.#negotiate(() => {
      this.peer.addSlots(more);
    });
    this.#slots = target;
  }

  /** One at a time: an offer while another one is open would be refused (RFC 3264 section 4). */
  #negotiate(prepare: () => void): Promise<void> {
    const negotiated = this.#negotiation.then(async () => {
      prepare();
      await this.peer.accept(await this.#exchange(await this.peer.offer()));
    });
    this.#negotiation = negotiated.catch(() => undefined);
    return negotiated;
  }
}
