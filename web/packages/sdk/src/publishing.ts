/** One stream that is to be published: over a transport of its own, made anew in every session until it is stopped. */

import type { PublisherStateNotice } from "@sanderling/protocol";

import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { PublisherState, PublisherStateInfo } from "./events.js";
import type { MediaPeers, PublisherPeer, IceServer, VideoCodec } from "./peer.js";
import type { Clock } from "./platform.js";
import { publishQuality, type PublishCounters, type PublishQuality } from "./quality.js";
import type { Session } from "./session.js";

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
}

/** What a published stream needs of its room. */
export interface PublishingHost {
  readonly clock: Clock;
  readonly peers: MediaPeers;
  /** TURN servers that the server named. */
  iceServers(): readonly IceServer[];
  changed(info: PublisherStateInfo): void;
  quality(streamID: string, figures: PublishQuality): void;
  /** The transport went dead after it had worked. */
  lost(session: Session): void;
  /** The stream is published no more, for good. */
  done(publishing: Publishing): void;
}

/** Started by the room, once per session. */
export class Publishing {
  readonly streamID: string;
  readonly channel: number;
  readonly #stream: MediaStream;
  readonly #options: PublishOptions;
  readonly #host: PublishingHost;
  #state: PublisherState = "NO_PUBLISH";
  #code = 0;
  #over = false;
  #link: { readonly session: Session; readonly peer: PublisherPeer } | undefined;
  #connected = false;
  #counters: PublishCounters | undefined;

  constructor(
    { streamID, stream, channel }: { readonly streamID: string; readonly stream: MediaStream; readonly channel: number },
    options: PublishOptions,
    host: PublishingHost,
  ) {
    this.streamID = streamID;
    this.channel = channel;
    this.#stream = stream;
    this.#options = options;
    this.#host = host;
    this.#change("PUBLISH_REQUESTING");
  }

  get state(): PublisherState {
    return this.#state;
  }

  /** Publish in this session. */
  async start(session: Session): Promise<void> {
    if (this.#over) return;
    this.#change("PUBLISH_REQUESTING");
    this.#connected = false;
    let current: PublisherPeer | undefined;
    try {
      const peer = this.#host.peers.createPublisher(
        this.#stream,
        {
          videoCodec: this.#options.videoCodec ?? "VP8",
          maxVideoBitrate: (this.#options.videoBitrate ?? 0) * 1000,
          maxAudioBitrate: (this.#options.audioBitrate ?? 0) * 1000,
          simulcast: this.#options.simulcast ?? false,
        },
        this.#host.iceServers(),
        {
          connected: () => {
            if (this.#link?.peer === current) this.#connected = true;
          },
          interrupted: () => {
            session.probe();
          },
          failed: () => {
            if (this.#link?.peer !== current) return;
            if (this.#connected) this.#host.lost(session);
            else this.#failAndTell(session);
          },
        },
      );
      current = peer;
      this.#link = { session, peer };
      const offer = await peer.offer();
      // Stopped, or the session ended, while the offer was made.
      if (this.#link?.peer !== peer) return; // eslint-disable-line @typescript-eslint/no-unnecessary-condition -- changes during the await
      const reply = await session.publish({
        stream_id: this.streamID,
        offer,
        channel: this.channel,
        extra_info: this.#options.extraInfo ?? "",
      });
      if (this.#link?.peer !== peer) return; // eslint-disable-line @typescript-eslint/no-unnecessary-condition -- changes during the await
      await peer.accept(reply.answer);
    } catch (thrown) {
      if (current !== undefined && this.#link?.peer !== current) return; // the next session tries again
      this.fail(asError(thrown, NativeCode.PUBLISH_FAILED));
    }
  }

  /** Nothing came of the direct paths: publish again over the TURN servers that are known now. */
  async tryTurn(): Promise<void> {
    const session = this.#link?.session;
    if (session === undefined || this.#connected) return;
    this.#unlink();
    session.stopPublish(this.streamID).catch(() => undefined);
    await this.start(session);
  }

  /** The session is gone; the next one continues. */
  suspend(): void {
    this.#unlink();
    if (!this.#over) this.#change("PUBLISH_REQUESTING", NativeCode.PUBLISH_INTERRUPTED, "interrupted; goes on when the connection is back");
  }

  /** The caller wants it no more. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    const session = this.#link?.session;
    this.#unlink();
    // The session's end stops it just as well.
    session?.stopPublish(this.streamID).catch(() => undefined);
    this.#change("NO_PUBLISH");
    this.#host.done(this);
  }

  /** It failed for good. */
  fail(error: SanderlingError): void {
    if (this.#over) return;
    this.#over = true;
    this.#unlink();
    this.#change("NO_PUBLISH", error.errorCode, error.extendedData);
    this.#host.done(this);
  }

  handleState(notice: PublisherStateNotice): void {
    if (this.#over) return;
    if (notice.state === 2) this.#change("PUBLISHING");
    else if (notice.state === 0) {
      this.fail(
        new SanderlingError(notice.code ?? NativeCode.PUBLISH_FAILED, notice.message ?? "the server ended the stream"),
      );
    }
  }

  /** Ask the transport for figures and report them. */
  async measure(): Promise<void> {
    const link = this.#link;
    if (link === undefined || this.#state !== "PUBLISHING") return;
    const entries = await link.peer.stats();
    if (this.#link !== link) return;
    const { counters, figures } = publishQuality(this.#counters, entries, this.#host.clock.now());
    const first = this.#counters === undefined;
    this.#counters = counters;
    if (!first) this.#host.quality(this.streamID, figures);
  }

  #failAndTell(session: Session): void {
    session.stopPublish(this.streamID).catch(() => undefined);
    this.fail(
      new SanderlingError(WebErrorCode.PUBLISH_MEDIA_CONNECTION, "no media connection to the server", {
        hint: "the server's media ports must be reachable by UDP or TCP from this network",
      }),
    );
  }

  #unlink(): void {
    this.#link?.peer.close();
    this.#link = undefined;
    this.#counters = undefined;
  }

  #change(state: PublisherState, code = 0, extendedData = ""): void {
    // Every attempt to reconnect comes by here: an interruption is told once.
    if (state === this.#state && (code === 0 || code === this.#code)) return;
    this.#state = state;
    this.#code = code;
    this.#host.changed({ streamID: this.streamID, state, errorCode: code, extendedData });
  }
}
