/** One stream that is to be published: over a transport of its own, made anew when it is lost, until it is stopped. */

import type { PublisherStateNotice } from "@sanderling/protocol";

import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { PublisherState, PublisherStateInfo } from "./events.js";
import type { PublisherPeer, VideoCodec } from "./peer.js";
import type { Platform } from "./platform.js";
import { publishQuality, type PublishCounters, type PublishQuality } from "./quality.js";
import { Backoff, RETRY_LIMIT_MS, isPassing } from "./retry.js";
import type { Session } from "./session.js";

/** For how long a streamID may still be held by this user's own lost session. */
const ID_PATIENCE_MS = 5_000;
/** Bytes of a stream's extra info (product-facts 5.6): fewer than this. */
const EXTRA_INFO_LIMIT = 1024;

/** Bytes of data in one picture, and pieces of it a second (product-facts 1.11). */
const MAX_SEI = 4096;
const SEI_PER_SECOND = 30;

/** How to publish a stream. */
export interface PublishOptions {
  /** Codec to prefer: VP8 (default), VP9, AV1 or H264. */
  readonly videoCodec?: VideoCodec;
  readonly extraInfo?: string;
  /** Kilobits per second; the browser's own choice when not given. */
  readonly videoBitrate?: number;
  readonly audioBitrate?: number;
  /** Send three layers (a quarter, half, full size), so that viewers on slow links get a smaller one. */
  readonly simulcast?: boolean;
  /** Pictures carry data (`sendSEI`); not with VP9. 1103002 in a browser without RTCRtpScriptTransform. */
  readonly isSEIStart?: boolean;
  /** With several rooms: where to publish; the first one when not given. */
  readonly roomID?: string;
}

/** Camera and microphone of a stream: 0 open, 9 disabled, 10 muted (RemoteDeviceState of the native SDKs). */
export type DeviceState = 0 | 9 | 10;

/** What a published stream needs of its room. */
export interface PublishingHost {
  readonly platform: Platform;
  readonly session: Session;
  changed(info: PublisherStateInfo): void;
  quality(streamID: string, figures: PublishQuality): void;
  /** The stream is published no more, for good. */
  done(publishing: Publishing): void;
}

/** Made, it publishes. */
export class Publishing {
  readonly streamID: string;
  readonly channel: number;
  readonly stream: MediaStream;
  /** The newest figures; undefined before the first. */
  figures: PublishQuality | undefined;
  readonly #options: PublishOptions;
  readonly #host: PublishingHost;
  #extraInfo: string;
  #camera: DeviceState;
  #microphone: DeviceState;
  #told: readonly [DeviceState, DeviceState] | undefined;
  #telling = false;
  #state: PublisherState = "NO_PUBLISH";
  #code = 0;
  #peer: PublisherPeer | undefined;
  /** The attempt that counts; another one took its place when it is not this. */
  #attempt: object = {};
  #backoff: Backoff | undefined;
  #since = 0;
  #cancelRetry: (() => void) | undefined;
  /** The server holds the stream, or is about to. */
  #registered = false;
  #answered = false;
  #connected = false;
  #renewing = false;
  #wasUp = false;
  #counters: PublishCounters | undefined;
  #seiTimes: number[] = [];

  constructor(
    { streamID, stream, channel }: { readonly streamID: string; readonly stream: MediaStream; readonly channel: number },
    options: PublishOptions,
    devices: { readonly camera: DeviceState; readonly microphone: DeviceState },
    host: PublishingHost,
  ) {
    this.streamID = streamID;
    this.channel = channel;
    this.stream = stream;
    this.#options = options;
    this.#extraInfo = options.extraInfo ?? "";
    this.#camera = devices.camera;
    this.#microphone = devices.microphone;
    this.#host = host;
  }

  get state(): PublisherState {
    return this.#state;
  }

  /** Announce the request and start the work. */
  begin(): void {
    this.#change("PUBLISH_REQUESTING");
    this.#again();
  }

  /** Nothing came of the direct paths: publish again over the TURN servers that are known now. */
  tryTurn(): void {
    if (this.#peer === undefined || this.#connected) return;
    this.#host.session.post({ type: "stop_publish", stream_id: this.streamID });
    this.#registered = false;
    this.#again();
  }

  /**
   * The stream is not on its way any more: PUBLISH_REQUESTING with 1003020 until it is again. `held`: the server may
   * still have the stream and lacks its media.
   */
  interrupted(held = false): void {
    if (this.#isOver) return;
    this.#registered = held;
    this.#told = undefined;
    if (this.#state === "PUBLISHING") {
      const text = "interrupted; goes on when the connection is back";
      this.#change("PUBLISH_REQUESTING", NativeCode.PUBLISH_INTERRUPTED, text);
    }
    this.#again();
  }

  /** Signalling is back, perhaps from another address: do not wait until the transport notices that it is dead. */
  checkTransport(): void {
    if (this.#wasUp && this.#answered && !this.#connected) this.interrupted(true);
  }

  /** The caller wants it no more. */
  stop(): void {
    this.#end(null);
  }

  /** It failed for good. */
  fail(error: SanderlingError): void {
    this.#end(error);
  }

  handleState(notice: PublisherStateNotice): void {
    if (this.#isOver) return;
    if (notice.state === 2) {
      if (this.#registered) this.#up();
    } else if (notice.state === 0) {
      this.#registered = false;
      // Of the transport that is being replaced.
      if (this.#state === "PUBLISH_REQUESTING" && this.#wasUp && !this.#answered) return;
      const code = notice.code ?? NativeCode.PUBLISH_INTERRUPTED;
      const passing = code === NativeCode.PUBLISH_INTERRUPTED || code === NativeCode.PUBLISH_FAILED;
      if (this.#wasUp && passing) this.interrupted();
      else this.fail(new SanderlingError(code, notice.message ?? "the server ended the stream"));
    }
  }

  /** Replace the stream's extra info; it stays so over lost connections. 1003051 when it is too long. */
  async setExtraInfo(extraInfo: string): Promise<void> {
    if (new TextEncoder().encode(extraInfo).length >= EXTRA_INFO_LIMIT) {
      throw new SanderlingError(
        NativeCode.STREAM_EXTRA_INFO_TOO_LONG,
        `the extra info has ${String(EXTRA_INFO_LIMIT)} bytes or more`,
      );
    }
    this.#extraInfo = extraInfo;
    if (!this.#registered) return; // the request to publish carries it
    try {
      await this.#host.session.request(
        { type: "set_stream_extra_info", stream_id: this.streamID, extra_info: extraInfo },
        "ok",
      );
    } catch (thrown) {
      // Gone down with its session: the next request to publish carries it.
      if (!(thrown instanceof SanderlingError && isPassing(thrown) && thrown.retryAfterMs === 0)) throw thrown;
    }
  }

  /**
   * Send data with the next picture; false when it is too often (30 a second) or no picture goes out now. 1003043 empty,
   * 1003044 above 4096 bytes, 1103001 published without `isSEIStart`.
   */
  sendSei(data: Uint8Array): boolean {
    if (data.length === 0) throw new SanderlingError(NativeCode.SEI_EMPTY, "there is nothing to send");
    if (data.length > MAX_SEI) {
      const text = `the data has ${String(data.length)} bytes, ${String(MAX_SEI)} allowed`;
      throw new SanderlingError(NativeCode.SEI_TOO_LONG, text);
    }
    if (this.#options.isSEIStart !== true) {
      throw new SanderlingError(WebErrorCode.PUBLISH_PARAMETER, `stream ${this.streamID} carries no data`, {
        hint: "publish it with isSEIStart",
      });
    }
    const now = this.#now();
    this.#seiTimes = this.#seiTimes.filter((at) => now - at < 1_000);
    if (this.#state !== "PUBLISHING" || this.#seiTimes.length >= SEI_PER_SECOND) return false;
    this.#seiTimes.push(now);
    this.#peer?.sendSei(data);
    return true;
  }

  /** Tell the room what camera and microphone do; undefined leaves one as it is. */
  setDevices(camera: DeviceState | undefined, microphone: DeviceState | undefined): void {
    this.#camera = camera ?? this.#camera;
    this.#microphone = microphone ?? this.#microphone;
    if (!this.#telling) void this.#tellDevices();
  }

  /** Ask the transport for figures and report them. */
  async measure(): Promise<void> {
    const peer = this.#peer;
    if (peer === undefined || this.#state !== "PUBLISHING") return;
    const entries = await peer.stats();
    if (this.#peer !== peer) return;
    const { counters, figures } = publishQuality(this.#counters, entries, this.#host.platform.clock.now());
    const first = this.#counters === undefined;
    this.#counters = counters;
    if (first) return;
    this.figures = figures;
    this.#host.quality(this.streamID, figures);
  }

  get #isOver(): boolean {
    return this.#state === "NO_PUBLISH";
  }

  #now(): number {
    return this.#host.platform.clock.now();
  }

  /** Begin anew to ask, whatever is under way. */
  #again(): void {
    this.#since = this.#now();
    this.#backoff = new Backoff(RETRY_LIMIT_MS, this.#since, () => this.#host.platform.random());
    this.#answered = this.#connected = false;
    this.#later(0);
  }

  #later(atLeastMs: number): void {
    const attempt = (this.#attempt = {});
    this.#cancelRetry?.();
    const wait = this.#backoff?.next(this.#now(), atLeastMs) ?? 0;
    if (wait <= 0) {
      void this.#announce(attempt);
      return;
    }
    this.#cancelRetry = this.#host.platform.clock.after(wait, () => {
      this.#cancelRetry = undefined;
      void this.#announce(attempt);
    });
  }

  async #announce(attempt: object): Promise<void> {
    const { session } = this.#host;
    try {
      await session.online();
      if (this.#attempt !== attempt) return;
      const former = this.#peer;
      const peer = this.#makePeer();
      this.#peer = peer;
      this.#counters = undefined;
      try {
        const offer = await peer.offer();
        if (this.#peer !== peer) return;
        this.#renewing = this.#registered;
        this.#registered = true;
        this.#told = [this.#camera, this.#microphone];
        const reply = await session.request(
          {
            type: "publish",
            stream_id: this.streamID,
            offer,
            channel: this.channel,
            extra_info: this.#extraInfo,
            camera: this.#camera,
            microphone: this.#microphone,
            renew: this.#renewing,
          },
          "publish_ok",
        );
        if (this.#attempt !== attempt) return;
        this.#registered = true; // whatever was said meanwhile of a former transport
        await peer.accept(reply.answer);
      } finally {
        // Not before: the server would take its goodbye for the end of the stream.
        former?.close();
        if (this.#peer !== peer) peer.close();
      }
      if (this.#attempt !== attempt) return;
      this.#answered = true;
      this.#mediaFlows();
      if (!this.#telling) void this.#tellDevices();
    } catch (thrown) {
      if (this.#attempt === attempt && !this.#isOver) this.#refused(asError(thrown, NativeCode.PUBLISH_FAILED));
    }
  }

  #makePeer(): PublisherPeer {
    const { platform, session } = this.#host;
    const peer: PublisherPeer = platform.peers.createPublisher(
      this.stream,
      {
        videoCodec: this.#options.videoCodec ?? "VP8",
        maxVideoBitrate: (this.#options.videoBitrate ?? 0) * 1000,
        maxAudioBitrate: (this.#options.audioBitrate ?? 0) * 1000,
        simulcast: this.#options.simulcast ?? false,
        sei: this.#options.isSEIStart ?? false,
      },
      session.iceServers,
      {
        connected: () => {
          if (this.#peer !== peer) return;
          this.#connected = true;
          this.#mediaFlows();
        },
        interrupted: () => {
          if (this.#peer !== peer) return;
          this.#connected = false;
          session.doubt();
        },
        failed: () => {
          if (this.#peer !== peer) return;
          if (this.#wasUp) this.interrupted(true);
          else this.#neverCame();
        },
      },
    );
    return peer;
  }

  #refused(error: SanderlingError): void {
    this.#registered = false;
    const now = this.#now();
    if (!this.#mayPass(error, now - this.#since)) {
      this.fail(error);
    } else if (this.#backoff?.over(now) === true) {
      this.fail(new SanderlingError(NativeCode.PUBLISH_RETRY_TIME_EXCEEDED, error.message));
    } else {
      this.#later(error.retryAfterMs);
    }
  }

  #mayPass(error: SanderlingError, ms: number): boolean {
    if (isPassing(error)) return true;
    if (!this.#wasUp) return false;
    if (error.nativeCode === NativeCode.STREAM_ID_EXISTS) return ms < ID_PATIENCE_MS;
    return error.nativeCode === NativeCode.PUBLISH_FAILED || error.nativeCode === NativeCode.PUBLISH_INTERRUPTED;
  }

  #neverCame(): void {
    this.fail(
      new SanderlingError(WebErrorCode.PUBLISH_MEDIA_CONNECTION, "no media connection to the server", {
        hint: "the server's media ports must be reachable by UDP or TCP from this network",
      }),
    );
  }

  #mediaFlows(): void {
    // The server says nothing of a stream that it never took away.
    if (this.#connected && this.#answered && this.#renewing) this.#up();
  }

  #up(): void {
    this.#wasUp = true;
    this.#change("PUBLISHING");
  }

  /** Tell the newest states; those between two answers nobody needs to know. */
  async #tellDevices(): Promise<void> {
    this.#telling = true;
    try {
      for (;;) {
        const before = this.#told;
        const [camera, microphone] = [this.#camera, this.#microphone];
        if (before === undefined || this.#isOver || (before[0] === camera && before[1] === microphone)) return;
        this.#told = [camera, microphone];
        try {
          await this.#host.session.request(
            { type: "set_device_state", stream_id: this.streamID, camera, microphone },
            "ok",
          );
        } catch (thrown) {
          const error = asError(thrown, NativeCode.ROOM_INTERNAL_ERROR);
          if (error.retryAfterMs === 0) return; // the next request to publish carries them
          this.#told = before;
          await new Promise<void>((resolve) => this.#host.platform.clock.after(error.retryAfterMs, resolve));
        }
      }
    } finally {
      this.#telling = false;
    }
  }

  #end(error: SanderlingError | null): void {
    if (this.#isOver) return;
    this.#attempt = {};
    this.#cancelRetry?.();
    this.#peer?.close();
    this.#peer = undefined;
    if (this.#registered) this.#host.session.post({ type: "stop_publish", stream_id: this.streamID });
    this.#registered = false;
    this.#told = undefined;
    this.#host.done(this);
    this.#change("NO_PUBLISH", error?.errorCode ?? 0, error?.extendedData ?? "");
  }

  #change(state: PublisherState, code = 0, extendedData = ""): void {
    if (state === this.#state && code === this.#code) return;
    this.#state = state;
    this.#code = code;
    this.#host.changed({ streamID: this.streamID, state, errorCode: code, extendedData });
  }
}
