/**
 * One login: the session with the server, sought again when it is lost, and what is published and played in it. The
 * only place in the SDK that retries. No DOM: the platform brings sockets, transports and time.
 */

import type { LoginOk } from "@sanderling/protocol";
import { PROTOCOL_VERSION } from "@sanderling/protocol";

import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { Emitter } from "./emitter.js";
import type { EngineEvents, RoomStateReason, UserInfo } from "./events.js";
import type { IceServer, ViewerPeer } from "./peer.js";
import type { Platform } from "./platform.js";
import { Playing, type PlayOptions, type PublishPhase } from "./playing.js";
import { Publishing, type PublishOptions } from "./publishing.js";
import { RETRY_LIMIT_MS, mayRetry, retryDelay } from "./retry.js";
import { Roster } from "./roster.js";
import { Session } from "./session.js";
import type { ClockReading, Notice } from "./signaling-client.js";
import { VERSION } from "./version.js";
import { Viewer } from "./viewer.js";

/** Milliseconds between two reports of a stream's figures (product-facts 1.13). */
const QUALITY_MS = 3_000;
/** Streams one user may publish at once: MAIN, AUX, THIRD, FOURTH. */
const CHANNELS = 4;

/** Time for a direct path before TURN servers are tried. Lower uses them more than needed, higher keeps the first
 * picture waiting where only they work. */
export const TURN_AFTER_MS = 1_500;

/** What a login says. */
export interface RoomLogin {
  readonly roomID: string;
  readonly token: string;
  readonly user: UserInfo;
  readonly userUpdate: boolean;
  readonly maxMemberCount: number;
}

interface Link {
  readonly session: Session;
  readonly viewer: Viewer;
  loginSent: boolean;
  /** The viewer's transport has worked. */
  reached: boolean;
}

/** Made, it logs in. */
export class Room {
  readonly roomID: string;
  readonly loggedIn: Promise<boolean>;
  readonly #platform: Platform;
  readonly #events: Emitter<EngineEvents>;
  readonly #appID: number;
  readonly #addresses: readonly string[];
  readonly #login: RoomLogin;
  readonly #playings = new Map<string, Playing>();
  readonly #videoTypes = new Map<string, number>();
  readonly #publishings = new Map<string, Publishing>();
  readonly #roster = new Roster({
    users: (update, users) => {
      if (this.#login.userUpdate) this.#events.emit("roomUserUpdate", this.roomID, update, users);
    },
    streams: (update, streams) => {
      this.#events.emit("roomStreamUpdate", this.roomID, update, streams, "");
    },
  });
  readonly #unwatch: () => void;
  #resolve: (value: boolean) => void = () => undefined;
  #reject: (error: SanderlingError) => void = () => undefined;
  #link: Link | undefined;
  #address = 0;
  #everLoggedIn = false;
  #everPublished = false;
  #leaving: (() => void) | undefined;
  #over = false;
  #lostAt: number | undefined;
  #attempt = 0;
  #cancelRetry: (() => void) | undefined;
  #cancelQuality: (() => void) | undefined;
  #cancelTurn: (() => void) | undefined;
  #iceServers: readonly IceServer[] = [];

  constructor(
    platform: Platform,
    events: Emitter<EngineEvents>,
    { appID, addresses }: { readonly appID: number; readonly addresses: readonly string[] },
    login: RoomLogin,
  ) {
    this.roomID = login.roomID;
    this.#platform = platform;
    this.#events = events;
    this.#appID = appID;
    this.#addresses = addresses;
    this.#login = login;
    this.loggedIn = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The state event tells of the failure as well; a caller that ignores the promise must not crash the page.
    this.loggedIn.catch(() => undefined);
    this.#unwatch = platform.watchNetwork(() => {
      this.#networkChanged();
    });
    this.#tell("LOGINING");
    this.#connect();
  }

  /** Whether the login ended, by whatever cause. */
  get over(): boolean {
    return this.#over;
  }

  get clock(): ClockReading | undefined {
    return this.#link?.session.clock;
  }

  /** Publish; the state events tell how it goes. */
  publish(streamID: string, stream: MediaStream, options: PublishOptions): void {
    if (this.#publishings.has(streamID)) {
      throw new SanderlingError(WebErrorCode.PUBLISH_PARAMETER, `stream ${streamID} is being published already`);
    }
    const taken = new Set([...this.#publishings.values()].map(({ channel }) => channel));
    const channel = [...Array(CHANNELS).keys()].find((number) => !taken.has(number));
    if (channel === undefined) {
      throw new SanderlingError(
        NativeCode.CHANNEL_ALREADY_PUBLISHING,
        `${String(CHANNELS)} streams are being published already`,
      );
    }
    const publishing = new Publishing({ streamID, stream, channel }, options, {
      clock: this.#platform.clock,
      peers: this.#platform.peers,
      iceServers: () => this.#iceServers,
      changed: (info) => {
        if (info.state === "PUBLISHING") this.#everPublished = true;
        this.#events.emit("publisherStateUpdate", info);
      },
      quality: (id, figures) => {
        this.#events.emit("publishQualityUpdate", id, figures);
      },
      lost: (session) => {
        if (this.#link?.session === session) session.abandon("the media connection was lost");
      },
      done: (done) => {
        if (this.#publishings.get(streamID) === done) this.#publishings.delete(streamID);
      },
    });
    this.#publishings.set(streamID, publishing);
    if (this.#link?.loginSent === true) void publishing.start(this.#link.session);
  }

  /** False when it was not being published. */
  stopPublish(streamID: string): boolean {
    const publishing = this.#publishings.get(streamID);
    publishing?.stop();
    return publishing !== undefined;
  }

  /** Resolves with the stream's media as soon as it has a place. */
  play(streamID: string, options: PlayOptions): Promise<MediaStream> {
    if (this.#playings.has(streamID)) {
      return Promise.reject(
        new SanderlingError(WebErrorCode.ALREADY_PLAYING, `stream ${streamID} is being played already`),
      );
    }
    const playing = new Playing(streamID, options, this.#platform.peers.createOutput(), {
      clock: this.#platform.clock,
      changed: (info) => {
        this.#events.emit("playerStateUpdate", info);
      },
      quality: (id, figures) => {
        this.#events.emit("playQualityUpdate", id, figures);
      },
      done: (done) => {
        if (this.#playings.get(streamID) === done) this.#playings.delete(streamID);
      },
    });
    this.#playings.set(streamID, playing);
    const chosen = this.#videoTypes.get(streamID);
    if (chosen !== undefined) void playing.setVideoType(chosen);
    if (this.#link?.loginSent === true) void playing.start(this.#link.session, this.#link.viewer, this.#phase());
    return playing.result;
  }

  /** Choose the layer of a stream, by its number on the wire: of the play that runs, and of later ones. */
  async setVideoType(streamID: string, videoType: number): Promise<void> {
    this.#videoTypes.set(streamID, videoType);
    await this.#playings.get(streamID)?.setVideoType(videoType);
  }

  /** False when it was not being played. */
  stopPlay(streamID: string): boolean {
    const playing = this.#playings.get(streamID);
    playing?.stop();
    return playing !== undefined;
  }

  /** Leave: publishing and playing stop. Resolves when the server knows, or cannot be told. */
  logout(): Promise<void> {
    if (this.#over) return Promise.resolve();
    const left = new Promise<void>((resolve) => {
      this.#leaving = resolve;
    });
    for (const publishing of [...this.#publishings.values()]) publishing.stop();
    for (const playing of [...this.#playings.values()]) playing.stop();
    if (this.#link === undefined) this.#finish("LOGOUT", null);
    else this.#link.session.logout();
    return left;
  }

  #phase(): PublishPhase {
    if ([...this.#publishings.values()].some(({ state }) => state === "PUBLISHING")) return "publishing";
    return this.#everPublished ? "afterPublish" : "beforePublish";
  }

  #connect(): void {
    let peer: ViewerPeer;
    try {
      peer = this.#platform.peers.createViewer(this.#iceServers, {
        connected: () => {
          link.reached = true;
        },
        interrupted: () => {
          session.probe();
        },
        failed: () => {
          if (this.#link === link) this.#viewerFailed(link);
        },
      });
    } catch (thrown) {
      // A browser without WebRTC.
      this.#finish(this.#failedReason, asError(thrown, WebErrorCode.BROWSER_UNSUPPORTED));
      return;
    }
    const address = this.#addresses[this.#address % this.#addresses.length] ?? "";
    const session: Session = new Session(this.#platform, address, {
      noticed: (notice) => {
        if (this.#link === link) this.#handle(notice);
      },
      ended: (error, kicked) => {
        if (this.#link === link) this.#ended(link, error, kicked);
      },
    });
    const viewer = new Viewer(peer, async (offer) => (await session.viewerOffer(offer)).answer);
    const link: Link = { session, viewer, loginSent: false, reached: false };
    this.#link = link;
    void this.#logIn(link);
  }

  async #logIn(link: Link): Promise<void> {
    const { session, viewer } = link;
    try {
      const offer = await viewer.firstOffer();
      if (this.#link !== link) return;
      const answered = session.login({
        app_id: this.#appID,
        room_id: this.#login.roomID,
        user: { user_id: this.#login.user.userID, user_name: this.#login.user.userName },
        version: PROTOCOL_VERSION,
        token: this.#login.token,
        config: {
          max_member_count: this.#login.maxMemberCount,
          is_user_status_notify: this.#login.userUpdate,
        },
        viewer_offer: offer,
        client: { sdk: "web", version: VERSION, platform: this.#platform.description },
      });
      // What the caller asked for already follows the login at once, without waiting for its reply.
      link.loginSent = true;
      for (const publishing of this.#publishings.values()) void publishing.start(session);
      for (const playing of this.#playings.values()) void playing.start(session, viewer, this.#phase());
      const reply = await answered;
      if (this.#link !== link) return;
      this.#loggedIn(reply);
      this.#turnLater(link, reply);
      await viewer.accept(reply.viewer_answer ?? "", reply.max_plays);
    } catch (thrown) {
      // A failed login ends the session, and `ended` sees to it; what is left is a transport that cannot be made.
      if (this.#link !== link) return;
      this.#link = undefined;
      viewer.abandon(asError(thrown, WebErrorCode.MEDIA_CONNECT_FAILED));
      session.abandon("");
      this.#finish(this.#failedReason, asError(thrown, WebErrorCode.MEDIA_CONNECT_FAILED));
    }
  }

  #loggedIn(reply: LoginOk): void {
    const again = this.#everLoggedIn;
    this.#everLoggedIn = true;
    this.#lostAt = undefined;
    this.#attempt = 0;
    this.#tell(again ? "RECONNECTED" : "LOGINED");
    this.#resolve(true);
    this.#roster.replace(reply.users ?? [], reply.streams ?? []);
    this.#measureLater();
  }

  #turnLater(link: Link, reply: LoginOk): void {
    this.#iceServers = (reply.ice_servers ?? []).map(({ urls, username, credential }) => ({
      urls,
      username: username ?? "",
      credential: credential ?? "",
    }));
    if (this.#iceServers.length === 0) return;
    this.#cancelTurn?.();
    this.#cancelTurn = this.#platform.clock.after(TURN_AFTER_MS, () => {
      // What fails here fails the transport, which tells of it itself.
      if (!link.reached) link.viewer.tryTurn(this.#iceServers).catch(() => undefined);
      for (const publishing of this.#publishings.values()) void publishing.tryTurn();
    });
  }

  #handle(notice: Notice): void {
    switch (notice.type) {
      case "user_notice":
        this.#roster.changeUsers(notice.update, notice.users);
        return;
      case "stream_notice":
        this.#roster.changeStreams(notice.update, notice.streams);
        return;
      case "publisher_state":
        this.#publishings.get(notice.stream_id)?.handleState(notice);
        return;
      case "player_state":
        this.#playings.get(notice.stream_id)?.handleState(notice);
        return;
      case "slot_bound":
        this.#playings.get(notice.stream_id)?.handleBound(notice);
    }
  }

  get #failedReason(): RoomStateReason {
    return this.#everLoggedIn ? "RECONNECT_FAILED" : "LOGIN_FAILED";
  }

  #viewerFailed({ session, reached }: Link): void {
    if (reached) {
      session.abandon("the media connection was lost");
      return;
    }
    const error = new SanderlingError(WebErrorCode.MEDIA_CONNECT_FAILED, "no media connection to the server", {
      hint: "the server's media ports must be reachable by UDP or TCP from this network",
    });
    for (const playing of [...this.#playings.values()]) playing.fail(error);
  }

  #ended(link: Link, error: SanderlingError | null, kicked: boolean): void {
    this.#link = undefined;
    this.#cancelQuality?.();
    this.#cancelTurn?.();
    link.viewer.abandon(error ?? new SanderlingError(NativeCode.NOT_LOGGED_IN, "logged out"));
    if (error === null || this.#leaving !== undefined) {
      this.#finish("LOGOUT", null);
    } else if (!this.#everLoggedIn) {
      this.#firstLoginFailed(error);
    } else if (kicked) {
      this.#finish("KICKOUT", error);
    } else if (mayRetry(error)) {
      this.#retry(error);
    } else {
      this.#finish("RECONNECT_FAILED", error);
    }
  }

  #firstLoginFailed(error: SanderlingError): void {
    this.#address += 1;
    if (mayRetry(error) && this.#address < this.#addresses.length) this.#connect();
    else this.#finish("LOGIN_FAILED", error);
  }

  #retry(error: SanderlingError): void {
    const now = this.#platform.clock.now();
    if (this.#lostAt === undefined) {
      this.#lostAt = now;
      for (const publishing of this.#publishings.values()) publishing.suspend();
      for (const playing of this.#playings.values()) playing.suspend();
      this.#tell("RECONNECTING", new SanderlingError(NativeCode.CONNECTION_INTERRUPTED, error.message));
    } else {
      for (const publishing of this.#publishings.values()) publishing.suspend();
      for (const playing of this.#playings.values()) playing.suspend();
      this.#address += 1;
    }
    this.#attempt += 1;
    const delay = Math.max(retryDelay(this.#attempt, this.#platform.random()), error.retryAfterMs);
    if (now + delay - this.#lostAt > RETRY_LIMIT_MS) {
      this.#finish(
        "RECONNECT_FAILED",
        new SanderlingError(NativeCode.RETRY_TIME_EXCEEDED, `the server was not reached again: ${error.message}`),
      );
      return;
    }
    this.#cancelRetry = this.#platform.clock.after(delay, () => {
      this.#cancelRetry = undefined;
      this.#connect();
    });
  }

  #networkChanged(): void {
    if (this.#cancelRetry === undefined) {
      this.#link?.session.probe();
      return;
    }
    this.#cancelRetry();
    this.#cancelRetry = undefined;
    this.#connect();
  }

  #finish(reason: RoomStateReason, error: SanderlingError | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#unwatch();
    this.#cancelRetry?.();
    this.#cancelQuality?.();
    const why = error ?? new SanderlingError(NativeCode.NOT_LOGGED_IN, "logged out");
    for (const publishing of [...this.#publishings.values()]) publishing.fail(why);
    for (const playing of [...this.#playings.values()]) playing.fail(why);
    this.#tell(reason, error);
    this.#reject(why);
    this.#leaving?.();
  }

  #tell(reason: RoomStateReason, error: SanderlingError | null = null): void {
    this.#events.emit("roomStateChanged", this.roomID, reason, error?.errorCode ?? 0, error?.extendedData ?? "");
  }

  #measureLater(): void {
    this.#cancelQuality?.();
    this.#cancelQuality = this.#platform.clock.after(QUALITY_MS, () => {
      const measured = [...this.#publishings.values(), ...this.#playings.values()].map((one) => one.measure());
      // A transport that was closed meanwhile has no figures; the next round asks the ones there are then.
      void Promise.allSettled(measured);
      this.#measureLater();
    });
  }
}
