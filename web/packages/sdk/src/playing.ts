/** One stream that is to be played: asked for, bound, interrupted, asked for again, until it ends or is stopped. */

import type { PlayMoved, PlayOk, PlayerStateNotice, SlotBound } from "@sanderling/protocol";

import { deferred } from "./deferred.js";
import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { PlayerState, PlayerStateInfo } from "./events.js";
import type { PlayOutput } from "./peer.js";
import { webResource, wireMode, wirePaths, wireStreamType, type PlayOptions, type Resource } from "./play-options.js";
import type { Platform } from "./platform.js";
import { playQuality, type PlayCounters, type PlayQuality } from "./quality.js";
import { RETRY_LIMIT_MS, isPassing } from "./retry.js";
import { SeiQueue } from "./sei-queue.js";
import { Showing } from "./showing.js";
import type { Session } from "./session.js";
import type { Viewer } from "./viewer.js";

/** Between two requests for a stream that is not there. This room's notice comes sooner; for a stream in another room
 * it is the longest wait. Lower loads the server with plays nobody can have yet. */
const NOT_THERE_MS = 1_000;
/** Before a request is made again that went down with its connection; the next one waits for a new one. */
const LOST_MS = 100;

/** What a play needs of its room. */
export interface PlayingHost {
  readonly platform: Platform;
  readonly session: Session;
  /** How many streams are played. */
  plays(): number;
  changed(info: PlayerStateInfo): void;
  quality(streamID: string, figures: PlayQuality): void;
  resource(streamID: string, resource: Resource): void;
  sei(streamID: string, data: Uint8Array): void;
  /** The play is over for good. */
  done(playing: Playing): void;
}

/** Made and begun, it plays. */
export class Playing {
  readonly streamID: string;
  /** The stream's media, as soon as it has a place. */
  readonly result: Promise<MediaStream>;
  /** The newest figures; undefined before the first. */
  figures: PlayQuality | undefined;
  readonly #host: PlayingHost;
  readonly #options: PlayOptions;
  readonly #output: PlayOutput;
  readonly #showing: Showing;
  readonly #media = deferred<MediaStream>();
  #videoType: number;
  #resource: Resource | undefined;
  #state: PlayerState = "NO_PLAY";
  #code = 0;
  /** The attempt that counts; another one took its place when it is not this. */
  #attempt: object = {};
  #giveUp = 0;
  #waitsForStream = false;
  #cancelRetry: (() => void) | undefined;
  /** The server holds the play, or is about to. */
  #registered = false;
  #bound: { readonly viewer: Viewer; mids: readonly string[] } | undefined;
  #wasUp = false;
  #counters: PlayCounters | undefined;
  #sei: SeiQueue | undefined;

  constructor(streamID: string, options: PlayOptions, host: PlayingHost) {
    this.streamID = streamID;
    this.result = this.#media.promise;
    this.#options = options;
    this.#output = host.platform.peers.createOutput();
    this.#showing = new Showing(this.#output, host.platform.clock);
    this.#videoType = wireStreamType(options.streamType ?? 2) ?? 0;
    this.#host = host;
  }

  get state(): PlayerState {
    return this.#state;
  }

  /** The path in use; undefined until it is bound. */
  get resource(): Resource | undefined {
    return this.#resource;
  }

  /** Announce the request and start the work. */
  begin(): void {
    this.#change("PLAY_REQUESTING");
    this.#again();
  }

  /** The server does not hold this play any more: PLAY_REQUESTING with 1004020 until it does again. */
  interrupted(): void {
    if (this.#isOver) return;
    this.#registered = false;
    this.#bound = undefined;
    this.#counters = undefined;
    this.#showing.pause();
    this.#sei?.stop();
    if (this.#state === "PLAYING") {
      const text = "interrupted; goes on when the connection is back";
      this.#change("PLAY_REQUESTING", NativeCode.PLAY_INTERRUPTED, text);
    }
    this.#again();
  }

  /** The stream has come into the room: play it at once if that was waited for. */
  streamAdded(): void {
    if (this.#waitsForStream && !this.#isOver) this.#request();
  }

  /** The stream is gone: the play ends, which is no failure. */
  streamDeleted(): void {
    this.#registered = false;
    const text = "the stream ended before it could be played";
    this.#end(null, new SanderlingError(WebErrorCode.STREAM_NOT_FOUND, text));
  }

  /** Choose the layer, by its number on the wire, for this play and over lost connections. */
  async setVideoType(videoType: number): Promise<void> {
    this.#videoType = videoType;
    if (!this.#registered) return; // the request to play carries it
    try {
      await this.#host.session.request(
        { type: "set_video_type", stream_id: this.streamID, video_type: videoType },
        "ok",
      );
    } catch (thrown) {
      // The session ended, or the play did not come about: the next request carries the choice.
      if (this.#isBound && !(thrown instanceof SanderlingError && isPassing(thrown))) throw thrown;
    }
  }

  /** Move to another path, by its number on the wire, without interruption. */
  async switchResource(resource: number): Promise<void> {
    await this.#host.session.request({ type: "switch_resource", stream_id: this.streamID, resource }, "ok");
  }

  /** Silence or blank what is shown here, or show it again; undefined changes nothing. */
  mute(audio: boolean | undefined, video: boolean | undefined): void {
    if (audio !== undefined) this.#output.mute("audio", audio);
    if (video !== undefined) this.#output.mute("video", video);
  }

  /** The caller wants it no more. */
  stop(): void {
    this.#end(null, new SanderlingError(WebErrorCode.PLAY_FAILED, "the play was stopped before it began"));
  }

  /** It failed for good. */
  fail(error: SanderlingError): void {
    this.#end(error, error);
  }

  handleState(notice: PlayerStateNotice): void {
    if (this.#isOver) return;
    const code = notice.code ?? 0;
    if (notice.state === 2) {
      if (this.#registered) this.#up();
    } else if (notice.state === 0 && code === NativeCode.PLAY_INTERRUPTED) {
      if (this.#registered) this.interrupted();
    } else if (notice.state === 0) {
      if (code === 0) this.streamDeleted();
      else {
        this.#registered = false;
        this.fail(new SanderlingError(code, notice.message ?? ""));
      }
    }
  }

  handleBound(notice: SlotBound): void {
    this.#showing.begins(notice.mid, notice.rtp_timestamp);
  }

  /** The stream comes by another slot now, because its publisher has a new transport. */
  moved(notice: PlayMoved): void {
    if (this.#bound === undefined) return;
    const { viewer } = this.#bound;
    this.#counters = undefined;
    this.#bound = { viewer, mids: this.#attach(viewer, notice, true) };
  }

  /** The play comes by another path now. */
  handleResource(mode: number): void {
    const resource = webResource(mode);
    if (resource === undefined) return;
    this.#resource = resource;
    this.#host.resource(this.streamID, resource);
  }

  /** Ask the transport for figures and report them. */
  async measure(): Promise<void> {
    const bound = this.#bound;
    if (bound === undefined || bound.mids.length === 0 || this.#state !== "PLAYING") return;
    const entries = await bound.viewer.peer.stats(bound.mids);
    if (this.#bound !== bound) return;
    const { counters, figures } = playQuality(this.#counters, entries, this.#host.platform.clock.now());
    const first = this.#counters === undefined;
    this.#counters = counters;
    if (first) return;
    this.figures = figures;
    this.#host.quality(this.streamID, figures);
  }

  get #isBound(): boolean {
    return this.#bound !== undefined;
  }

  get #isOver(): boolean {
    return this.#state === "NO_PLAY";
  }

  /** Begin anew to ask, whatever is under way. */
  #again(): void {
    this.#giveUp = this.#host.platform.clock.now() + RETRY_LIMIT_MS;
    this.#request();
  }

  #request(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#waitsForStream = false;
    const attempt = (this.#attempt = {});
    void this.#bind(attempt);
  }

  async #bind(attempt: object): Promise<void> {
    const { session } = this.#host;
    try {
      await session.online();
      if (this.#options.isSEIStart === true) await session.viewing.needSei();
      if (this.#attempt !== attempt) return;
      const viewer = await session.viewing.current();
      if (this.#attempt !== attempt) return;
      await viewer.reserve(() => this.#host.plays());
      if (this.#attempt !== attempt) return;
      this.#registered = true;
      this.#showing.forget();
      const reply = await session.request(
        {
          type: "play",
          stream_id: this.streamID,
          resource_mode: wireMode(this.#options),
          audio: this.#options.audio ?? true,
          video: this.#options.video ?? true,
          custom: wirePaths(this.#options.customResourceConfig),
          video_type: this.#videoType,
        },
        "play_ok",
      );
      await viewer.answered; // the sections are known once the answer is set
      if (this.#attempt !== attempt || session.viewing.viewer !== viewer) return;
      this.#counters = undefined;
      this.#resource = webResource(reply.resource_mode);
      this.#bound = { viewer, mids: this.#attach(viewer, reply, false) };
      this.#media.resolve(this.#output.stream);
    } catch (thrown) {
      if (this.#attempt === attempt && !this.#isOver) this.#refused(asError(thrown, NativeCode.PLAY_FAILED));
    }
  }

  #refused(error: SanderlingError): void {
    this.#registered = false;
    const notThere = error.nativeCode === NativeCode.STREAM_NOT_FOUND;
    let waits = notThere || isPassing(error) || error.nativeCode === NativeCode.PLAY_INTERRUPTED;
    if (this.#wasUp && error.nativeCode === NativeCode.PLAY_FAILED) {
      // The server has lost the viewer transport and this end has not noticed yet.
      this.#host.session.viewing.lose();
      waits = true;
    }
    if (!waits) {
      this.fail(error);
      return;
    }
    if (this.#host.platform.clock.now() >= this.#giveUp) {
      this.fail(notThere ? error : new SanderlingError(WebErrorCode.PLAY_RETRY_TIMEOUT, error.message));
      return;
    }
    this.#waitsForStream = notThere;
    const wait = error.retryAfterMs > 0 ? error.retryAfterMs : notThere ? NOT_THERE_MS : LOST_MS;
    this.#cancelRetry = this.#host.platform.clock.after(wait, () => {
      this.#request();
    });
  }

  #attach(viewer: Viewer, { audio_mid, video_mid }: PlayOk | PlayMoved, moves: boolean): string[] {
    const target =
      this.#options.jitterBufferTarget ??
      (this.#options.playoutDelayHint === undefined ? 0 : this.#options.playoutDelayHint * 1000);
    const mids = { audio: audio_mid ?? "", video: video_mid ?? "" };
    for (const mid of [mids.audio, mids.video]) if (mid !== "") viewer.peer.setJitterBuffer(mid, target);
    this.#showing.attach(viewer, mids, moves);
    this.#sei?.stop();
    this.#sei = undefined;
    if (this.#options.isSEIStart === true && mids.video !== "") {
      this.#sei = new SeiQueue(
        this.#host.platform.clock,
        viewer,
        mids.video,
        (mid) => this.#showing.beginOf(mid),
        (data) => {
          this.#host.sei(this.streamID, data);
        },
      );
    }
    return [mids.audio, mids.video].filter((mid) => mid !== "");
  }

  #up(): void {
    this.#wasUp = true;
    this.#change("PLAYING");
  }

  /** `unfinished` is what the caller hears who still waits for the media. */
  #end(error: SanderlingError | null, unfinished: SanderlingError): void {
    if (this.#isOver) return;
    this.#attempt = {};
    this.#cancelRetry?.();
    this.#showing.stop();
    this.#sei?.stop();
    this.#bound = undefined;
    if (this.#registered) this.#host.session.post({ type: "stop_play", stream_id: this.streamID });
    this.#registered = false;
    this.#host.done(this);
    this.#change("NO_PLAY", error?.errorCode ?? 0, error?.extendedData ?? "");
    this.#media.reject(unfinished);
  }

  #change(state: PlayerState, code = 0, extendedData = ""): void {
    if (state === this.#state && code === this.#code) return;
    this.#state = state;
    this.#code = code;
    this.#host.changed({ streamID: this.streamID, state, errorCode: code, extendedData });
  }
}
