/** The engine: the product's web vocabulary over one room at a time. */

import { browserPlatform } from "./browser-platform.js";
import { capture, type StreamSource } from "./capture.js";
import { signallingAddresses } from "./address.js";
import { Emitter } from "./emitter.js";
import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { EngineEvents } from "./events.js";
import { LocalStream } from "./local-stream.js";
import type { IceServer } from "./peer.js";
import type { Platform } from "./platform.js";
import { wireStreamType, type PlayOptions, type StreamType } from "./playing.js";
import type { PublishOptions } from "./publishing.js";
import { checkCapabilities, type Capabilities } from "./requirements.js";
import { Room } from "./room.js";
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
  readonly #appID: number;
  readonly #addresses: readonly string[];
  readonly #platform: Platform;
  readonly #events = new Emitter<EngineEvents>();
  readonly #local = new Set<MediaStream>();
  #iceServers: readonly IceServer[] = [];
  #room: Room | undefined;
  #destroyed = false;

  /** `server`: the address that `sanderling serve` prints; several, separated by "|", are tried in turn. */
  constructor(appID: number, server: string, platform?: Platform) {
    if (!Number.isInteger(appID) || appID <= 0 || appID >= 2 ** 32) {
      throw new SanderlingError(WebErrorCode.INIT_FAILED, `AppID ${String(appID)} is not a number from 1 to 4294967295`, {
        hint: "`sanderling project list` shows the AppIDs",
      });
    }
    this.#appID = appID;
    this.#addresses = signallingAddresses(server, (globalThis as { location?: Location }).location?.protocol);
    this.#platform = platform ?? browserPlatform(() => this.#iceServers);
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

  /** Log in. What is published and played right behind this call, without waiting, follows the login. */
  loginRoom(roomID: string, token: string, user: User, options: RoomOptions = {}): Promise<boolean> {
    if (this.#destroyed) return Promise.reject(destroyed());
    if (this.#room !== undefined && !this.#room.over) {
      return Promise.reject(
        new SanderlingError(WebErrorCode.LOGIN_IN_PROGRESS, `this engine is logged in to room ${this.#room.roomID}`, {
          hint: "log out first",
        }),
      );
    }
    try {
      this.#room = new Room(
        this.#platform,
        this.#events,
        { appID: this.#appID, addresses: this.#addresses },
        {
          roomID,
          token,
          user: { userID: user.userID, userName: user.userName ?? user.userID },
          userUpdate: options.userUpdate ?? false,
          maxMemberCount: options.maxMemberCount ?? 0,
        },
      );
    } catch (thrown) {
      return Promise.reject(asError(thrown, NativeCode.LOGIN_FAILED));
    }
    return this.#room.loggedIn;
  }

  /** Leave the room; publishing and playing stop. Resolves when the server knows, or cannot be told. */
  logoutRoom(roomID?: string): Promise<void> {
    if (this.#room === undefined || (roomID !== undefined && roomID !== this.#room.roomID)) return Promise.resolve();
    return this.#room.logout();
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
      this.#openRoom().publish(streamID, mediaOf(stream), options);
      return true;
    } catch (thrown) {
      const { errorCode, extendedData } = asError(thrown, NativeCode.PUBLISH_FAILED);
      this.#events.emit("publisherStateUpdate", { streamID, state: "NO_PUBLISH", errorCode, extendedData });
      return false;
    }
  }

  /** Stop publishing; false when it was not being published. */
  stopPublishingStream(streamID: string): boolean {
    return this.#room?.stopPublish(streamID) ?? false;
  }

  /**
   * Play a stream. Resolves with its media when the server has bound it; the picture follows. The same MediaStream
   * goes on when the connection is lost and found again.
   */
  startPlayingStream(streamID: string, options: PlayOptions = {}): Promise<MediaStream> {
    try {
      return this.#openRoom().play(streamID, options);
    } catch (thrown) {
      return Promise.reject(asError(thrown, NativeCode.PLAY_FAILED));
    }
  }

  /** Stop playing; false when it was not being played. */
  stopPlayingStream(streamID: string): boolean {
    return this.#room?.stopPlay(streamID) ?? false;
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
    const room = this.#openRoom();
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
    const reading = this.#room?.clock;
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
    await this.#room?.logout();
    this.#room = undefined;
    for (const stream of this.#local) for (const track of stream.getTracks()) track.stop();
    this.#local.clear();
    this.#events.clear();
  }

  #openRoom(): Room {
    if (this.#destroyed) throw destroyed();
    if (this.#room === undefined || this.#room.over) {
      throw new SanderlingError(NativeCode.NOT_LOGGED_IN, "not logged in to a room", { hint: "call loginRoom first" });
    }
    return this.#room;
  }
}

function mediaOf(stream: MediaStream | LocalStream): MediaStream {
  return stream instanceof LocalStream ? stream.stream : stream;
}

function destroyed(): SanderlingError {
  return new SanderlingError(WebErrorCode.INIT_FAILED, "the engine was destroyed", { hint: "make a new one" });
}
