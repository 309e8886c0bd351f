/** Who is in a room and which streams are published there, and what changes. No DOM, no sockets. */

import type { Stream, User } from "@sanderling/protocol";

import type { StreamInfo, UpdateType, UserInfo } from "./events.js";

/** What a roster tells of; never with an empty list. */
export interface RosterHandler {
  users(update: UpdateType, users: readonly UserInfo[]): void;
  streams(update: UpdateType, streams: readonly StreamInfo[]): void;
}

/** One per room; it outlives sessions. */
export class Roster {
  readonly #handler: RosterHandler;
  readonly #users = new Map<string, UserInfo>();
  readonly #streams = new Map<string, StreamInfo>();

  constructor(handler: RosterHandler) {
    this.#handler = handler;
  }

  /** A login's reply: what went while there was no session goes now, what is new comes. */
  replace(users: readonly User[], streams: readonly Stream[]): void {
    const userIDs = new Set(users.map((user) => user.user_id ?? ""));
    const streamIDs = new Set(streams.map((stream) => stream.stream_id));
    this.#removeUsers([...this.#users.keys()].filter((id) => !userIDs.has(id)));
    this.#removeStreams([...this.#streams.keys()].filter((id) => !streamIDs.has(id)));
    this.#addUsers(users);
    this.#addStreams(streams);
  }

  /** A user notice: came (0) or went (1). */
  changeUsers(update: number, users: readonly User[]): void {
    if (update === 0) this.#addUsers(users);
    else this.#removeUsers(users.map((user) => user.user_id ?? ""));
  }

  /** A stream notice: came (0) or went (1). */
  changeStreams(update: number, streams: readonly Stream[]): void {
    if (update === 0) this.#addStreams(streams);
    else this.#removeStreams(streams.map((stream) => stream.stream_id));
  }

  #addUsers(users: readonly User[]): void {
    const fresh = users.map(userInfo).filter(({ userID }) => !this.#users.has(userID));
    for (const user of fresh) this.#users.set(user.userID, user);
    if (fresh.length > 0) this.#handler.users("ADD", fresh);
  }

  #removeUsers(ids: readonly string[]): void {
    const gone = ids.flatMap((id) => this.#users.get(id) ?? []);
    for (const { userID } of gone) this.#users.delete(userID);
    if (gone.length > 0) this.#handler.users("DELETE", gone);
  }

  #addStreams(streams: readonly Stream[]): void {
    const fresh = streams.map(streamInfo).filter(({ streamID }) => !this.#streams.has(streamID));
    for (const stream of fresh) this.#streams.set(stream.streamID, stream);
    if (fresh.length > 0) this.#handler.streams("ADD", fresh);
  }

  #removeStreams(ids: readonly string[]): void {
    const gone = ids.flatMap((id) => this.#streams.get(id) ?? []);
    for (const { streamID } of gone) this.#streams.delete(streamID);
    if (gone.length > 0) this.#handler.streams("DELETE", gone);
  }
}

function userInfo(user: User): UserInfo {
  return { userID: user.user_id ?? "", userName: user.user_name ?? "" };
}

function streamInfo(stream: Stream): StreamInfo {
  const codec = (kind: string): string => stream.tracks?.find((track) => track.kind === kind)?.codec ?? "";
  return {
    streamID: stream.stream_id,
    user: userInfo(stream.user),
    extraInfo: stream.extra_info ?? "",
    videoCodec: codec("video"),
    audioCodec: codec("audio"),
  };
}
