/** The events of the engine and the values they carry, in the web vocabulary (product-facts 1.13). */

import type { Resource } from "./play-options.js";
import type { PlayQuality, PublishQuality } from "./quality.js";

/** Why the state of a room connection changed. */
export type RoomStateReason =
  | "LOGINING"
  | "LOGINED"
  | "LOGIN_FAILED"
  | "RECONNECTING"
  | "RECONNECTED"
  | "RECONNECT_FAILED"
  | "KICKOUT"
  | "LOGOUT"
  | "LOGOUT_FAILED";

/** The older, coarser state of a room connection. */
export type RoomState = "DISCONNECTED" | "CONNECTING" | "CONNECTED";

/** What a remote camera or microphone does; muted, switched off and broken are all MUTE. */
export type DeviceStatus = "OPEN" | "MUTE";

/** A broadcast of another user. `sendTime`: the server's Unix milliseconds. */
export interface BroadcastMessage {
  readonly fromUser: UserInfo;
  readonly message: string;
  readonly sendTime: number;
  readonly messageID: number;
}

/** A barrage message of another user. */
export interface BarrageMessage {
  readonly fromUser: UserInfo;
  readonly message: string;
  readonly sendTime: number;
  readonly messageID: string;
}

/** A transparent message of another user. */
export interface ReceivedTransparentMessage {
  readonly sendUser: UserInfo;
  readonly content: Uint8Array;
}

/** The room's one key and its value. `updateTime`: the server's Unix milliseconds. */
export interface RoomExtraInfo {
  readonly key: string;
  readonly value: string;
  readonly updateUser: UserInfo;
  readonly updateTime: number;
}

/** How good a network is: 0 excellent, 1 good, 2 medium, 3 bad, 4 dead, 5 not known. */
export type NetworkLevel = 0 | 1 | 2 | 3 | 4 | 5;

/** State of a published stream. */
export type PublisherState = "NO_PUBLISH" | "PUBLISH_REQUESTING" | "PUBLISHING";

/** State of a played stream. */
export type PlayerState = "NO_PLAY" | "PLAY_REQUESTING" | "PLAYING";

/** Whether a notice adds or removes what it lists. */
export type UpdateType = "ADD" | "DELETE";

/** A member of a room. */
export interface UserInfo {
  readonly userID: string;
  readonly userName: string;
}

/** The extra info of a stream. */
export interface StreamExtraInfo {
  readonly streamID: string;
  readonly user: UserInfo;
  readonly extraInfo: string;
}

/** A published stream, as the room sees it. */
export interface StreamInfo extends StreamExtraInfo {
  /** Codecs as in SDP: "VP8", "VP9", "AV1", "H264", "opus"; "" while the stream has no such track. */
  readonly videoCodec: string;
  readonly audioCodec: string;
}

/** State of one published stream; `errorCode` 0 = no error. */
export interface PublisherStateInfo {
  readonly streamID: string;
  readonly state: PublisherState;
  readonly errorCode: number;
  readonly extendedData: string;
}

/** State of one played stream; `errorCode` 0 = no error. */
export interface PlayerStateInfo {
  readonly streamID: string;
  readonly state: PlayerState;
  readonly errorCode: number;
  readonly extendedData: string;
}

/** Event → arguments. */
export interface EngineEvents {
  /** (roomID, reason, errorCode, extendedData) */
  readonly roomStateChanged: readonly [string, RoomStateReason, number, string];
  /** (roomID, state, errorCode, extendedData): the older form of the same. */
  readonly roomStateUpdate: readonly [string, RoomState, number, string];
  /** (roomID, users), every 30 s when it changed. */
  readonly roomOnlineUserCountUpdate: readonly [string, number];
  /** (roomID, infos) */
  readonly roomExtraInfoUpdate: readonly [string, readonly RoomExtraInfo[]];
  /** (roomID, seconds left): call `renewToken`. */
  readonly tokenWillExpire: readonly [string, number];
  /** (roomID, update, users); only with `userUpdate` at login. */
  readonly roomUserUpdate: readonly [string, UpdateType, readonly UserInfo[]];
  /** (roomID, update, streams, extendedData): of streams that went JSON with the reasons, `stream_delete_reason`. */
  readonly roomStreamUpdate: readonly [string, UpdateType, readonly StreamInfo[], string];
  /** (roomID, streams) */
  readonly streamExtraInfoUpdate: readonly [string, readonly StreamExtraInfo[]];
  /** (streamID, status) */
  readonly remoteCameraStatusUpdate: readonly [string, DeviceStatus];
  /** (streamID, status) */
  readonly remoteMicStatusUpdate: readonly [string, DeviceStatus];
  /** (roomID, messages) */
  readonly IMRecvBroadcastMessage: readonly [string, readonly BroadcastMessage[]];
  /** (roomID, messages) */
  readonly IMRecvBarrageMessage: readonly [string, readonly BarrageMessage[]];
  /** (roomID, fromUser, command) */
  readonly IMRecvCustomCommand: readonly [string, UserInfo, string];
  /** (roomID, message) */
  readonly recvRoomTransparentMessage: readonly [string, ReceivedTransparentMessage];
  readonly publisherStateUpdate: readonly [PublisherStateInfo];
  readonly playerStateUpdate: readonly [PlayerStateInfo];
  /** (streamID, figures), every 3 s. */
  readonly publishQualityUpdate: readonly [string, PublishQuality];
  /** (streamID, figures), every 3 s. */
  readonly playQualityUpdate: readonly [string, PlayQuality];
  /** (streamID, data): came inside a picture, which shows now; only of plays with `isSEIStart`. */
  readonly playerRecvSEI: readonly [string, Uint8Array];
  /** (streamID, path): 0 RTC, 2 L3; a running play moved, by itself or by `switchPlayingResource`. */
  readonly playerResourceUpdate: readonly [string, Resource];
  /** (userID, up, down), every 2 s: "" = this user, others while a stream of theirs is played. */
  readonly networkQuality: readonly [string, NetworkLevel, NetworkLevel];
  /** The user ended the sharing of a screen in the browser's own bar. */
  readonly screenSharingEnded: readonly [MediaStream];
}
