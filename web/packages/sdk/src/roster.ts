/** Who is in a room and what is published there, as the server tells it, over interruptions. No DOM, no sockets. */

import type { DeviceStateNotice, LoginOk, Stream, StreamNotice, User } from "@sanderling/protocol";

import type { DeviceStatus, StreamExtraInfo, StreamInfo, UpdateType, UserInfo } from "./events.js";
import type { Clock } from "./platform.js";

/** `delete_reason` of a stream whose publisher did not come back. */
const CONNECTION_LOST = 5;

/** What a roster tells of; never with an empty list. */
export interface RosterHandler {
  users(update: UpdateType, users: readonly UserInfo[]): void;
  /** `extendedData`: JSON with why streams went, "" when they came. */
  streams(update: UpdateType, streams: readonly StreamInfo[], extendedData: string): void;
  extraInfos(streams: readonly StreamExtraInfo[]): void;
  camera(streamID: string, status: DeviceStatus): void;
  microphone(streamID: string, status: DeviceStatus): void;
  online(count: number): void;
  /** A stream came, perhaps not for the first time, or is gone. */
  stream(streamID: string, came: boolean): void;
}

/** One per room; it outlives sessions. */
export class Roster {
  readonly #clock: Clock;
  readonly #handler: RosterHandler;
  readonly #users = new Map<string, UserInfo>();
  readonly #streams = new Map<string, Stream>();
  readonly #missingUsers = new Map<string, UserInfo>();
  readonly #missingStreams = new Map<string, Stream>();
  #cancelPatience: (() => void) | undefined;

  constructor(clock: Clock, handler: RosterHandler) {
    this.#clock = clock;
    this.#handler = handler;
  }

  /** The user whose stream it is; "" for a stream that is not of this room. */
  owner(streamID: string): string {
    return this.#streams.get(streamID)?.user.user_id ?? "";
  }

  /**
   * Who and what is there at a login. After an earlier one only the differences are told. A server that has just started
   * does not know yet who is about to return: what is missing then is told as gone when `settle_ms` have passed.
   */
  fill(reply: LoginOk): void {
    const users = new Set((reply.users ?? []).map((user) => user.user_id ?? ""));
    const streams = new Set((reply.streams ?? []).map((stream) => stream.stream_id));
    for (const [id, user] of this.#users) if (!users.has(id)) this.#missingUsers.set(id, user);
    for (const [id, stream] of this.#streams) if (!streams.has(id)) this.#missingStreams.set(id, stream);
    this.#cancelPatience?.();
    this.#cancelPatience = undefined;
    const settleMs = reply.settle_ms ?? 0;
    if (settleMs > 0 && this.#missingUsers.size + this.#missingStreams.size > 0) {
      this.#cancelPatience = this.#clock.after(settleMs, () => {
        this.#giveUp();
      });
    } else {
      this.#giveUp();
    }
    this.#addUsers(reply.users ?? []);
    this.#addStreams(reply.streams ?? []);
  }

  /** Another room, or none: nobody and nothing is there any more, without a word. */
  clear(): void {
    this.#cancelPatience?.();
    this.#cancelPatience = undefined;
    for (const held of [this.#users, this.#streams, this.#missingUsers, this.#missingStreams]) held.clear();
  }

  /** Users came (0) or went (1). */
  changeUsers(update: number, users: readonly User[]): void {
    if (update === 0) this.#addUsers(users);
    else this.#removeUsers(users.map(userInfo));
  }

  /** Streams came (0) or went (1). */
  changeStreams(notice: StreamNotice): void {
    if (notice.update === 0) this.#addStreams(notice.streams);
    else this.#removeStreams(notice.streams);
  }

  /** Extra infos of streams changed. */
  changeExtraInfos(streams: readonly Stream[]): void {
    for (const stream of streams) if (this.#streams.has(stream.stream_id)) this.#streams.set(stream.stream_id, stream);
    if (streams.length > 0) this.#handler.extraInfos(streams.map(extraInfo));
  }

  /** Camera or microphone of a stream changed. */
  changeDevices({ stream_id, camera = 0, microphone = 0 }: DeviceStateNotice): void {
    const known = this.#streams.get(stream_id);
    if (known !== undefined) this.#streams.set(stream_id, { ...known, camera, microphone });
    this.#tellDevices(stream_id, known, camera, microphone);
  }

  /** How many users are in the room. */
  changeOnline(count: number): void {
    this.#handler.online(count);
  }

  #addUsers(users: readonly User[]): void {
    const came = users.map(userInfo);
    const fresh = came.filter(({ userID }) => !this.#users.has(userID));
    for (const user of came) {
      this.#users.set(user.userID, user);
      this.#missingUsers.delete(user.userID);
    }
    if (fresh.length > 0) this.#handler.users("ADD", fresh);
  }

  #removeUsers(gone: readonly UserInfo[]): void {
    const known = gone.filter(({ userID }) => this.#users.has(userID));
    for (const { userID } of gone) {
      this.#users.delete(userID);
      this.#missingUsers.delete(userID);
    }
    if (known.length > 0) this.#handler.users("DELETE", known);
  }

  #addStreams(came: readonly Stream[]): void {
    const before = came.map(({ stream_id }) => this.#streams.get(stream_id));
    const fresh = came.filter((_, index) => before[index] === undefined);
    const changed = came.filter((stream, index) => {
      const known = before[index];
      return known !== undefined && (known.extra_info ?? "") !== (stream.extra_info ?? "");
    });
    for (const stream of came) {
      this.#streams.set(stream.stream_id, stream);
      this.#missingStreams.delete(stream.stream_id);
    }
    if (fresh.length > 0) this.#handler.streams("ADD", fresh.map(streamInfo), "");
    if (changed.length > 0) this.#handler.extraInfos(changed.map(extraInfo));
    came.forEach((stream, index) => {
      this.#tellDevices(stream.stream_id, before[index], stream.camera ?? 0, stream.microphone ?? 0);
      this.#handler.stream(stream.stream_id, true);
    });
  }

  #removeStreams(gone: readonly Stream[]): void {
    const known = gone.filter(({ stream_id }) => this.#streams.has(stream_id));
    for (const { stream_id } of gone) {
      this.#streams.delete(stream_id);
      this.#missingStreams.delete(stream_id);
    }
    if (known.length > 0) {
      const reasons = known.map(({ stream_id, delete_reason = 0, custom_reason = "" }) => ({
        stream_id,
        code: delete_reason,
        ...(custom_reason === "" ? {} : { custom_reason }),
      }));
      this.#handler.streams("DELETE", known.map(streamInfo), JSON.stringify({ stream_delete_reason: reasons }));
    }
    for (const { stream_id } of gone) this.#handler.stream(stream_id, false);
  }

  #tellDevices(streamID: string, known: Stream | undefined, camera: number, microphone: number): void {
    if (camera !== (known?.camera ?? 0)) this.#handler.camera(streamID, camera === 0 ? "OPEN" : "MUTE");
    if (microphone !== (known?.microphone ?? 0)) this.#handler.microphone(streamID, microphone === 0 ? "OPEN" : "MUTE");
  }

  /** Those who were missing are gone. */
  #giveUp(): void {
    this.#cancelPatience = undefined;
    const users = [...this.#missingUsers.values()];
    const streams = [...this.#missingStreams.values()];
    this.#removeStreams(streams.map((stream) => ({ ...stream, delete_reason: CONNECTION_LOST })));
    this.#removeUsers(users);
  }
}

export function userInfo(user: User): UserInfo {
  return { userID: user.user_id ?? "", userName: user.user_name ?? "" };
}

/** A stream as the room sees it. */
export function streamInfo(stream: Stream): StreamInfo {
  const codec = (kind: string): string => stream.tracks?.find((track) => track.kind === kind)?.codec ?? "";
  return { ...extraInfo(stream), videoCodec: codec("video"), audioCodec: codec("audio") };
}

function extraInfo(stream: Stream): StreamExtraInfo {
  return { streamID: stream.stream_id, user: userInfo(stream.user), extraInfo: stream.extra_info ?? "" };
}
