/** RTCPeerConnection behind the faces of peer.ts. */

import { transform } from "./browser-sei.js";
import { NativeCode, SanderlingError, WebErrorCode } from "./errors.js";
import type {
  MediaPeers,
  PeerHandler,
  PlayOutput,
  PublisherOptions,
  PublisherPeer,
  IceServer,
  StatsEntry,
  VideoCodec,
  ViewerPeer,
} from "./peer.js";
import { withStereo } from "./sdp.js";

/** Not in the browsers' default offers; without the first AV1 goes whole, without the second delay is only estimated. */
const WANTED_EXTENSIONS: readonly string[] = [
  "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
  "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
];

/** Newer members that the DOM types may lack. */
interface ExtensionTransceiver {
  getHeaderExtensionsToNegotiate?: () => { uri: string; direction: string }[];
  setHeaderExtensionsToNegotiate?: (extensions: { uri: string; direction: string }[]) => void;
}

interface DelayReceiver {
  jitterBufferTarget?: number | null;
  playoutDelayHint?: number | null;
}

/** The browser's transports; `own` are TURN servers that the page names, beside those that the server does. */
export function browserPeers(own: () => readonly IceServer[]): MediaPeers {
  return {
    createPublisher: (stream, options, iceServers, handler) =>
      new BrowserPublisher(connect([...own(), ...iceServers], handler), stream, options),
    createViewer: (iceServers, handler, sei) => new BrowserViewer(connect([...own(), ...iceServers], handler), own, sei),
    createOutput: () => new BrowserOutput(),
  };
}

function configuration(iceServers: readonly IceServer[]): RTCConfiguration {
  return { bundlePolicy: "max-bundle", iceServers: iceServers.map((turn) => ({ ...turn, urls: [...turn.urls] })) };
}

function connect(iceServers: readonly IceServer[], handler: PeerHandler): RTCPeerConnection {
  if (!("RTCPeerConnection" in globalThis)) {
    throw new SanderlingError(WebErrorCode.BROWSER_UNSUPPORTED, "this browser has no WebRTC", {
      hint: "use a current browser",
    });
  }
  const connection = new RTCPeerConnection(configuration(iceServers));
  connection.addEventListener("connectionstatechange", () => {
    if (connection.connectionState === "connected") handler.connected();
    else if (connection.connectionState === "disconnected") handler.interrupted();
    else if (connection.connectionState === "failed") handler.failed();
  });
  return connection;
}

/** The offer goes out before candidates are gathered: the server learns the address from the first check. */
async function makeOffer(connection: RTCPeerConnection): Promise<string> {
  const offer = await connection.createOffer();
  const sdp = withStereo(offer.sdp ?? "");
  await connection.setLocalDescription({ type: "offer", sdp });
  return sdp;
}

function wantExtensions(transceiver: RTCRtpTransceiver): void {
  const extended = transceiver as unknown as ExtensionTransceiver;
  const offered = extended.getHeaderExtensionsToNegotiate?.();
  if (offered === undefined) return;
  for (const extension of offered) {
    if (WANTED_EXTENSIONS.includes(extension.uri)) extension.direction = "sendrecv";
  }
  extended.setHeaderExtensionsToNegotiate?.(offered);
}

function preferCodec(transceiver: RTCRtpTransceiver, codec: VideoCodec): void {
  const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  const wanted = codecs.filter(({ mimeType }) => mimeType.toLowerCase() === `video/${codec.toLowerCase()}`);
  if (wanted.length === 0) {
    throw new SanderlingError(NativeCode.ENCODER_UNSUPPORTED, `this browser cannot encode ${codec}`, {
      hint: "VP8 works in every browser",
    });
  }
  // The wanted one first; the server takes VP8 instead where a member of the room cannot decode it.
  transceiver.setCodecPreferences([...wanted, ...codecs.filter((other) => !wanted.includes(other))]);
}

function encodings(options: PublisherOptions): RTCRtpEncodingParameters[] {
  const total = options.maxVideoBitrate;
  const limited = (bits: number): { maxBitrate?: number } => (total > 0 ? { maxBitrate: Math.round(bits) } : {});
  if (!options.simulcast) return [limited(total)];
  // Without an explicit mode Chromium takes rids of VP9 and AV1 for layers of one SVC stream.
  const mode = options.videoCodec === "VP9" || options.videoCodec === "AV1" ? { scalabilityMode: "L1T1" } : {};
  const layer = (rid: string, scale: number, share: number): RTCRtpEncodingParameters =>
    ({ rid, scaleResolutionDownBy: scale, ...limited(total * share), ...mode });
  return [layer("q", 4, 0.08), layer("h", 2, 0.25), layer("f", 1, 0.67)];
}

class BrowserPublisher implements PublisherPeer {
  readonly #connection: RTCPeerConnection;
  #sei: MessagePort | undefined;

  constructor(connection: RTCPeerConnection, stream: MediaStream, options: PublisherOptions) {
    this.#connection = connection;
    try {
      this.#addTracks(stream, options);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  offer(): Promise<string> {
    return makeOffer(this.#connection);
  }

  async accept(answer: string): Promise<void> {
    await this.#connection.setRemoteDescription({ type: "answer", sdp: answer });
  }

  sendSei(data: Uint8Array): void {
    this.#sei?.postMessage(data);
  }

  async stats(): Promise<readonly StatsEntry[]> {
    return entriesOf(await this.#connection.getStats());
  }

  close(): void {
    this.#connection.close();
    this.#sei?.close();
  }

  #addTracks(stream: MediaStream, options: PublisherOptions): void {
    const audio = stream.getAudioTracks()[0];
    const video = stream.getVideoTracks()[0];
    if (audio === undefined && video === undefined) {
      throw new SanderlingError(NativeCode.PUBLISH_FAILED, "the stream has no track to publish");
    }
    if (audio !== undefined) {
      const bits = options.maxAudioBitrate;
      const transceiver = this.#connection.addTransceiver(audio, {
        direction: "sendonly",
        streams: [stream],
        ...(bits > 0 ? { sendEncodings: [{ maxBitrate: bits }] } : {}),
      });
      wantExtensions(transceiver);
    }
    if (video !== undefined) {
      const transceiver = this.#connection.addTransceiver(video, {
        direction: "sendonly",
        streams: [stream],
        sendEncodings: encodings(options),
      });
      preferCodec(transceiver, options.videoCodec);
      if (options.sei) this.#sei = transform(transceiver.sender, true);
      wantExtensions(transceiver);
    }
  }
}

class BrowserViewer implements ViewerPeer {
  readonly #connection: RTCPeerConnection;
  readonly #sei: boolean;
  readonly #ports = new Map<RTCRtpReceiver, MessagePort>();
  readonly #own: () => readonly IceServer[];

  constructor(connection: RTCPeerConnection, own: () => readonly IceServer[], sei: boolean) {
    this.#connection = connection;
    this.#own = own;
    this.#sei = sei;
  }

  addSlots(count: number): void {
    for (let slot = 0; slot < count; slot += 1) {
      for (const kind of ["audio", "video"] as const) {
        const transceiver = this.#connection.addTransceiver(kind, { direction: "recvonly" });
        wantExtensions(transceiver);
        // Now or never: Chromium lets pictures pass by a transform that is set later.
        if (this.#sei && kind === "video") this.#ports.set(transceiver.receiver, transform(transceiver.receiver, false));
      }
    }
  }

  offer(): Promise<string> {
    return makeOffer(this.#connection);
  }

  async accept(answer: string): Promise<void> {
    await this.#connection.setRemoteDescription({ type: "answer", sdp: answer });
  }

  useIceServers(iceServers: readonly IceServer[]): void {
    this.#connection.setConfiguration(configuration([...this.#own(), ...iceServers]));
    this.#connection.restartIce();
  }

  track(mid: string): MediaStreamTrack | undefined {
    return this.#receiver(mid)?.track;
  }

  newestTimestamp(mid: string): number | undefined {
    // Of the frames that left the jitter buffer, whether or not anybody draws them (also in a hidden tab).
    const sources = this.#receiver(mid)?.getSynchronizationSources() ?? [];
    return sources.reduce<RTCRtpSynchronizationSource | undefined>(
      (newest, source) => (newest === undefined || source.timestamp > newest.timestamp ? source : newest),
      undefined,
    )?.rtpTimestamp;
  }

  readSei(mid: string, deliver: ((timestamp: number, data: Uint8Array) => void) | undefined): void {
    const receiver = this.#receiver(mid);
    const port = receiver === undefined ? undefined : this.#ports.get(receiver);
    if (port === undefined) return;
    port.onmessage = ({ data }: MessageEvent<[number, Uint8Array]>) => deliver?.(...data);
  }

  setJitterBuffer(mid: string, targetMs: number): void {
    const receiver = this.#receiver(mid) as unknown as DelayReceiver | undefined;
    if (receiver === undefined) return;
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = targetMs;
    else if ("playoutDelayHint" in receiver) receiver.playoutDelayHint = targetMs / 1000;
  }

  async stats(mids: readonly string[]): Promise<readonly StatsEntry[]> {
    const receivers = mids.flatMap((mid) => this.#receiver(mid) ?? []);
    const reports = await Promise.all(receivers.map((receiver) => receiver.getStats()));
    return reports.flatMap(entriesOf);
  }

  close(): void {
    this.#connection.close();
    for (const port of this.#ports.values()) port.close();
  }

  #receiver(mid: string): RTCRtpReceiver | undefined {
    return this.#connection.getTransceivers().find((transceiver) => transceiver.mid === mid)?.receiver;
  }
}

/**
 * A play's MediaStream holds clones of its slots' tracks: a page may stop them, as pages do, without ending the slot,
 * and a clone can be kept blank while the slot still shows the stream before.
 */
class BrowserOutput implements PlayOutput {
  readonly stream = new MediaStream();
  readonly #hidden = new Set<string>();
  readonly #muted = new Set<string>();

  attach(kind: "audio" | "video", track: MediaStreamTrack | undefined, hidden: boolean): void {
    const former = this.#tracks(kind);
    if (hidden) this.#hidden.add(kind);
    else this.#hidden.delete(kind);
    // The new one first: an element whose stream runs empty stops.
    if (track !== undefined) this.stream.addTrack(track.clone());
    this.#remove(former);
    this.#enable(kind);
  }

  show(kind: "audio" | "video"): void {
    this.#hidden.delete(kind);
    this.#enable(kind);
  }

  mute(kind: "audio" | "video", muted: boolean): void {
    if (muted) this.#muted.add(kind);
    else this.#muted.delete(kind);
    this.#enable(kind);
  }

  detach(): void {
    this.#remove(this.stream.getTracks());
  }

  #enable(kind: "audio" | "video"): void {
    for (const track of this.#tracks(kind)) track.enabled = !this.#hidden.has(kind) && !this.#muted.has(kind);
  }

  #tracks(kind: "audio" | "video"): MediaStreamTrack[] {
    return this.stream.getTracks().filter((track) => track.kind === kind);
  }

  #remove(tracks: readonly MediaStreamTrack[]): void {
    for (const track of tracks) {
      this.stream.removeTrack(track);
      track.stop();
    }
  }
}

function entriesOf(report: RTCStatsReport): StatsEntry[] {
  const entries: StatsEntry[] = [];
  report.forEach((entry: StatsEntry) => entries.push(entry));
  return entries;
}
