/** What the signalling machine takes and what it reports. */

import type { ClientMessage, ResumeOk, ServerMessage } from "@sanderling/protocol";

import { NativeCode, type SanderlingError } from "./errors.js";

type Message<T extends ServerMessage["type"]> = Extract<ServerMessage, { readonly type: T }>;

/** A message that answers a request. */
export type Reply = Message<
  "login_ok" | "ok" | "publish_ok" | "play_ok" | "stream_list_ok" | "message_sent" | "viewer_answer"
>;

/** A message that nobody asked for. */
export type Notice = Exclude<ServerMessage, Reply | Message<"resume_ok" | "heartbeat_ok" | "error" | "kicked">>;

/** The session is over; comes exactly once. `error` null after a confirmed logout. */
export interface Ended {
  readonly kind: "ended";
  readonly error: SanderlingError | null;
  readonly kicked: boolean;
}

/** What the machine reports. */
export type ClientEvent =
  | { readonly kind: "replied"; readonly seq: number; readonly reply: Reply }
  | { readonly kind: "failed"; readonly seq: number; readonly error: SanderlingError }
  | { readonly kind: "noticed"; readonly notice: Notice }
  /** The connection is lost and the server keeps the session for a while. */
  | { readonly kind: "interrupted"; readonly error: SanderlingError }
  /** The session goes on; what was missed follows. */
  | { readonly kind: "resumed"; readonly reply: ResumeOk }
  | Ended;

/** Where the session stands. */
export type ClientState =
  | "new"
  | "logging_in"
  | "logged_in"
  | "interrupted"
  | "resuming"
  | "logging_out"
  | "ended";

/** What a request says, without its type-independent `seq`. */
export type Command = ClientMessage extends infer M ? (M extends { readonly seq: number } ? Omit<M, "seq"> : never) : never;

/** A request that anybody may make; the others are the machine's own. */
export type Request = Exclude<Command, { readonly type: "login" | "resume" | "logout" | "heartbeat" }>;

/** What a login says; what makes it resumable is the machine's. */
export type LoginCommand = Omit<Extract<Command, { readonly type: "login" }>, "type" | "resumable">;

/** The server's Unix time `serverMs` was read at `atMs` of the caller's clock, give or take half of `roundTripMs`. */
export interface ClockReading {
  readonly serverMs: number;
  readonly atMs: number;
  readonly roundTripMs: number;
}

const TIMEOUT_CODES: Readonly<Record<string, number>> = {
  login: NativeCode.LOGIN_TIMEOUT,
  publish: NativeCode.PUBLISH_FAILED,
  stop_publish: NativeCode.PUBLISH_FAILED,
  play: NativeCode.PLAY_FAILED,
  stop_play: NativeCode.PLAY_FAILED,
  viewer_offer: NativeCode.PLAY_FAILED,
  set_video_type: NativeCode.PLAY_FAILED,
  switch_resource: NativeCode.PLAY_FAILED,
  broadcast: NativeCode.MESSAGE_SEND_FAILED,
  barrage: NativeCode.MESSAGE_SEND_FAILED,
  command: NativeCode.MESSAGE_SEND_FAILED,
  transparent: NativeCode.MESSAGE_SEND_FAILED,
  stream_data: NativeCode.SEQUENTIAL_DATA_SEND_FAILED,
};

/** What a request fails with when it is not answered in time. */
export function timeoutCode(type: string): number {
  return TIMEOUT_CODES[type] ?? NativeCode.ROOM_INTERNAL_ERROR;
}
