/** A room and this user's membership in it: login, notices, what is published and played, logout. No DOM. */

import { PROTOCOL_VERSION, type LoginOk, type SessionKey, type Stream } from "@sanderling/protocol";

import { deferred } from "./deferred.js";
import type { Emitter } from "./emitter.js";
import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { EngineEvents, RoomStateReason, StreamInfo, UserInfo } from "./events.js";
import { ROOM_STATES, textOf, type RoomLogin, type SwitchRoomOptions, type Token } from "./login.js";
import { Messaging } from "./messaging.js";
import { Monitor } from "./monitor.js";
import type { LoginCommand, Notice } from "./outcomes.js";
import type { PlayOptions } from "./play-options.js";
import type { Platform } from "./platform.js";
import { Playing } from "./playing.js";
import { Publishing, type DeviceState, type PublishOptions } from "./publishing.js";
import { isPassing } from "./retry.js";
import { Roster, streamInfo } from "./roster.js";
import { Session, type SessionEnd } from "./session.js";
import { VERSION } from "./version.js";

/** Streams one user may publish at once: MAIN, AUX, THIRD, FOURTH. */
const CHANNELS = 4;

/** What a room needs of its engine. */
export interface RoomHost {
  readonly platform: Platform;
  readonly events: Emitter<EngineEvents>;
  readonly appID: number;
  readonly addresses: readonly string[];
  /** Proof of a session of this user in another room, so that a login does not end that one. */
  beside(room: Room): Promise<SessionKey>;
  /** The room was left, by whatever cause. */
  left(room: Room): void;
  /** Sequential data of a stream that somebody of this page subscribed to. */
  received(room: Room, streamID: string, data: Uint8Array): void;
}

/** Made and begun, it logs in. */
export class Room {
  readonly session: Session;
  readonly messaging: Messaging;
  readonly #host: RoomHost;
  readonly #roster: Roster;
  readonly #monitor: Monitor;
  readonly #playings = new Map<string, Playing>();
  readonly #videoTypes = new Map<string, number>();
  readonly #publishings = new Map<string, Publishing>();
  readonly #ready = deferred<true>();
  readonly #left = deferred<undefined>();
  #login: RoomLogin;
  #state: RoomStateReason = "LOGOUT";
  #wasIn = false;
  #leaving = false;
  #renewing = false;
  #unwatch: () => void = () => undefined;

  constructor(host: RoomHost, login: RoomLogin) {
    this.#host = host;
    this.#login = login;
    const { platform, events } = host;
    this.session = new Session(platform, host.addresses, {
      credentials: () => this.#credentials(),
      slotsNeeded: () => this.#playings.size,
      loggedIn: (reply) => {
        this.#loggedIn(reply);
      },
      loggedInAgain: (reply) => {
        this.#tell("RECONNECTED");
        for (const playing of [...this.#playings.values()]) playing.interrupted();
        for (const publishing of [...this.#publishings.values()]) publishing.interrupted();
        this.#fill(reply);
        this.messaging.subscribeAgain();
      },
      interrupted: (error) => {
        this.#tell("RECONNECTING", new SanderlingError(NativeCode.CONNECTION_INTERRUPTED, error.message));
      },
      resumed: () => {
        this.#tell("RECONNECTED");
        for (const publishing of [...this.#publishings.values()]) publishing.checkTransport();
      },
      switched: (reply) => {
        this.#tell("LOGINED");
        this.#fill(reply);
      },
      noticed: (notice) => {
        this.#noticed(notice);
      },
      viewerLost: () => {
        for (const playing of [...this.#playings.values()]) playing.interrupted();
      },
      viewerFailed: (error) => {
        for (const playing of [...this.#playings.values()]) playing.fail(error);
      },
      turnNeeded: () => {
        for (const publishing of this.#publishings.values()) publishing.tryTurn();
      },
      ended: (end) => {
        this.#ended(end);
      },
    });
    const roomID = (): string => this.roomID;
    this.messaging = new Messaging({
      get roomID() {
        return roomID();
      },
      events,
      session: this.session,
      publishes: (streamID) => this.#publishings.has(streamID),
      received: (streamID, data) => {
        host.received(this, streamID, data);
      },
    });
    this.#roster = new Roster(platform.clock, {
      users: (update, users) => {
        if (this.#login.userUpdate) events.emit("roomUserUpdate", this.roomID, update, users);
      },
      streams: (update, streams, extendedData) => {
        events.emit("roomStreamUpdate", this.roomID, update, streams, extendedData);
      },
      extraInfos: (streams) => {
        events.emit("streamExtraInfoUpdate", this.roomID, streams);
      },
      camera: (streamID, status) => {
        events.emit("remoteCameraStatusUpdate", streamID, status);
      },
      microphone: (streamID, status) => {
        events.emit("remoteMicStatusUpdate", streamID, status);
      },
      online: (count) => {
        events.emit("roomOnlineUserCountUpdate", this.roomID, count);
      },
      stream: (streamID, came) => {
        const playing = this.#playings.get(streamID);
        if (came) playing?.streamAdded();
        else playing?.streamDeleted();
      },
    });
    this.#monitor = new Monitor({
      platform,
      session: this.session,
      publishings: () => [...this.#publishings.values()],
      playings: () => [...this.#playings.values()],
      playedUsers: () => new Set([...this.#playings.keys()].map((streamID) => this.#roster.owner(streamID))),
      network: (userID, up, down) => {
        events.emit("networkQuality", userID, up, down);
      },
    });
  }

  get roomID(): string {
    return this.#login.roomID;
  }

  get user(): UserInfo {
    return this.#login.user;
  }

  /** Whether the login ended, by whatever cause. */
  get over(): boolean {
    return this.session.over;
  }

  /** Resolves with the login, rejects with why it failed. */
  get loggedIn(): Promise<boolean> {
    return this.#ready.promise;
  }

  /** Resolves when the login stands, or never will. */
  async settled(): Promise<void> {
    await this.#ready.promise.catch(() => undefined);
    await this.session.online().catch(() => undefined);
  }

  /** Announce the login and start it. */
  begin(): void {
    this.#unwatch = this.#host.platform.watchNetwork({
      changed: () => {
        this.session.hurry();
      },
      leaving: () => {
        void this.logout();
      },
    });
    this.#tell("LOGINING");
    void this.session.run();
  }

  /** Publish; the state events tell how it goes. */
  publish(
    streamID: string,
    stream: MediaStream,
    options: PublishOptions,
    devices: { readonly camera: DeviceState; readonly microphone: DeviceState },
  ): void {
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
    const { events, platform } = this.#host;
    const publishing = new Publishing({ streamID, stream, channel }, options, devices, {
      platform,
      session: this.session,
      changed: (info) => {
        events.emit("publisherStateUpdate", info);
      },
      quality: (id, figures) => {
        events.emit("publishQualityUpdate", id, figures);
      },
      done: (done) => {
        if (this.#publishings.get(streamID) === done) this.#publishings.delete(streamID);
      },
    });
    this.#publishings.set(streamID, publishing);
    publishing.begin();
  }

  publishing(streamID: string): Publishing | undefined {
    return this.#publishings.get(streamID);
  }

  /** What is published of a local stream. */
  publishingsOf(stream: MediaStream): readonly Publishing[] {
    return [...this.#publishings.values()].filter((one) => one.stream === stream);
  }

  /** Resolves with the stream's media as soon as it has a place. */
  play(streamID: string, options: PlayOptions): Promise<MediaStream> {
    if (this.#playings.has(streamID)) {
      return Promise.reject(
        new SanderlingError(WebErrorCode.ALREADY_PLAYING, `stream ${streamID} is being played already`),
      );
    }
    const { events, platform } = this.#host;
    const playing = new Playing(streamID, options, {
      platform,
      session: this.session,
      plays: () => this.#playings.size,
      changed: (info) => {
        events.emit("playerStateUpdate", info);
      },
      quality: (id, figures) => {
        events.emit("playQualityUpdate", id, figures);
      },
      sei: (id, data) => {
        events.emit("playerRecvSEI", id, data);
      },
      resource: (id, resource) => {
        events.emit("playerResourceUpdate", id, resource);
      },
      done: (done) => {
        if (this.#playings.get(streamID) === done) this.#playings.delete(streamID);
      },
    });
    this.#playings.set(streamID, playing);
    const chosen = this.#videoTypes.get(streamID);
    if (chosen !== undefined) void playing.setVideoType(chosen);
    playing.begin();
    return playing.result;
  }

  playing(streamID: string): Playing | undefined {
    return this.#playings.get(streamID);
  }

  get playings(): readonly Playing[] {
    return [...this.#playings.values()];
  }

  /** Choose the layer of a stream, by its number on the wire: of the play that runs, and of later ones. */
  async setVideoType(streamID: string, videoType: number): Promise<void> {
    this.#videoTypes.set(streamID, videoType);
    await this.#playings.get(streamID)?.setVideoType(videoType);
  }

  /** The live streams of the room, asked of the server; own ones too with `own`. */
  async streamList(own: boolean): Promise<StreamInfo[]> {
    const streams: Stream[] = [];
    for (;;) {
      const after = streams.at(-1)?.stream_id ?? "";
      const reply = await this.session.request({ type: "stream_list", own, after }, "stream_list_ok");
      streams.push(...(reply.streams ?? []));
      if (reply.more !== true || (reply.streams ?? []).length === 0) return streams.map(streamInfo);
    }
  }

  /** Replace the token before it ends; later logins use the new one. The codes of a login's token; 1002082. */
  async renewToken(token: Token): Promise<void> {
    const text = await textOf(token);
    if (text === "") throw new SanderlingError(NativeCode.TOKEN_MISSING, "the token is empty", { hint: "make a new one" });
    await this.session.request({ type: "renew_token", token: text }, "ok");
    this.#login = { ...this.#login, token };
  }

  /** Go to another room: publishing and playing stop, the connections stay. When it fails this user is in no room. */
  async switchTo(roomID: string, { token: newer, maxMemberCount, isUserStatusNotify }: SwitchRoomOptions): Promise<void> {
    const login: RoomLogin = {
      ...this.#login,
      roomID,
      token: newer ?? this.#login.token,
      maxMemberCount: maxMemberCount ?? this.#login.maxMemberCount,
      userUpdate: isUserStatusNotify ?? this.#login.userUpdate,
    };
    const token = await textOf(login.token);
    this.#stopAll(null);
    this.#tell("LOGOUT");
    this.#login = login;
    this.#roster.clear();
    this.messaging.clear();
    this.#tell("LOGINING");
    const config = { max_member_count: login.maxMemberCount, is_user_status_notify: login.userUpdate };
    try {
      await this.session.request({ type: "switch_room", room_id: login.roomID, token, config }, "login_ok");
    } catch (thrown) {
      const error = asError(thrown, NativeCode.LOGIN_FAILED);
      if (isPassing(error) && !this.over) await this.session.online(); // the next login is to the new room
      if (!this.session.isOnline || !isPassing(error)) {
        this.#wasIn = false;
        this.session.end({ error, kicked: false });
        throw error;
      }
    }
  }

  /** Leave: publishing and playing stop. Resolves when the server knows, or cannot be told. */
  async logout(): Promise<void> {
    if (!this.#leaving && !this.over) {
      this.#leaving = true;
      this.#stopAll(null);
      this.session.logout();
    }
    await this.#left.promise;
  }

  async #credentials(): Promise<Omit<LoginCommand, "viewer_offer">> {
    const { appID, platform } = this.#host;
    const { token, user, maxMemberCount, userUpdate } = this.#login;
    const [text, beside] = await Promise.all([textOf(token), this.#host.beside(this)]);
    return {
      app_id: appID,
      room_id: this.#login.roomID,
      user: { user_id: user.userID, user_name: user.userName },
      version: PROTOCOL_VERSION,
      token: text,
      config: { max_member_count: maxMemberCount, is_user_status_notify: userUpdate },
      client: { sdk: "web", version: VERSION, platform: platform.description },
      ...(beside.session_id === undefined ? {} : { beside }),
    };
  }

  #loggedIn(reply: LoginOk): void {
    this.#wasIn = true;
    this.#tell("LOGINED");
    this.#ready.resolve(true);
    this.#fill(reply);
    this.#monitor.start();
  }

  #fill(reply: LoginOk): void {
    this.#roster.fill(reply);
    this.messaging.fill(reply.room_extra_info ?? []);
  }

  #noticed(notice: Notice): void {
    switch (notice.type) {
      case "user_notice":
        this.#roster.changeUsers(notice.update, notice.users);
        return;
      case "stream_notice":
        this.#roster.changeStreams(notice);
        return;
      case "stream_extra_info":
        this.#roster.changeExtraInfos(notice.streams);
        return;
      case "device_state":
        this.#roster.changeDevices(notice);
        return;
      case "online_count":
        this.#roster.changeOnline(notice.online);
        return;
      case "publisher_state":
        this.#publishings.get(notice.stream_id)?.handleState(notice);
        return;
      case "player_state":
        this.#playings.get(notice.stream_id)?.handleState(notice);
        return;
      case "slot_bound":
        this.#playings.get(notice.stream_id)?.handleBound(notice);
        return;
      case "play_moved":
        this.#playings.get(notice.stream_id)?.moved(notice);
        return;
      case "resource":
        this.#playings.get(notice.stream_id)?.handleResource(notice.resource_mode);
        return;
      case "network_quality":
        this.#monitor.remote(notice.user_id, notice.up, notice.down);
        return;
      case "token_will_expire":
        void this.#tokenEnds(notice.remaining_s);
        return;
      default:
        this.messaging.handle(notice);
    }
  }

  /** Renew by the function that makes tokens, or tell the page. */
  async #tokenEnds(remainingS: number): Promise<void> {
    const { token } = this.#login;
    if (typeof token !== "string") {
      if (this.#renewing) return;
      this.#renewing = true;
      try {
        await this.renewToken(token);
        return;
      } catch {
        // The page is told, as if there were no function.
      } finally {
        this.#renewing = false;
      }
    }
    if (!this.over) this.#host.events.emit("tokenWillExpire", this.roomID, remainingS);
  }

  /** The session is over: stop what runs, report the last state, let go of everything. */
  #ended({ error, kicked }: SessionEnd): void {
    this.#unwatch();
    this.#monitor.stop();
    this.#stopAll(this.#leaving ? null : error);
    this.#roster.clear();
    this.messaging.clear();
    let reason: RoomStateReason;
    if (kicked) reason = "KICKOUT";
    else if (error === null) reason = "LOGOUT";
    else if (this.#leaving) reason = "LOGOUT_FAILED";
    else reason = this.#wasIn ? "RECONNECT_FAILED" : "LOGIN_FAILED";
    this.#host.left(this);
    this.#tell(reason, error);
    this.#ready.reject(error ?? new SanderlingError(NativeCode.LOGIN_FAILED, "logged out before the login was done"));
    this.#left.resolve(undefined);
  }

  #stopAll(error: SanderlingError | null): void {
    const given = error?.nativeCode === NativeCode.RETRY_TIME_EXCEEDED;
    for (const publishing of [...this.#publishings.values()]) {
      if (error === null) publishing.stop();
      else {
        publishing.fail(given ? new SanderlingError(NativeCode.PUBLISH_RETRY_TIME_EXCEEDED, error.message) : error);
      }
    }
    for (const playing of [...this.#playings.values()]) {
      if (error === null) playing.stop();
      else playing.fail(given ? new SanderlingError(WebErrorCode.PLAY_RETRY_TIMEOUT, error.message) : error);
    }
  }

  #tell(reason: RoomStateReason, error: SanderlingError | null = null): void {
    this.#state = reason;
    const [code, text] = [error?.errorCode ?? 0, error?.extendedData ?? ""];
    this.#host.events.emit("roomStateUpdate", this.roomID, ROOM_STATES[reason], code, text);
    this.#host.events.emit("roomStateChanged", this.roomID, reason, code, text);
  }

  /** Where the login stands. */
  get state(): RoomStateReason {
    return this.#state;
  }
}
