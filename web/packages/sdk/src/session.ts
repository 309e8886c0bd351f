/** One connection to the server: a socket, the signalling machine and its timer, with promises for requests. */

import type { LoginOk, PlayOk, PublishOk, ViewerAnswer } from "@sanderling/protocol";

import { NativeCode, SanderlingError } from "./errors.js";
import type { Platform, Socket } from "./platform.js";
import { SignalingClient, type ClockReading, type Command, type Notice, type Reply } from "./signaling-client.js";

/** What a session reports by itself. */
export interface SessionHandler {
  noticed(notice: Notice): void;
  /** The session is over; comes exactly once. `error` null after a logout. */
  ended(error: SanderlingError | null, kicked: boolean): void;
}

interface Waiter {
  resolve(reply: Reply): void;
  reject(error: SanderlingError): void;
}

type Request = Exclude<Command, { readonly type: "login" | "logout" | "heartbeat" }>;
type LoginCommand = Omit<Extract<Command, { readonly type: "login" }>, "type">;

/** Made, it connects; `login` must be called to get anywhere. */
export class Session {
  readonly #platform: Platform;
  readonly #handler: SessionHandler;
  readonly #machine = new SignalingClient();
  readonly #waiters = new Map<number, Waiter>();
  readonly #socket: Socket;
  #open = false;
  #cancelTimer: (() => void) | undefined;

  constructor(platform: Platform, url: string, handler: SessionHandler) {
    this.#platform = platform;
    this.#handler = handler;
    this.#socket = platform.openSocket(url, {
      opened: () => {
        this.#open = true;
        this.#drain();
      },
      received: (text) => {
        this.#machine.receive(text, this.#now());
        this.#drain();
      },
      closed: (detail) => {
        this.#open = false;
        this.#machine.disconnected(detail);
        this.#drain();
      },
    });
  }

  /** The server's clock, once a heartbeat came back. */
  get clock(): ClockReading | undefined {
    return this.#machine.clock;
  }

  login(command: LoginCommand): Promise<LoginOk> {
    return this.#wait(this.#machine.login(command, this.#now()), "login_ok");
  }

  publish(command: Omit<Extract<Request, { type: "publish" }>, "type">): Promise<PublishOk> {
    return this.#request({ ...command, type: "publish" }, "publish_ok");
  }

  async stopPublish(streamID: string): Promise<void> {
    await this.#request({ type: "stop_publish", stream_id: streamID }, "ok");
  }

  play(command: Omit<Extract<Request, { type: "play" }>, "type">): Promise<PlayOk> {
    return this.#request({ ...command, type: "play" }, "play_ok");
  }

  async stopPlay(streamID: string): Promise<void> {
    await this.#request({ type: "stop_play", stream_id: streamID }, "ok");
  }

  async setVideoType(streamID: string, videoType: number): Promise<void> {
    await this.#request({ type: "set_video_type", stream_id: streamID, video_type: videoType }, "ok");
  }

  viewerOffer(offer: string): Promise<ViewerAnswer> {
    return this.#request({ type: "viewer_offer", offer }, "viewer_answer");
  }

  /** Leave the room; `ended` follows, at the latest when the server did not answer in time. */
  logout(): void {
    this.#machine.logout(this.#now());
    this.#drain();
  }

  /** Find out whether the server is still there. */
  probe(): void {
    this.#machine.probe(this.#now());
    this.#drain();
  }

  /** Give the connection up: the media transport is dead, or nobody wants it any more. */
  abandon(detail: string): void {
    this.#machine.disconnected(detail);
    this.#drain();
  }

  #request<T extends Reply["type"]>(command: Request, type: T): Promise<Extract<Reply, { readonly type: T }>> {
    return this.#wait(this.#machine.request(command, this.#now()), type);
  }

  #wait<T extends Reply["type"]>(seq: number, type: T): Promise<Extract<Reply, { readonly type: T }>> {
    const waiting = new Promise<Extract<Reply, { readonly type: T }>>((resolve, reject) => {
      this.#waiters.set(seq, {
        resolve: (reply) => {
          if (reply.type === type) resolve(reply as Extract<Reply, { readonly type: T }>);
          else reject(new SanderlingError(NativeCode.SESSION_ERROR, `the server answered ${reply.type}, not ${type}`));
        },
        reject,
      });
    });
    this.#drain();
    return waiting;
  }

  #now(): number {
    return this.#platform.clock.now();
  }

  /** Carry out what the machine wants, then set the timer for what it wants next. */
  #drain(): void {
    if (this.#open) for (const text of this.#machine.takeOutgoing()) this.#socket.send(text);
    let ended: { readonly error: SanderlingError | null; readonly kicked: boolean } | undefined;
    for (const event of this.#machine.takeEvents()) {
      if (event.kind === "noticed") {
        this.#handler.noticed(event.notice);
      } else if (event.kind === "ended") {
        ended = event;
      } else {
        const waiter = this.#waiters.get(event.seq);
        this.#waiters.delete(event.seq);
        if (event.kind === "replied") waiter?.resolve(event.reply);
        else waiter?.reject(event.error);
      }
    }
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (ended !== undefined) {
      this.#open = false;
      this.#socket.close();
      this.#handler.ended(ended.error, ended.kicked);
      return;
    }
    const wakeAt = this.#machine.wakeAt();
    if (wakeAt === Infinity) return;
    this.#cancelTimer = this.#platform.clock.after(Math.max(wakeAt - this.#now(), 0), () => {
      this.#machine.handleTimeout(this.#now());
      this.#drain();
    });
  }
}
