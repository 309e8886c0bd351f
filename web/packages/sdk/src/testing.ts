/** A platform for tests: time that is told, sockets whose other end the test is, transports that only keep books. */

import { decodeClient, encode, type ClientMessage, type ServerMessage } from "@sanderling/protocol";

import type { PeerHandler, PlayOutput, PublisherOptions, PublisherPeer, IceServer, StatsEntry, ViewerPeer } from "./peer.js";
import type { Clock, NetworkHandler, Platform, Socket, SocketHandler } from "./platform.js";

/** Time moves only by `advance`. */
export class FakeClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly then: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, then: () => void): () => void {
    const timer = { at: this.#now + ms, then };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Let `ms` pass; timers go off in order, each with what it sets in motion. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.then();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  get pending(): number {
    return this.#timers.length;
  }
}

/** Let everything that waits for nothing but a promise happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

/** The server's end of a connection. */
export class FakeSocket implements Socket {
  readonly sent: ClientMessage[] = [];
  closed = false;

  constructor(
    readonly url: string,
    readonly handler: SocketHandler,
  ) {}

  send(text: string): void {
    this.sent.push(decodeClient(text));
  }

  close(): void {
    this.closed = true;
  }

  /** Send a message to the client. */
  async reply(message: ServerMessage): Promise<void> {
    this.handler.received(encode(message));
    await settle();
  }

  /** Answer the newest heartbeat. */
  async beat(): Promise<void> {
    if (this.count("heartbeat") === 0) return;
    await this.reply({ type: "heartbeat_ok", seq: this.last("heartbeat").seq, client_ms: 0, server_ms: 0 });
  }

  /** The newest message of a type. */
  last<T extends ClientMessage["type"]>(type: T): Extract<ClientMessage, { readonly type: T }> {
    const found = this.sent.filter((message) => message.type === type).at(-1);
    if (found === undefined) throw new Error(`no ${type} was sent`);
    return found as Extract<ClientMessage, { readonly type: T }>;
  }

  count(type: ClientMessage["type"]): number {
    return this.sent.filter((message) => message.type === type).length;
  }
}

/** A transport that counts; its sections are a0, v0, a1, v1 and so on. */
export class FakeViewer implements ViewerPeer {
  slots = 0;
  closed = false;
  readonly answers: string[] = [];
  readonly targets = new Map<string, number>();
  readonly timestamps = new Map<string, number>();

  constructor(
    public iceServers: readonly IceServer[],
    readonly handler: PeerHandler,
    readonly readsSei: boolean,
  ) {}

  useIceServers(iceServers: readonly IceServer[]): void {
    this.iceServers = iceServers;
  }

  addSlots(count: number): void {
    this.slots += count;
  }

  offer(): Promise<string> {
    return Promise.resolve(`offer of ${String(this.slots)}`);
  }

  accept(answer: string): Promise<void> {
    this.answers.push(answer);
    return Promise.resolve();
  }

  track(mid: string): MediaStreamTrack {
    return { id: mid } as MediaStreamTrack;
  }

  newestTimestamp(mid: string): number | undefined {
    return this.timestamps.get(mid);
  }

  readonly sei = new Map<string, (timestamp: number, data: Uint8Array) => void>();

  readSei(mid: string, deliver: ((timestamp: number, data: Uint8Array) => void) | undefined): void {
    if (deliver === undefined) this.sei.delete(mid);
    else this.sei.set(mid, deliver);
  }

  setJitterBuffer(mid: string, targetMs: number): void {
    this.targets.set(mid, targetMs);
  }

  stats(): Promise<readonly StatsEntry[]> {
    return Promise.resolve([{ type: "inbound-rtp", kind: "video", framesDecoded: 1 }]);
  }

  close(): void {
    this.closed = true;
  }
}

export class FakePublisher implements PublisherPeer {
  closed = false;
  readonly sei: Uint8Array[] = [];
  answer = "";

  constructor(
    readonly options: PublisherOptions,
    readonly iceServers: readonly IceServer[],
    readonly handler: PeerHandler,
  ) {}

  offer(): Promise<string> {
    return Promise.resolve(`publish ${this.options.videoCodec}`);
  }

  accept(answer: string): Promise<void> {
    this.answer = answer;
    return Promise.resolve();
  }

  sendSei(data: Uint8Array): void {
    this.sei.push(data);
  }

  stats(): Promise<readonly StatsEntry[]> {
    return Promise.resolve([
      { type: "outbound-rtp", kind: "video", framesEncoded: 1 },
      { type: "remote-inbound-rtp", kind: "video", packetsLost: 1, fractionLost: 0.25 },
      { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.04 },
    ]);
  }

  close(): void {
    this.closed = true;
  }
}

/** A played stream's media: which section feeds it, and whether it is shown. */
export class FakeOutput implements PlayOutput {
  readonly stream = {} as MediaStream;
  readonly fed = new Map<"audio" | "video", string>();
  readonly muted = new Set<string>();
  hidden = false;

  attach(kind: "audio" | "video", track: MediaStreamTrack | undefined, hidden: boolean): void {
    this.fed.set(kind, track?.id ?? "");
    if (kind === "video") this.hidden = hidden;
  }

  show(): void {
    this.hidden = false;
  }

  mute(kind: "audio" | "video", muted: boolean): void {
    if (muted) this.muted.add(kind);
    else this.muted.delete(kind);
  }

  detach(): void {
    this.fed.clear();
    this.hidden = false;
  }
}

/** All of it. */
export class FakePlatform implements Platform {
  readonly clock = new FakeClock();
  readonly sockets: FakeSocket[] = [];
  readonly viewers: FakeViewer[] = [];
  readonly publishers: FakePublisher[] = [];
  readonly outputs: FakeOutput[] = [];
  readonly description = "test";
  network: NetworkHandler = { changed: () => undefined, leaving: () => undefined };
  watching = false;

  readonly peers = {
    createPublisher: (
      _: MediaStream,
      options: PublisherOptions,
      iceServers: readonly IceServer[],
      handler: PeerHandler,
    ): PublisherPeer => {
      const made = new FakePublisher(options, iceServers, handler);
      this.publishers.push(made);
      return made;
    },
    createViewer: (iceServers: readonly IceServer[], handler: PeerHandler, sei: boolean): ViewerPeer => {
      const made = new FakeViewer(iceServers, handler, sei);
      this.viewers.push(made);
      return made;
    },
    createOutput: (): PlayOutput => {
      const made = new FakeOutput();
      this.outputs.push(made);
      return made;
    },
  };

  openSocket(url: string, handler: SocketHandler): Socket {
    const made = new FakeSocket(url, handler);
    this.sockets.push(made);
    return made;
  }

  watchNetwork(handler: NetworkHandler): () => void {
    this.network = handler;
    this.watching = true;
    return () => {
      this.watching = false;
    };
  }

  random(): number {
    return 1;
  }

  /** The newest connection, opened. */
  async connected(): Promise<FakeSocket> {
    await settle();
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("no connection was made");
    socket.handler.opened();
    await settle();
    return socket;
  }
}
