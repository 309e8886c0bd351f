/** What a login says, and what its states are called. */

import type { RoomState, RoomStateReason, UserInfo } from "./events.js";

/** A token, or a function that makes one, which is asked at each login and before a token ends. */
export type Token = string | (() => string | Promise<string>);

/** What a login says. */
export interface RoomLogin {
  readonly roomID: string;
  readonly token: Token;
  readonly user: UserInfo;
  readonly userUpdate: boolean;
  readonly maxMemberCount: number;
}

/** What changes with the room; what is not given stays as it was. */
export interface SwitchRoomOptions {
  readonly token?: Token;
  readonly maxMemberCount?: number;
  readonly isUserStatusNotify?: boolean;
}

/** The older, coarser state that goes with each reason. */
export const ROOM_STATES: Readonly<Record<RoomStateReason, RoomState>> = {
  LOGINING: "CONNECTING",
  LOGINED: "CONNECTED",
  LOGIN_FAILED: "DISCONNECTED",
  RECONNECTING: "CONNECTING",
  RECONNECTED: "CONNECTED",
  RECONNECT_FAILED: "DISCONNECTED",
  KICKOUT: "DISCONNECTED",
  LOGOUT: "DISCONNECTED",
  LOGOUT_FAILED: "DISCONNECTED",
};

/** The token, asked for where a function makes it. */
export async function textOf(token: Token): Promise<string> {
  return typeof token === "string" ? token : token();
}
