/** The events of the engine and the values they carry, in the web vocabulary (product-facts 1.13). */

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

/** A published stream, as the room sees it. */
export interface StreamInfo {
  readonly streamID: string;
  readonly user: UserInfo;
  readonly extraInfo: string;
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
  /** (roomID, update, users); only with `userUpdate` at login. */
  readonly roomUserUpdate: readonly [string, UpdateType, readonly UserInfo[]];
  /** (roomID, update, streams, extendedData) */
  readonly roomStreamUpdate: readonly [string, UpdateType, readonly StreamInfo[], string];
  readonly publisherStateUpdate: readonly [PublisherStateInfo];
  readonly playerStateUpdate: readonly [PlayerStateInfo];
  /** (streamID, figures), every 3 s. */
  readonly publishQualityUpdate: readonly [string, PublishQuality];
  /** (streamID, figures), every 3 s. */
  readonly playQualityUpdate: readonly [string, PlayQuality];
  /** The user ended the sharing of a screen in the browser's own bar. */
  readonly screenSharingEnded: readonly [MediaStream];
}
