/**
 * The one face behind which a browser's RTCPeerConnection stands (browser-peer.ts); tests put a fake there. Nothing but
 * its implementations names RTCPeerConnection.
 */

/** Codec names as in SDP. */
export type VideoCodec = "VP8" | "VP9" | "AV1" | "H264";

/** A TURN server, for networks that let nothing else through; fields as in RTCIceServer. */
export interface IceServer {
  readonly urls: readonly string[];
  readonly username: string;
  readonly credential: string;
}

/** What happens to a transport by itself. */
export interface PeerHandler {
  /** ICE and DTLS are up. */
  connected(): void;
  /** No packet has come for a while; it may recover. */
  interrupted(): void;
  /** The transport is dead. */
  failed(): void;
}

/** How a stream is to be encoded. */
export interface PublisherOptions {
  /** Codec to prefer; VP8 when not given. */
  readonly videoCodec: VideoCodec;
  /** Bits per second over all layers; 0 = the browser's own choice. */
  readonly maxVideoBitrate: number;
  /** Bits per second; 0 = the browser's own choice. */
  readonly maxAudioBitrate: number;
  /** Pictures carry data (`sendSei`); throws a SanderlingError in a browser that cannot. */
  readonly sei: boolean;
  /** Three layers of a quarter, half and the full size. */
  readonly simulcast: boolean;
}

/** A send-only transport with one stream. */
export interface PublisherPeer {
  /** SDP offer, without candidates: the server answers from where the packets come. */
  offer(): Promise<string>;
  accept(answer: string): Promise<void>;
  /** Send data with the next picture; only when made with `sei`. */
  sendSei(data: Uint8Array): void;
  stats(): Promise<readonly StatsEntry[]>;
  close(): void;
}

/** A receive-only transport with numbered places. */
export interface ViewerPeer {
  /** Add places for `count` streams: one audio and one video section each, in this order. */
  addSlots(count: number): void;
  /** SDP offer with all places, without candidates. */
  offer(): Promise<string>;
  accept(answer: string): Promise<void>;
  /** Look for a path anew, over these servers too; the next offer says so. */
  useIceServers(iceServers: readonly IceServer[]): void;
  /** What a section brings; undefined when there is no such section. */
  track(mid: string): MediaStreamTrack | undefined;
  /** RTP timestamp of the newest frame of this section that left the jitter buffer; undefined = none, or not known. */
  newestTimestamp(mid: string): number | undefined;
  /** Hear the data inside a section's pictures with the RTP timestamp, or no longer; only when made with `sei`. */
  readSei(mid: string, deliver: ((timestamp: number, data: Uint8Array) => void) | undefined): void;
  /** Milliseconds the jitter buffer should aim at; it holds more when the network needs it. */
  setJitterBuffer(mid: string, targetMs: number): void;
  stats(mids: readonly string[]): Promise<readonly StatsEntry[]>;
  close(): void;
}

/** Where a played stream appears: a MediaStream of its own, whatever slots feed it. */
export interface PlayOutput {
  readonly stream: MediaStream;
  /** Feed `kind` from a slot's track; blank until `show` when `hidden`. */
  attach(kind: "audio" | "video", track: MediaStreamTrack | undefined, hidden: boolean): void;
  /** Show what was attached hidden. */
  show(kind: "audio" | "video"): void;
  /** Silence or blank it, whatever is attached, or no longer. */
  mute(kind: "audio" | "video", muted: boolean): void;
  /** Take everything away; the stream stays and is empty. */
  detach(): void;
}

/** One entry of an RTCStatsReport. */
export type StatsEntry = Readonly<Record<string, unknown>>;

/** Makes transports. */
export interface MediaPeers {
  /** Throws a SanderlingError when the browser cannot encode what is asked for. */
  createPublisher(
    stream: MediaStream,
    options: PublisherOptions,
    iceServers: readonly IceServer[],
    handler: PeerHandler,
  ): PublisherPeer;
  /** `sei`: what is inside its pictures can be read, from the beginning or never. Throws in a browser that cannot. */
  createViewer(iceServers: readonly IceServer[], handler: PeerHandler, sei: boolean): ViewerPeer;
  createOutput(): PlayOutput;
}
