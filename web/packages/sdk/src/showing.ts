/**
 * Which section of the viewer transport feeds a played stream, and when its pictures may be seen: a slot that is used
 * again still brings frames of the stream before (docs/protocol.md section 5.3).
 */

import type { PlayOutput } from "./peer.js";
import type { Clock } from "./platform.js";
import type { Viewer } from "./viewer.js";

/** Between looks at whether a reused slot shows the new stream: less than half a frame at 60 fps. */
const REUSE_POLL_MS = 8;
/** How long a reused slot stays blank when the browser never says which frame it shows. */
const REUSE_LIMIT_MS = 2_000;
/** How long the former slot stays visible when nothing comes by the one that a stream moved to. */
const MOVE_LIMIT_MS = 5_000;

/** RTP timestamps wrap (RFC 3550 5.1): `a` is at or after `b` when it is less than half the range ahead. */
export function timestampReached(a: number, b: number): boolean {
  return (a - b) >>> 0 < 0x8000_0000;
}

interface Change {
  readonly mid: string;
  readonly viewer: Viewer;
  /** The stream moves: what shows stays until the new slot has pictures. Else the slot is attached, and blank. */
  readonly moves: boolean;
  until: number;
}

/** One per play. */
export class Showing {
  readonly #output: PlayOutput;
  readonly #clock: Clock;
  /** By section, the timestamp of the stream's first frame. */
  readonly #begins = new Map<string, number>();
  #change: Change | undefined;
  /** Video was attached. */
  #shows = false;
  #cancelPoll: (() => void) | undefined;

  constructor(output: PlayOutput, clock: Clock) {
    this.#output = output;
    this.#clock = clock;
  }

  /** The stream comes by these sections now; "" = no such track. `moves`: it came by others so far, and goes on. */
  attach(viewer: Viewer, mids: { readonly audio: string; readonly video: string }, moves: boolean): void {
    this.pause();
    if (moves) this.#begins.clear(); // those of the new slot are about to come
    if (mids.audio !== "") {
      viewer.take(mids.audio);
      this.#output.attach("audio", viewer.peer.track(mids.audio), false);
    }
    if (mids.video === "") return;
    const used = viewer.take(mids.video);
    const waits = moves && this.#shows;
    this.#shows = true;
    if (!waits) this.#output.attach("video", viewer.peer.track(mids.video), used);
    if (!waits && !used) return;
    const until = waits ? this.#clock.now() + MOVE_LIMIT_MS : Infinity;
    this.#change = { mid: mids.video, viewer, moves: waits, until };
    this.#look();
  }

  /** First frame of the stream in a section. */
  begins(mid: string, timestamp: number): void {
    this.#begins.set(mid, timestamp);
    this.#look();
  }

  /** Timestamp of the stream's first frame in a section; undefined while it is not known. */
  beginOf(mid: string): number | undefined {
    return this.#begins.get(mid);
  }

  /** What was told of sections is of an earlier binding. */
  forget(): void {
    this.#begins.clear();
  }

  /** Nothing comes for now; the last picture stays. */
  pause(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
    this.#change = undefined;
  }

  /** It is over. */
  stop(): void {
    this.pause();
    this.#output.detach();
  }

  #look(): void {
    const change = this.#change;
    if (change === undefined || this.#cancelPoll !== undefined) return;
    const first = this.#begins.get(change.mid);
    const now = this.#clock.now();
    if (first !== undefined && change.until === Infinity) change.until = now + REUSE_LIMIT_MS;
    const newest = first === undefined ? undefined : change.viewer.peer.newestTimestamp(change.mid);
    const reached = first !== undefined && newest !== undefined && timestampReached(newest, first);
    if (reached || now >= change.until) {
      this.#change = undefined;
      if (change.moves) this.#output.attach("video", change.viewer.peer.track(change.mid), false);
      else this.#output.show("video");
    } else if (first !== undefined || change.moves) {
      this.#cancelPoll = this.#clock.after(REUSE_POLL_MS, () => {
        this.#cancelPoll = undefined;
        this.#look();
      });
    }
  }
}
