/** The engine: the product's web vocabulary over its rooms. */

import type { SessionKey } from "@sanderling/protocol";

import { browserPlatform } from "./browser-platform.js";
import { capture, type StreamSource } from "./capture.js";
import { signallingAddresses } from "./address.js";
import { Emitter } from "./emitter.js";
import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { EngineEvents, StreamInfo, UserInfo } from "./events.js";
import { LocalStream } from "./local-stream.js";
import type { SwitchRoomOptions, Token } from "./login.js";
import type { MessageResponse, ServerResponse, TransparentMessage } from "./messaging.js";
import { Muting } from "./muting.js";
import type { IceServer } from "./peer.js";
import type { Platform } from "./platform.js";
import { wireResource, wireStreamType, type PlayOptions, type Resource, type StreamType } from "./play-options.js";
import type { Playing } from "./playing.js";
import type { DeviceState, PublishOptions, Publishing } from "./publishing.js";
import type { PlayQuality, PublishQuality } from "./quality.js";
import { checkCapabilities, type Capabilities } from "./requirements.js";
import { Room, type RoomHost } from "./room.js";
import { SequentialDataManager } from "./sequential-data.js";
import { VERSION } from "./version.js";

/** A user of a room; the name is shown to others. */
export interface User {
  readonly userID: string;
  readonly userName?: string;
}

/** What the login decides. */
export interface RoomOptions {
  /** Hear who comes and goes (`roomUserUpdate`). */
  readonly userUpdate?: boolean;
  /** Members the room may have; 0 = any number. The first login of a room decides. */
  readonly maxMemberCount?: number;
}

/** A TURN server, for networks that let nothing else through. */
export interface TurnServer {
  readonly url: string;
  readonly username: string;
  readonly credential: string;
}

/** One engine; several may live in one page. Every error it rejects with or throws is a SanderlingError. */
export class SanderlingEngine {
  static readonly version = VERSION;
  readonly #addresses: readonly string[];
  readonly #platform: Platform;
  readonly #events = new Emitter<EngineEvents>();
  readonly #local = new Set<MediaStream>();
  #iceServers: readonly IceServer[] = [];
  readonly #rooms = new Set<Room>();
  readonly #managers = new Map<Room, SequentialDataManager>();
  readonly #muting = new Muting();
  readonly #roomHost: RoomHost;
  #multi = false;
  #destroyed = false;

  /** `server`: the address that `sanderling serve` prints; several, separated by "|", are tried in turn. */
  constructor(appID: number, server: string, platform?: Platform) {
    if (!Number.isInteger(appID) || appID <= 0 || appID >= 2 ** 32) {
      throw new SanderlingError(WebErrorCode.INIT_FAILED, `AppID ${String(appID)} is not a number from 1 to 4294967295`, {
        hint: "`sanderling project list` shows the AppIDs",
      });
    }
    this.#addresses = signallingAddresses(server, (globalThis as { location?: Location }).location?.protocol);
    this.#platform = platform ?? browserPlatform(() => this.#iceServers);
    this.#roomHost = {
      platform: this.#platform,
      events: this.#events,
      appID,
      addresses: this.#addresses,
      beside: (room) => this.#beside(room),
      left: (room) => {
        this.#rooms.delete(room);
      },
      received: (room, streamID, data) => {
        this.#managers.get(room)?.received(streamID, data);
      },
    };
  }

  /** Hear an event; false when this listener hears it already. */
  on<K extends keyof EngineEvents>(event: K, listener: (...args: EngineEvents[K]) => void): boolean {
    return this.#events.on(event, listener);
  }

  /** Hear it no more; without a listener all of the event's listeners go. */
  off<K extends keyof EngineEvents>(event: K, listener?: (...args: EngineEvents[K]) => void): boolean {
    return this.#events.off(event, listener);
  }

  /** Resolves with what this browser can do. */
  checkSystemRequirements(): Promise<Capabilities> {
    return Promise.resolve(checkCapabilities());
  }

  /** TURN servers to use beside those that the server names; before the login. */
  setTurnServer(servers: readonly TurnServer[]): void {
    this.#iceServers = servers.map(({ url, username, credential }) => ({ urls: [url], username, credential }));
  }

  /** Whether several rooms may be logged in to at once, with one userID; before the first login. False = too late. */
  enableMultiRoom(enable: boolean): boolean {
    if (this.#rooms.size > 0) return false;
    this.#multi = enable;
    return true;
  }

  /**
   * Log in. What is published and played right behind this call, without waiting, follows the login. `token` may be a
   * function that makes tokens: it is asked at each login and when a token is about to end.
   */
  loginRoom(roomID: string, token: Token, user: User, options: RoomOptions = {}): Promise<boolean> {
    try {
      this.#checkPlace(roomID, user);
      const room = new Room(this.#roomHost, {
        roomID,
        token,
        user: { userID: user.userID, userName: user.userName ?? user.userID },
        userUpdate: options.userUpdate ?? false,
        maxMemberCount: options.maxMemberCount ?? 0,
      });
      this.#rooms.add(room);
      room.begin();
      return room.loggedIn;
    } catch (thrown) {
      return Promise.reject(asError(thrown, NativeCode.LOGIN_FAILED));
    }
  }

  /**
   * Leave the room (without `roomID` all of them); publishing and playing stop. Resolves when the server knows, or
   * cannot be told: LOGOUT, or LOGOUT_FAILED when it did not confirm within two seconds. Not logged in: LOGOUT too.
   */
  async logoutRoom(roomID?: string): Promise<void> {
    const rooms = [...this.#rooms].filter((room) => roomID === undefined || room.roomID === roomID);
    if (rooms.length === 0 && roomID !== undefined) {
      this.#events.emit("roomStateUpdate", roomID, "DISCONNECTED", 0, "");
      this.#events.emit("roomStateChanged", roomID, "LOGOUT", 0, "");
    }
    await Promise.all(rooms.map((room) => room.logout()));
  }

  /**
   * Go to another room: publishing and playing stop, the connections stay. 1002019 with several rooms, 1002002 when
   * not in `fromRoomID`, else the codes of a login; when it fails this user is in no room.
   */
  async switchRoom(fromRoomID: string, toRoomID: string, config: SwitchRoomOptions = {}): Promise<boolean> {
    const room = this.#openRoom(fromRoomID);
    if (this.#multi) {
      throw new SanderlingError(NativeCode.SWITCH_ROOM_IN_MULTI_ROOM, "with several rooms there is none to switch from", {
        hint: "log out of one and in to the other",
      });
    }
    await room.switchTo(toRoomID, config);
    return true;
  }

  /** Replace the token before it ends, and for later logins. Rejects with the codes of a login's token, or 1002082. */
  renewToken(token: Token, roomID?: string): Promise<boolean> {
    const renewed = (async () => {
      await this.#openRoom(roomID).renewToken(token);
      return true;
    })();
    // A page that takes this for the product's plain boolean must not be ended by a refusal.
    renewed.catch(() => undefined);
    return renewed;
  }

  /** Write the room's one key (10 bytes) and value (128); the last writer wins. 1002014 to 1002017. */
  async setRoomExtraInfo(roomID: string, key: string, value: string): Promise<ServerResponse> {
    return this.#openRoom(roomID).messaging.setExtraInfo(key, value);
  }

  /** Reliable text (1 to 1024 bytes) to everybody else; 2 a second. 1009001, 1009002, 1009010, 1109001. */
  async sendBroadcastMessage(roomID: string, message: string): Promise<MessageResponse> {
    return this.#openRoom(roomID).messaging.broadcast(message);
  }

  /** Text that may be dropped where there is much of it; 20 a second in the room. */
  async sendBarrageMessage(roomID: string, message: string): Promise<MessageResponse> {
    return this.#openRoom(roomID).messaging.barrage(message);
  }

  /** Reliable text to up to 100 users; none = everybody else. 1009011 to 1009013 as well. */
  async sendCustomCommand(
    roomID: string,
    message: string,
    toUserIDList: readonly (UserInfo | string)[] = [],
  ): Promise<MessageResponse> {
    return this.#openRoom(roomID).messaging.command(message, toUserIDList);
  }

  /** Reliable bytes (1 to 4096) to users, the server's callback, or both. 1009003. */
  async sendTransparentMessage(roomID: string, message: TransparentMessage): Promise<MessageResponse> {
    return this.#openRoom(roomID).messaging.transparent(message);
  }

  /** Data beside streams. 1102015 when not logged in to the room. */
  createRealTimeSequentialDataManager(roomID: string): SequentialDataManager {
    const room = this.#openRoom(roomID);
    const manager = this.#managers.get(room) ?? new SequentialDataManager(room.messaging);
    this.#managers.set(room, manager);
    return manager;
  }

  destroyRealTimeSequentialDataManager(manager: SequentialDataManager): void {
    manager.close();
    for (const [room, held] of this.#managers) if (held === manager) this.#managers.delete(room);
  }

  /** The live streams of a room, from the server; own ones too with `own`. */
  async getRoomStreamList(roomID: string, own = false): Promise<readonly StreamInfo[]> {
    return this.#openRoom(roomID).streamList(own);
  }

  /** A local stream as a bare MediaStream. */
  async createStream(source: StreamSource = {}): Promise<MediaStream> {
    if (this.#destroyed) throw destroyed();
    const stream = await capture(source, (ended) => {
      this.#events.emit("screenSharingEnded", ended);
    });
    if (source.custom === undefined) this.#local.add(stream);
    return stream;
  }

  /** A local stream with a preview. */
  async createZegoStream(source: StreamSource = {}): Promise<LocalStream> {
    return new LocalStream(await this.createStream(source));
  }

  /** Free the devices of a local stream. */
  destroyStream(stream: MediaStream | LocalStream): void {
    if (stream instanceof LocalStream) stream.stop();
    const media = mediaOf(stream);
    for (const track of media.getTracks()) track.stop();
    this.#local.delete(media);
  }

  /**
   * Publish `stream`; `publisherStateUpdate` tells how it goes. True when it was begun. False, and NO_PUBLISH with the
   * code, when it cannot be: no login, the streamID in use here, four streams published already.
   */
  startPublishingStream(streamID: string, stream: MediaStream | LocalStream, options: PublishOptions = {}): boolean {
    try {
      const media = mediaOf(stream);
      this.#openRoom(options.roomID).publish(streamID, media, options, this.#muting.states(media));
      return true;
    } catch (thrown) {
      const { errorCode, extendedData } = asError(thrown, NativeCode.PUBLISH_FAILED);
      this.#events.emit("publisherStateUpdate", { streamID, state: "NO_PUBLISH", errorCode, extendedData });
      return false;
    }
  }

  /** Stop publishing; false when it was not being published. */
  stopPublishingStream(streamID: string): boolean {
    const publishing = this.#publishing(streamID);
    publishing?.stop();
    return publishing !== undefined;
  }

  /** Replace the extra info (below 1024 bytes) of an own stream. 1003051 too long, 1003053 not published here. */
  async setStreamExtraInfo(streamID: string, extraInfo: string): Promise<ServerResponse> {
    const publishing = this.#publishing(streamID);
    if (publishing === undefined) {
      throw new SanderlingError(NativeCode.STREAM_EXTRA_INFO_FAILED, `stream ${streamID} is not published here`);
    }
    await publishing.setExtraInfo(extraInfo);
    return { errorCode: 0, extendedData: "" };
  }

  /**
   * Send data (1 to 4096 bytes) with the next picture of a stream published with `isSEIStart`; VP8, H.264, AV1. False
   * when it is too often (30 a second) or no picture goes out now. 1003043 empty, 1003044 too long, 1103001 not published.
   */
  sendSEI(streamID: string, data: Uint8Array): boolean {
    const publishing = this.#publishing(streamID);
    if (publishing !== undefined) return publishing.sendSei(data);
    throw new SanderlingError(WebErrorCode.PUBLISH_PARAMETER, `stream ${streamID} is not published here`);
  }

  /** Send black pictures, or real ones again, and tell the others (`remoteCameraStatusUpdate`). */
  mutePublishStreamVideo(stream: MediaStream | LocalStream, mute: boolean): boolean {
    return this.#mute(mediaOf(stream), { camera: mute ? 10 : 0 });
  }

  /** Send silence, or sound again, and tell the others (`remoteMicStatusUpdate`). */
  mutePublishStreamAudio(stream: MediaStream | LocalStream, mute: boolean): boolean {
    return this.#mute(mediaOf(stream), { microphone: mute ? 10 : 0 });
  }

  /** Switch the camera of a local stream off or on: as muting, but the others are told that it is off. */
  enableVideoCaptureDevice(stream: MediaStream | LocalStream, enable = true): Promise<boolean> {
    return Promise.resolve(this.#mute(mediaOf(stream), { camera: enable ? 0 : 9 }));
  }

  /** The newest figures of a published stream; null before the first. */
  getPublishingStreamQuality(streamID: string): PublishQuality | null {
    return this.#publishing(streamID)?.figures ?? null;
  }

  /**
   * Play a stream, now or as soon as it is there. Resolves with its media when the server has bound it; the picture
   * follows. The same MediaStream goes on when the connection is lost and found again.
   */
  startPlayingStream(streamID: string, options: PlayOptions = {}): Promise<MediaStream> {
    try {
      return this.#openRoom(options.roomID).play(streamID, options);
    } catch (thrown) {
      return Promise.reject(asError(thrown, NativeCode.PLAY_FAILED));
    }
  }

  /** Stop playing; false when it was not being played. */
  stopPlayingStream(streamID: string): boolean {
    const playing = this.#playing(streamID);
    playing?.stop();
    return playing !== undefined;
  }

  /** Silence a played stream here; false when it is not played. */
  mutePlayStreamAudio(streamID: string, mute: boolean): Promise<boolean> {
    const playing = this.#playing(streamID);
    playing?.mute(mute, undefined);
    return Promise.resolve(playing !== undefined);
  }

  /** Blank a played stream here; false when it is not played. */
  mutePlayStreamVideo(streamID: string, mute: boolean): Promise<boolean> {
    const playing = this.#playing(streamID);
    playing?.mute(undefined, mute);
    return Promise.resolve(playing !== undefined);
  }

  /** The same for every stream that is played now. */
  muteAllPlayAudioStreams(mute: boolean): Promise<boolean> {
    for (const room of this.#rooms) for (const playing of room.playings) playing.mute(mute, undefined);
    return Promise.resolve(true);
  }

  muteAllPlayVideoStreams(mute: boolean): Promise<boolean> {
    for (const room of this.#rooms) for (const playing of room.playings) playing.mute(undefined, mute);
    return Promise.resolve(true);
  }

  /** The newest figures of a played stream; null before the first. */
  getPlayingStreamQuality(streamID: string): PlayQuality | null {
    return this.#playing(streamID)?.figures ?? null;
  }

  /** The path of a played stream, as the server chose it: 0 RTC, 2 L3; null until it is bound. */
  getPlayingStreamResource(streamID: string): Resource | null {
    return this.#playing(streamID)?.resource ?? null;
  }

  /**
   * Move a running play to another path without interrupting it: 0 RTC, 1 CDN (1000010: not installed), 2 L3 (1104038
   * when the project has it off). It stays there. 1004011 when the stream is not played.
   */
  async switchPlayingResource(streamID: string, resource: Resource): Promise<boolean> {
    const playing = this.#playing(streamID);
    if (playing === undefined) {
      throw new SanderlingError(NativeCode.STREAM_NOT_PLAYED, `stream ${streamID} is not played`);
    }
    const wanted = wireResource(resource);
    if (wanted === undefined) {
      throw new SanderlingError(NativeCode.ILLEGAL_PARAMETER, `resource ${String(resource)} does not exist`, {
        hint: "0 RTC, 1 CDN, 2 L3",
      });
    }
    await playing.switchResource(wanted);
    return true;
  }

  /**
   * Choose the layer of a stream published in several (simulcast), while it plays or before: 0 small, 1 big, 2 what the
   * network carries. It shows at that layer's next key frame. False when the server refused it.
   */
  async setPlayStreamVideoType(streamID: string, streamType: StreamType): Promise<boolean> {
    const videoType = wireStreamType(streamType);
    if (videoType === undefined) {
      throw new SanderlingError(NativeCode.ILLEGAL_PARAMETER, `stream type ${String(streamType)} does not exist`, {
        hint: "0 small, 1 big, 2 by the network",
      });
    }
    const room = [...this.#rooms].find((one) => one.playing(streamID) !== undefined) ?? this.#openRoom();
    try {
      await room.setVideoType(streamID, videoType);
      return true;
    } catch (thrown) {
      if (thrown instanceof SanderlingError) return false;
      throw thrown;
    }
  }

  /** The server's Unix time in milliseconds and how far it may be off; before the first heartbeat this machine's own. */
  getNetworkTimeInfo(): { readonly timestamp: number; readonly maxDeviation: number } {
    const reading = [...this.#rooms].find((room) => room.session.clock !== undefined)?.session.clock;
    if (reading === undefined) return { timestamp: Date.now(), maxDeviation: Infinity };
    // The server tells whole milliseconds, so that half of one is lost on average.
    const timestamp = reading.serverMs + 0.5 + this.#platform.clock.now() - reading.atMs;
    return { timestamp, maxDeviation: reading.roundTripMs / 2 + 0.5 };
  }

  getVersion(): string {
    return VERSION;
  }

  /** Log out, free the devices, forget the listeners. Resolves when all is done; may be called again. */
  async destroyEngine(): Promise<void> {
    this.#destroyed = true;
    await Promise.all([...this.#rooms].map((room) => room.logout()));
    for (const stream of this.#local) for (const track of stream.getTracks()) track.stop();
    this.#local.clear();
    for (const manager of this.#managers.values()) manager.close();
    this.#managers.clear();
    this.#events.clear();
  }

  /** Whether another login is possible beside those there are. */
  #checkPlace(roomID: string, user: User): void {
    if (this.#destroyed) throw destroyed();
    const [present] = this.#rooms;
    if (present === undefined) return;
    if (!this.#multi) {
      throw new SanderlingError(WebErrorCode.LOGIN_IN_PROGRESS, `this engine is logged in to room ${present.roomID}`, {
        hint: "log out first, switch rooms, or call enableMultiRoom before the first login",
      });
    }
    if ([...this.#rooms].some((room) => room.roomID === roomID)) {
      throw new SanderlingError(NativeCode.ROOM_ID_IN_USE, `this engine is in room ${roomID} already`);
    }
    if (present.user.userID !== user.userID) {
      throw new SanderlingError(
        NativeCode.MULTI_ROOM_USER_DIFFERS,
        `this engine is ${present.user.userID} in room ${present.roomID}`,
        { hint: "use one userID in all rooms, or another engine" },
      );
    }
  }

  /** Logins go one after the other: of two at once, each would take the other's session for one to replace. */
  async #beside(room: Room): Promise<SessionKey> {
    if (!this.#multi) return {};
    for (const other of [...this.#rooms]) {
      if (other === room) break;
      await other.settled();
    }
    const online = [...this.#rooms].find((other) => other !== room && other.session.isOnline);
    return online?.session.key ?? {};
  }

  #openRoom(roomID?: string): Room {
    if (this.#destroyed) throw destroyed();
    const rooms = [...this.#rooms];
    const room = roomID === undefined ? rooms[0] : rooms.find((one) => one.roomID === roomID);
    if (room !== undefined) return room;
    if (rooms.length > 0) {
      throw new SanderlingError(NativeCode.ROOM_ID_INCORRECT, `this engine is not in room ${String(roomID)}`);
    }
    throw new SanderlingError(NativeCode.NOT_LOGGED_IN, "not logged in to a room", { hint: "call loginRoom first" });
  }

  #publishing(streamID: string): Publishing | undefined {
    for (const room of this.#rooms) {
      const found = room.publishing(streamID);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #playing(streamID: string): Playing | undefined {
    for (const room of this.#rooms) {
      const found = room.playing(streamID);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #mute(media: MediaStream, change: { readonly camera?: DeviceState; readonly microphone?: DeviceState }): boolean {
    this.#muting.change(media, change);
    for (const room of this.#rooms) {
      for (const publishing of room.publishingsOf(media)) publishing.setDevices(change.camera, change.microphone);
    }
    return true;
  }
}

function mediaOf(stream: MediaStream | LocalStream): MediaStream {
  return stream instanceof LocalStream ? stream.stream : stream;
}

function destroyed(): SanderlingError {
  return new SanderlingError(WebErrorCode.INIT_FAILED, "the engine was destroyed", { hint: "make a new one" });
}
