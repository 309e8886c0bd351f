/** The viewer transport: its places, when to offer more, and another one when it is lost. No sockets, no DOM. */

import { deferred, type Deferred } from "./deferred.js";
import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { IceServer, MediaPeers, ViewerPeer } from "./peer.js";

/** Places at login. More makes the first offer larger and slower to set (16 cost 137 ms), fewer delays the third play. */
export const FIRST_SLOTS = 2;

/** Sends an offer to the server and returns the answer. */
export type Exchange = (offer: string) => Promise<string>;

/** One transport. */
export class Viewer {
  readonly peer: ViewerPeer;
  /** Media has flowed. */
  wasUp = false;
  /** Media can flow now. */
  up = false;
  readonly #exchange: Exchange;
  readonly #used = new Set<string>();
  readonly #answered = deferred<undefined>();
  #slots = 0;
  #limit = Infinity;
  #growing: Promise<void> | undefined;
  #negotiation: Promise<void> = Promise.resolve();

  constructor(peer: ViewerPeer, exchange: Exchange) {
    this.peer = peer;
    this.#exchange = exchange;
  }

  get slots(): number {
    return this.#slots;
  }

  /** Resolves when the server's answer is set: sections have their mids then. */
  get answered(): Promise<undefined> {
    return this.#answered.promise;
  }

  /** The first offer, with places for `count` streams. */
  firstOffer(count: number): Promise<string> {
    this.#slots = Math.max(count, FIRST_SLOTS);
    this.peer.addSlots(this.#slots);
    return this.peer.offer();
  }

  /** The answer to it; at most `maxPlays` streams may be played at once. */
  async accept(answer: string, maxPlays: number): Promise<void> {
    this.#limit = maxPlays;
    if (answer === "") throw new SanderlingError(NativeCode.PLAY_FAILED, "the server offers no viewer transport");
    await this.peer.accept(answer);
    this.#answered.resolve(undefined);
  }

  /** No answer will come any more, or the transport is not wanted any more. */
  abandon(error: SanderlingError): void {
    this.#answered.reject(error);
    this.peer.close();
  }

  /** Look for a path over these TURN servers: nothing came of the direct ones. */
  async tryTurn(iceServers: readonly IceServer[]): Promise<void> {
    await this.answered;
    await this.#negotiate(() => {
      this.peer.useIceServers(iceServers);
    });
  }

  /** See that there are places for what is `wanted`, as far as their number may grow. */
  async reserve(wanted: () => number): Promise<void> {
    // Past the limit the server is asked all the same: it says so with the right code.
    while (wanted() > this.#slots && this.#slots < this.#limit) {
      this.#growing ??= this.#grow().finally(() => {
        this.#growing = undefined;
      });
      await this.#growing;
    }
  }

  /** Note that `mid` carries a stream now; true when it carried another one before, whose frames may still come. */
  take(mid: string): boolean {
    const used = this.#used.has(mid);
    this.#used.add(mid);
    return used;
  }

  async #grow(): Promise<void> {
    await this.answered;
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

/** What a session's viewer needs of it. */
export interface ViewingHost {
  readonly peers: MediaPeers;
  iceServers(): readonly IceServer[];
  exchange(offer: string): Promise<string>;
  /** No packet has come for a while. */
  doubted(): void;
  /** The transport broke down after it had been up. */
  lost(): void;
  /** Nothing can be played: the transport never came up. */
  failed(error: SanderlingError): void;
}

/** Holds the transport that plays use, over the life of a session. */
export class Viewing {
  readonly #host: ViewingHost;
  #viewer: Viewer | undefined;
  #ready: Deferred<Viewer> = deferred();
  #maxPlays = Infinity;
  #error: SanderlingError | undefined;
  #losing = false;
  #sei = false;

  constructor(host: ViewingHost) {
    this.#host = host;
  }

  /** The present transport. */
  get viewer(): Viewer | undefined {
    return this.#viewer;
  }

  /** Whether media has flowed over the present transport and does not now. */
  get isDown(): boolean {
    return this.#viewer?.wasUp === true && !this.#viewer.up;
  }

  /** The transport to play over: of the login that is under way, or of the one that replaces a lost one. */
  current(): Promise<Viewer> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return this.#ready.promise;
  }

  /**
   * A new transport with places for `count` plays in place of the present one; its offer. Throws without WebRTC.
   * `announced`: requests to play that are sent from now on follow the offer.
   */
  begin(count: number, announced = true): Promise<string> {
    this.#viewer?.abandon(new SanderlingError(NativeCode.PLAY_INTERRUPTED, "the viewer transport was replaced"));
    this.#error = undefined;
    this.#losing = false;
    const viewer: Viewer = new Viewer(
      this.#host.peers.createViewer(this.#host.iceServers(), {
        connected: () => {
          viewer.wasUp = true;
          viewer.up = true;
        },
        interrupted: () => {
          viewer.up = false;
          if (this.#viewer === viewer) this.#host.doubted();
        },
        failed: () => {
          viewer.up = false;
          if (this.#viewer === viewer) this.#failed(viewer);
        },
      }, this.#sei),
      (offer) => this.#host.exchange(offer),
    );
    this.#viewer = viewer;
    if (announced) this.#announce(viewer);
    return viewer.firstOffer(count);
  }

  /** Take the server's answer to `begin`. */
  async accept(answer: string, maxPlays = this.#maxPlays): Promise<void> {
    this.#maxPlays = maxPlays;
    const viewer = this.#viewer;
    try {
      await viewer?.accept(answer, maxPlays);
    } catch (thrown) {
      if (this.#viewer !== viewer) return;
      const error = asError(thrown, WebErrorCode.MEDIA_CONNECT_FAILED);
      viewer?.abandon(error);
      this.#fail(error);
    }
  }

  /** A new transport within the running session. */
  async replace(count: number): Promise<void> {
    const offer = await this.begin(count, false);
    const { viewer } = this;
    const exchanged = this.#host.exchange(offer);
    // On its way: the server knows it before any play that is asked for from here on.
    if (viewer !== undefined) this.#announce(viewer);
    const answer = await exchanged;
    if (this.#viewer === viewer) await this.accept(answer);
  }

  /**
   * What is inside of pictures is wanted. Browsers can tell from a transport's beginning or never, so that the first such
   * play has it made anew.
   */
  async needSei(): Promise<void> {
    if (this.#sei) return;
    this.#sei = true;
    const viewer = await this.current();
    await viewer.answered;
    if (this.#viewer === viewer) this.lose();
  }

  /** Give the transport up: plays wait for the next one. */
  lose(): void {
    if (this.#losing || this.#viewer === undefined) return;
    this.#losing = true;
    this.#viewer.wasUp = false;
    this.#ready = deferred();
    this.#host.lost();
  }

  /** Look for a path over TURN servers when the direct ones came to nothing. */
  tryTurn(): void {
    // What fails here fails the transport, which tells of it itself.
    if (this.#viewer?.wasUp === false) this.#viewer.tryTurn(this.#host.iceServers()).catch(() => undefined);
  }

  /** The session is over. */
  close(error: SanderlingError): void {
    this.#ready.reject(error);
    this.#viewer?.abandon(error);
    this.#viewer = undefined;
  }

  #announce(viewer: Viewer): void {
    const waiting = this.#ready;
    this.#ready = deferred();
    this.#ready.resolve(viewer);
    waiting.resolve(viewer);
  }

  #failed(viewer: Viewer): void {
    if (viewer.wasUp) {
      this.lose();
      return;
    }
    this.#fail(
      new SanderlingError(WebErrorCode.MEDIA_CONNECT_FAILED, "no media connection to the server", {
        hint: "the server's media ports must be reachable by UDP or TCP from this network",
      }),
    );
  }

  #fail(error: SanderlingError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#host.failed(error);
  }
}
