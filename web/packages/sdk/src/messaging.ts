/** What members of a room say to each other: messages, the room's extra info, data beside a stream. */

import type { RoomExtraInfo as WireExtraInfo } from "@sanderling/protocol";

import type { Emitter } from "./emitter.js";
import { NativeCode, SanderlingError, asError } from "./errors.js";
import type { EngineEvents, RoomExtraInfo, UserInfo } from "./events.js";
import type { Notice, Reply, Request } from "./outcomes.js";
import { isPassing } from "./retry.js";
import { userInfo } from "./roster.js";
import type { Session } from "./session.js";

/** Bytes of a broadcast, a barrage message or a custom command (product-facts 5.6). */
const MAX_TEXT = 1024;
/** Bytes of a transparent message or of sequential data. */
const MAX_CONTENT = 4096;
const MAX_RECEIVERS = 100;
const MAX_USER_ID = 63;
/** Bytes of the room's extra info (product-facts 5.6). */
const MAX_KEY = 10;
const MAX_VALUE = 128;

/** What a call that the server carried out resolves with; failed ones reject with a SanderlingError. */
export interface ServerResponse {
  readonly errorCode: 0;
  readonly extendedData: string;
}

/** What a message that is on its way resolves with. */
export interface MessageResponse extends ServerResponse {
  readonly messageID: number;
}

/** A message of bytes to some users, or to all of them. */
export interface TransparentMessage {
  readonly content: Uint8Array;
  /** 0 users (default), 1 the server's callback, 2 both. */
  readonly sendMode?: 0 | 1 | 2;
  /** None = everybody else. */
  readonly recvUserList?: readonly (UserInfo | string)[];
}

/** What messaging needs of its room. */
export interface MessagingHost {
  readonly roomID: string;
  readonly events: Emitter<EngineEvents>;
  readonly session: Session;
  publishes(streamID: string): boolean;
  /** Sequential data of a subscribed stream. */
  received(streamID: string, data: Uint8Array): void;
}

/** One per room. Nobody gets what it sent itself, and nothing is kept for later. */
export class Messaging {
  readonly #host: MessagingHost;
  readonly #extraInfo = new Map<string, string>();
  readonly #subscribed = new Set<string>();

  constructor(host: MessagingHost) {
    this.#host = host;
  }

  /** Reliable text to everybody else: 1009001 empty, 1009002 too long, 1009010 not sent, 1109001 too often. */
  async broadcast(text: string): Promise<MessageResponse> {
    checkText(text);
    return this.#say({ type: "broadcast", text });
  }

  /** Text that may be dropped where there is much of it. */
  async barrage(text: string): Promise<MessageResponse> {
    checkText(text);
    return this.#say({ type: "barrage", text });
  }

  /** Reliable text to some; nobody named = everybody else. 1009011 to 1009013: receivers that cannot be. */
  async command(text: string, to: readonly (UserInfo | string)[]): Promise<MessageResponse> {
    checkText(text);
    return this.#say({ type: "command", text, to: receivers(to) });
  }

  /** Reliable bytes. 1009003 above 4096. */
  async transparent({ content, sendMode = 0, recvUserList = [] }: TransparentMessage): Promise<MessageResponse> {
    checkContent(content, NativeCode.MESSAGE_EMPTY, NativeCode.MESSAGE_DATA_TOO_LONG);
    return this.#say({ type: "transparent", content: toBase64(content), to: receivers(recvUserList), mode: sendMode });
  }

  /** Write the room's one key; the last writer wins. 1002014 to 1002017. */
  async setExtraInfo(key: string, value: string): Promise<ServerResponse> {
    const size = bytes(key);
    if (size === 0) {
      throw new SanderlingError(NativeCode.ROOM_EXTRA_INFO_KEY_EMPTY, "the key of the room's extra info is empty");
    }
    if (size > MAX_KEY) throw tooLong(NativeCode.ROOM_EXTRA_INFO_KEY_TOO_LONG, "key", size, MAX_KEY);
    if (bytes(value) > MAX_VALUE) {
      throw tooLong(NativeCode.ROOM_EXTRA_INFO_VALUE_TOO_LONG, "value", bytes(value), MAX_VALUE);
    }
    await this.#ask({ type: "set_room_extra_info", key, value }, "ok");
    return { errorCode: 0, extendedData: "" };
  }

  /** Hear the sequential data of a stream. 1009038 when that is so already, 1104039 no such stream. */
  async subscribe(streamID: string): Promise<void> {
    if (this.#subscribed.has(streamID)) {
      throw new SanderlingError(NativeCode.REPEATED_SUBSCRIPTION, `the data of ${streamID} is heard already`);
    }
    await this.#ask({ type: "subscribe_data", stream_id: streamID }, "ok");
    this.#subscribed.add(streamID);
  }

  /** Hear it no longer. 1009037 when it is not heard. */
  async unsubscribe(streamID: string): Promise<void> {
    if (!this.#subscribed.delete(streamID)) {
      throw new SanderlingError(NativeCode.NOT_SUBSCRIBED, `the data of ${streamID} is not heard`);
    }
    await this.#ask({ type: "subscribe_data", stream_id: streamID, on: false }, "ok");
  }

  /** Bytes to those who hear the data of an own stream, in order. 1009036 not published here, 1009039 not sent. */
  async sendData(streamID: string, data: Uint8Array): Promise<void> {
    const failed = NativeCode.SEQUENTIAL_DATA_SEND_FAILED;
    checkContent(data, failed, failed);
    if (!this.#host.publishes(streamID)) {
      throw new SanderlingError(NativeCode.NOT_BROADCASTING, `stream ${streamID} is not published here`, {
        hint: "publish it first; its data goes to those who subscribed to it",
      });
    }
    await this.#ask({ type: "stream_data", stream_id: streamID, content: toBase64(data) }, "ok", failed);
  }

  /** What the room has at a login; told when it is new to this user. */
  fill(infos: readonly WireExtraInfo[]): void {
    const known = new Map(this.#extraInfo);
    this.#extraInfo.clear();
    for (const info of infos) this.#extraInfo.set(info.key, JSON.stringify(info));
    const fresh = infos.filter((info) => known.get(info.key) !== JSON.stringify(info));
    if (fresh.length > 0) this.#host.events.emit("roomExtraInfoUpdate", this.#host.roomID, fresh.map(extraInfo));
  }

  /** The server has a new session: it knows of no subscription. */
  subscribeAgain(): void {
    for (const streamID of this.#subscribed) this.#host.session.post({ type: "subscribe_data", stream_id: streamID });
  }

  /** The room was left. */
  clear(): void {
    this.#extraInfo.clear();
    this.#subscribed.clear();
  }

  /** Somebody said something. */
  handle(notice: Notice): void {
    const { events, roomID } = this.#host;
    switch (notice.type) {
      case "broadcast_notice":
        events.emit("IMRecvBroadcastMessage", roomID, [
          { fromUser: userInfo(notice.user), message: notice.text, sendTime: notice.sent_ms, messageID: notice.message_id },
        ]);
        return;
      case "barrage_notice":
        events.emit("IMRecvBarrageMessage", roomID, [
          {
            fromUser: userInfo(notice.user),
            message: notice.text,
            sendTime: notice.sent_ms,
            messageID: String(notice.message_id),
          },
        ]);
        return;
      case "command_notice":
        events.emit("IMRecvCustomCommand", roomID, userInfo(notice.user), notice.text);
        return;
      case "transparent_notice":
        events.emit("recvRoomTransparentMessage", roomID, {
          sendUser: userInfo(notice.user),
          content: fromBase64(notice.content),
        });
        return;
      case "data_notice":
        this.#host.received(notice.stream_id, fromBase64(notice.content));
        return;
      case "room_extra_info":
        for (const info of notice.infos) this.#extraInfo.set(info.key, JSON.stringify(info));
        events.emit("roomExtraInfoUpdate", roomID, notice.infos.map(extraInfo));
        return;
      default: // of no use here
    }
  }

  async #say(command: Request): Promise<MessageResponse> {
    const reply = await this.#ask(command, "message_sent", NativeCode.MESSAGE_SEND_FAILED);
    return { errorCode: 0, extendedData: "", messageID: reply.message_id };
  }

  /** A request that went down with its session fails with `lost`: to repeat it might do it twice. */
  async #ask<T extends Reply["type"]>(
    command: Request,
    type: T,
    lost?: number,
  ): Promise<Extract<Reply, { readonly type: T }>> {
    try {
      return await this.#host.session.request(command, type);
    } catch (thrown) {
      const error = asError(thrown, NativeCode.ROOM_INTERNAL_ERROR);
      if (lost === undefined || !isPassing(error) || error.retryAfterMs > 0) throw error;
      throw new SanderlingError(lost, `it may not have been sent: ${error.message}`, { hint: "send it again" });
    }
  }
}

const utf8 = new TextEncoder();

function bytes(text: string): number {
  return utf8.encode(text).length;
}

function tooLong(code: number, what: string, size: number, allowed: number): SanderlingError {
  return new SanderlingError(code, `the ${what} has ${String(size)} bytes, ${String(allowed)} allowed`);
}

function checkText(text: string): void {
  const size = bytes(text);
  if (size === 0) throw new SanderlingError(NativeCode.MESSAGE_EMPTY, "the message is empty");
  if (size > MAX_TEXT) throw tooLong(NativeCode.MESSAGE_TOO_LONG, "message", size, MAX_TEXT);
}

function checkContent(content: Uint8Array, empty: number, long: number): void {
  if (content.length === 0) throw new SanderlingError(empty, "there is nothing to send");
  if (content.length > MAX_CONTENT) throw tooLong(long, "message", content.length, MAX_CONTENT);
}

function receivers(to: readonly (UserInfo | string)[]): string[] {
  const users = to.map((user) => (typeof user === "string" ? user : user.userID));
  if (users.length > MAX_RECEIVERS) {
    throw new SanderlingError(
      NativeCode.MESSAGE_PARAMETERS_TOO_LONG,
      `${String(users.length)} receivers, ${String(MAX_RECEIVERS)} allowed`,
    );
  }
  for (const user of users) {
    if (user === "") throw new SanderlingError(NativeCode.MESSAGE_USER_ID_EMPTY, "a receiver has no userID");
    if (bytes(user) > MAX_USER_ID) {
      throw new SanderlingError(NativeCode.MESSAGE_USER_ID_TOO_LONG, "the userID of a receiver is too long");
    }
  }
  return users;
}

function extraInfo(info: WireExtraInfo): RoomExtraInfo {
  return { key: info.key, value: info.value, updateUser: userInfo(info.user), updateTime: info.updated_ms };
}

function toBase64(content: Uint8Array): string {
  return btoa(Array.from(content, (byte) => String.fromCharCode(byte)).join(""));
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
