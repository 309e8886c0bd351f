/** One stream that is to be played: bound anew in every session until it is stopped or fails for good. */

import type { PlayOk, PlayerStateNotice, SlotBound } from "@sanderling/protocol";

import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { PlayerState, PlayerStateInfo } from "./events.js";
import type { PlayOutput } from "./peer.js";
import type { Clock } from "./platform.js";
import { playQuality, type PlayCounters, type PlayQuality } from "./quality.js";
import type { Session } from "./session.js";
import type { Viewer } from "./viewer.js";

/** Choose the path by what the local user does; values as in `resourceMode`. */
export interface CustomResourceConfig {
  readonly beforePublish?: 0 | 1 | 2;
  readonly publishing?: 0 | 1 | 2;
  readonly afterPublish?: 0 | 1 | 2;
}

/** Layer of a stream published in several: 0 small, 1 big, 2 (the default) what the network carries. */
export type StreamType = 0 | 1 | 2;

/** How to play a stream. */
export interface PlayOptions {
  readonly video?: boolean;
  readonly audio?: boolean;
  /** 0 RTC, 1 CDN, 2 L3, 5 custom; the web's numbering (native: 3, 1, 2, 5). */
  readonly resourceMode?: 0 | 1 | 2 | 5;
  readonly customResourceConfig?: CustomResourceConfig;
  /** The web's numbering (native: 1, 2, 0); `setPlayStreamVideoType` changes it while the stream plays. */
  readonly streamType?: StreamType;
  /** Milliseconds the jitter buffer aims at; 0 (the default) = as little as the network allows. */
  readonly jitterBufferTarget?: number;
  /** The same in seconds, the older name. */
  readonly playoutDelayHint?: number;
}

/** Whether the local user has not yet published in this room, does, or did. */
export type PublishPhase = "beforePublish" | "publishing" | "afterPublish";

const NATIVE_MODE: Readonly<Record<number, number>> = { 0: 3, 1: 1, 2: 2 };

/** The resource mode as it goes over the wire. */
export function wireMode(options: PlayOptions, phase: PublishPhase): number {
  const mode = options.resourceMode ?? 0;
  if (mode !== 5) return NATIVE_MODE[mode] ?? 3;
  return NATIVE_MODE[options.customResourceConfig?.[phase] ?? 0] ?? 3;
}

const NATIVE_STREAM_TYPE: Readonly<Record<StreamType, number>> = { 0: 1, 1: 2, 2: 0 };

/** The wanted layer as it goes over the wire; undefined for a number that does not exist. */
export function wireStreamType(type: number): number | undefined {
  return (NATIVE_STREAM_TYPE as Readonly<Record<number, number>>)[type];
}

/** Milliseconds between looks at whether a reused slot shows the new stream: less than half a frame at 60 fps. */
const REUSE_POLL_MS = 8;
/** How long a reused slot stays blank when the browser never says which frame it shows. */
const REUSE_LIMIT_MS = 2_000;

/** RTP timestamps wrap (RFC 3550 5.1): `a` is at or after `b` when it is less than half the range ahead. */
export function timestampReached(a: number, b: number): boolean {
  return (a - b) >>> 0 < 0x8000_0000;
}

/** What a play needs of its room. */
export interface PlayingHost {
  readonly clock: Clock;
  changed(info: PlayerStateInfo): void;
  quality(streamID: string, figures: PlayQuality): void;
  /** The play is over for good. */
  done(playing: Playing): void;
}

/** Started by the room, once per session. */
export class Playing {
  readonly streamID: string;
  readonly result: Promise<MediaStream>;
  readonly #host: PlayingHost;
  readonly #options: PlayOptions;
  readonly #output: PlayOutput;
  #videoType: number;
  #resolve: (stream: MediaStream) => void = () => undefined;
  #reject: (error: SanderlingError) => void = () => undefined;
  #state: PlayerState = "NO_PLAY";
  #code = 0;
  #over = false;
  #binding: { readonly session: Session; readonly viewer: Viewer; mids: string[] } | undefined;
  readonly #bound = new Map<string, number>();
  // A reused slot that still shows the stream before.
  #hidden: { readonly mid: string; readonly viewer: Viewer; until: number } | undefined;
  #cancelPoll: (() => void) | undefined;
  #counters: PlayCounters | undefined;

  constructor(streamID: string, options: PlayOptions, output: PlayOutput, host: PlayingHost) {
    this.streamID = streamID;
    this.#options = options;
    this.#output = output;
    this.#videoType = wireStreamType(options.streamType ?? 2) ?? 0;
    this.#host = host;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The state event tells of the failure as well; a caller that ignores the promise must not crash the page.
    this.result.catch(() => undefined);
    this.#change("PLAY_REQUESTING");
  }

  get state(): PlayerState {
    return this.#state;
  }

  /** Play in this session. */
  async start(session: Session, viewer: Viewer, phase: PublishPhase): Promise<void> {
    if (this.#over) return;
    const binding = (this.#binding = { session, viewer, mids: [] as string[] });
    this.#change("PLAY_REQUESTING");
    try {
      await viewer.reserve();
      if (this.#binding !== binding) {
        viewer.release();
        return;
      }
      const reply = await session.play({
        stream_id: this.streamID,
        resource_mode: wireMode(this.#options, phase),
        audio: this.#options.audio ?? true,
        video: this.#options.video ?? true,
        video_type: this.#videoType,
      });
      // Stopped meanwhile: the stop was sent behind the play, the slot is free again.
      if (this.#binding !== binding) return;
      this.#attach(viewer, reply, binding.mids);
      this.#resolve(this.#output.stream);
    } catch (thrown) {
      if (this.#binding !== binding) return; // the session ended; the next one tries again
      this.#binding = undefined;
      viewer.release();
      this.fail(asError(thrown, NativeCode.PLAY_FAILED));
    }
  }

  /** Choose the layer, by its number on the wire, for this play and over lost connections. */
  async setVideoType(videoType: number): Promise<void> {
    this.#videoType = videoType;
    const binding = this.#binding;
    if (binding === undefined) return; // the request to play carries it
    try {
      await binding.session.setVideoType(this.streamID, videoType);
    } catch (thrown) {
      // The session ended, or the play did not come about: the next request carries the choice.
      if (this.#binding === binding) throw thrown;
    }
  }

  /** The session is gone; the next one continues. */
  suspend(): void {
    this.#unbind();
    if (!this.#over) this.#change("PLAY_REQUESTING", NativeCode.PLAY_INTERRUPTED, "interrupted; goes on when the connection is back");
  }

  /** The caller wants it no more. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    const binding = this.#binding;
    this.#unbind();
    if (binding !== undefined) {
      binding.viewer.release();
      // The session's end frees the slot just as well.
      binding.session.stopPlay(this.streamID).catch(() => undefined);
    }
    this.#change("NO_PLAY");
    this.#reject(new SanderlingError(WebErrorCode.PLAY_FAILED, "the play was stopped before it began"));
    this.#host.done(this);
  }

  /** It failed for good. */
  fail(error: SanderlingError): void {
    if (this.#over) return;
    this.#over = true;
    this.#unbind();
    this.#change("NO_PLAY", error.errorCode, error.extendedData);
    this.#reject(error);
    this.#host.done(this);
  }

  handleState(notice: PlayerStateNotice): void {
    const binding = this.#binding;
    if (this.#over || binding === undefined) return;
    if (notice.state === 2) {
      this.#change("PLAYING");
      return;
    }
    if (notice.state !== 0) return;
    // The server has freed the slot.
    binding.viewer.release();
    const code = notice.code ?? 0;
    if (code === 0) {
      this.#over = true;
      this.#unbind();
      this.#change("NO_PLAY");
      this.#reject(new SanderlingError(WebErrorCode.STREAM_NOT_FOUND, "the stream ended before it could be played"));
      this.#host.done(this);
    } else {
      this.fail(new SanderlingError(code, notice.message ?? ""));
    }
  }

  handleBound(notice: SlotBound): void {
    this.#bound.set(notice.mid, notice.rtp_timestamp);
    this.#watchReused();
  }

  /** Ask the transport for figures and report them. */
  async measure(): Promise<void> {
    const binding = this.#binding;
    if (binding === undefined || binding.mids.length === 0) return;
    const entries = await binding.viewer.peer.stats(binding.mids);
    if (this.#binding !== binding) return;
    const { counters, figures } = playQuality(this.#counters, entries, this.#host.clock.now());
    const first = this.#counters === undefined;
    this.#counters = counters;
    if (!first) this.#host.quality(this.streamID, figures);
  }

  #attach(viewer: Viewer, reply: PlayOk, mids: string[]): void {
    const target =
      this.#options.jitterBufferTarget ??
      (this.#options.playoutDelayHint === undefined ? 0 : this.#options.playoutDelayHint * 1000);
    const audio = reply.audio_mid ?? "";
    const video = reply.video_mid ?? "";
    if (audio !== "") {
      mids.push(audio);
      viewer.take(audio);
      viewer.peer.setJitterBuffer(audio, target);
      this.#output.attach("audio", viewer.peer.track(audio), false);
    }
    if (video === "") return;
    mids.push(video);
    viewer.peer.setJitterBuffer(video, target);
    const hidden = viewer.take(video);
    this.#output.attach("video", viewer.peer.track(video), hidden);
    if (!hidden) return;
    this.#hidden = { mid: video, viewer, until: Infinity };
    this.#watchReused();
  }

  /** Show a reused slot when it has reached the first frame of the new stream (architecture section 4). */
  #watchReused(): void {
    const hidden = this.#hidden;
    const first = hidden === undefined ? undefined : this.#bound.get(hidden.mid);
    if (hidden === undefined || first === undefined || this.#cancelPoll !== undefined) return;
    const now = this.#host.clock.now();
    if (hidden.until === Infinity) hidden.until = now + REUSE_LIMIT_MS;
    const newest = hidden.viewer.peer.newestTimestamp(hidden.mid);
    if ((newest !== undefined && timestampReached(newest, first)) || now >= hidden.until) {
      this.#hidden = undefined;
      this.#output.show("video");
      return;
    }
    this.#cancelPoll = this.#host.clock.after(REUSE_POLL_MS, () => {
      this.#cancelPoll = undefined;
      this.#watchReused();
    });
  }

  #unbind(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
    this.#hidden = undefined;
    this.#binding = undefined;
    this.#bound.clear();
    this.#counters = undefined;
    this.#output.detach();
  }

  #change(state: PlayerState, code = 0, extendedData = ""): void {
    // Every attempt to reconnect comes by here: an interruption is told once.
    if (state === this.#state && (code === 0 || code === this.#code)) return;
    this.#state = state;
    this.#code = code;
    this.#host.changed({ streamID: this.streamID, state, errorCode: code, extendedData });
  }
}
