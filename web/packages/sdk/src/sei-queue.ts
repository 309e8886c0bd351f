/** Data that came inside pictures, held until the picture that carried it is the one that shows. */

import type { Clock } from "./platform.js";
import { timestampReached } from "./showing.js";
import type { Viewer } from "./viewer.js";

/** Between looks at what shows: less than half a frame at 60 fps. */
const POLL_MS = 8;
/** After so long it is delivered although the browser never said that its picture shows. */
const LIMIT_MS = 500;

interface Piece {
  readonly timestamp: number;
  readonly data: Uint8Array;
  readonly until: number;
}

/** Of one section of the viewer transport, while a play is bound to it. */
export class SeiQueue {
  readonly #clock: Clock;
  readonly #viewer: Viewer;
  readonly #mid: string;
  readonly #begins: (mid: string) => number | undefined;
  readonly #deliver: (data: Uint8Array) => void;
  #waiting: Piece[] = [];
  #cancelPoll: (() => void) | undefined;

  /** `begins`: timestamp of the stream's first frame in a section; what is older belongs to another stream. */
  constructor(
    clock: Clock,
    viewer: Viewer,
    mid: string,
    begins: (mid: string) => number | undefined,
    deliver: (data: Uint8Array) => void,
  ) {
    this.#clock = clock;
    this.#viewer = viewer;
    this.#mid = mid;
    this.#begins = begins;
    this.#deliver = deliver;
    viewer.peer.readSei(mid, (timestamp, data) => {
      this.#waiting.push({ timestamp, data, until: clock.now() + LIMIT_MS });
      this.#look();
    });
  }

  stop(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
    this.#waiting = [];
    this.#viewer.peer.readSei(this.#mid, undefined);
  }

  #look(): void {
    if (this.#cancelPoll !== undefined) return;
    const first = this.#begins(this.#mid);
    const newest = this.#viewer.peer.newestTimestamp(this.#mid);
    const now = this.#clock.now();
    for (let [piece] = this.#waiting; piece !== undefined; [piece] = this.#waiting) {
      const shown = newest !== undefined && timestampReached(newest, piece.timestamp);
      if (now < piece.until && (first === undefined || !shown)) break;
      this.#waiting.shift();
      if (first !== undefined && timestampReached(piece.timestamp, first)) this.#deliver(piece.data);
    }
    if (this.#waiting.length === 0) return;
    this.#cancelPoll = this.#clock.after(POLL_MS, () => {
      this.#cancelPoll = undefined;
      this.#look();
    });
  }
}
