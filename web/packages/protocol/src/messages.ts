// Generated from python/sanderling/signaling/messages.py by `make schema`. Change that file instead.

export const PROTOCOL_VERSION = 1;

/** No message larger than this, as UTF-8, is sent or decoded. */
export const MAX_MESSAGE_BYTES = 262144;

/** Log in to a room; the first message of a connection. Reply: LoginOk or Error. */
export interface Login {
  readonly type: "login";
  readonly seq: number;
  readonly app_id: number;
  readonly room_id: string;
  readonly user?: User;
  readonly version?: number;
  readonly token?: string;
  readonly app_sign?: string;
  readonly config?: RoomConfig;
  readonly viewer_offer?: string;
  readonly client?: ClientInfo;
}

/** A member of a room. */
export interface User {
  readonly user_id?: string;
  readonly user_name?: string;
}

/** What the first login of a room decides, and what this user wants to hear. */
export interface RoomConfig {
  readonly max_member_count?: number;
  readonly is_user_status_notify?: boolean;
}

/** Which software is asking; for the operator's eyes only. */
export interface ClientInfo {
  readonly sdk?: string;
  readonly version?: string;
  readonly platform?: string;
}

/** Leave the room: publishing and playing stop. Reply: Ok; then the server closes the connection. */
export interface Logout {
  readonly type: "logout";
  readonly seq: number;
}

/** Publish a stream over its own transport. Reply: PublishOk or Error. */
export interface Publish {
  readonly type: "publish";
  readonly seq: number;
  readonly stream_id: string;
  readonly offer: string;
  readonly channel?: number;
  readonly extra_info?: string;
}

/** End a published stream. Reply: Ok. */
export interface StopPublish {
  readonly type: "stop_publish";
  readonly seq: number;
  readonly stream_id: string;
}

/** Bind a stream to a free slot of the viewer transport. Reply: PlayOk or Error. The viewer transport must have a free slot; a client whose pool is too small sends ViewerOffer first. */
export interface Play {
  readonly type: "play";
  readonly seq: number;
  readonly stream_id: string;
  readonly resource_mode?: number;
  readonly audio?: boolean;
  readonly video?: boolean;
}

/** Free the slot of a played stream. Reply: Ok. */
export interface StopPlay {
  readonly type: "stop_play";
  readonly seq: number;
  readonly stream_id: string;
}

/** Make the viewer transport, or grow its pool of slots. Reply: ViewerAnswer or Error. */
export interface ViewerOffer {
  readonly type: "viewer_offer";
  readonly seq: number;
  readonly offer: string;
}

/** Sign of life, every ``LoginOk.heartbeat_ms``. Reply: HeartbeatOk. */
export interface Heartbeat {
  readonly type: "heartbeat";
  readonly seq: number;
  readonly client_ms?: number;
}

/** Logged in. ``users`` and ``streams`` are those present before (streams: others' only). */
export interface LoginOk {
  readonly type: "login_ok";
  readonly seq: number;
  readonly session_id: string;
  readonly server_ms: number;
  readonly heartbeat_ms: number;
  readonly max_plays: number;
  readonly users?: readonly User[];
  readonly streams?: readonly Stream[];
  readonly viewer_answer?: string;
  readonly ice_servers?: readonly IceServer[];
}

/** A published stream as the room sees it. */
export interface Stream {
  readonly stream_id: string;
  readonly user: User;
  readonly extra_info?: string;
  readonly tracks?: readonly Track[];
  readonly delete_reason?: number;
}

/** One track of a stream: ``kind`` is "audio" or "video", ``codec`` as in SDP (VP8, VP9, AV1, H264, opus). */
export interface Track {
  readonly kind: string;
  readonly codec?: string;
}

/** A TURN server for clients that reach the node no other way; fields as in a browser's RTCIceServer. */
export interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

/** The request was carried out. */
export interface Ok {
  readonly type: "ok";
  readonly seq: number;
}

/** The stream ID is taken and the transport negotiated; PUBLISHING follows when media can flow. */
export interface PublishOk {
  readonly type: "publish_ok";
  readonly seq: number;
  readonly stream_id: string;
  readonly answer: string;
  readonly tracks?: readonly Track[];
}

/** The stream is bound. Mids name the media sections of the viewer transport that carry it; "" = no such track. */
export interface PlayOk {
  readonly type: "play_ok";
  readonly seq: number;
  readonly stream_id: string;
  readonly slot: number;
  readonly resource_mode: number;
  readonly audio_mid?: string;
  readonly video_mid?: string;
  readonly tracks?: readonly Track[];
}

/** SDP answer to ViewerOffer. */
export interface ViewerAnswer {
  readonly type: "viewer_answer";
  readonly seq: number;
  readonly answer: string;
}

/** Reply to Heartbeat, with both clocks (Unix milliseconds). */
export interface HeartbeatOk {
  readonly type: "heartbeat_ok";
  readonly seq: number;
  readonly client_ms: number;
  readonly server_ms: number;
}

/** A request failed (``seq`` > 0) or the connection did (``seq`` 0; the server closes it). */
export interface Error {
  readonly type: "error";
  readonly code: number;
  readonly message: string;
  readonly seq?: number;
  readonly hint?: string;
  readonly retry_after_ms?: number;
}

/** Users came (update 0) or went (update 1). */
export interface UserNotice {
  readonly type: "user_notice";
  readonly update: number;
  readonly users: readonly User[];
}

/** Streams of others came (update 0) or went (update 1). */
export interface StreamNotice {
  readonly type: "stream_notice";
  readonly update: number;
  readonly streams: readonly Stream[];
}

/** State of an own published stream: 2 when its transport is up, 0 with a code when it ended. */
export interface PublisherStateNotice {
  readonly type: "publisher_state";
  readonly stream_id: string;
  readonly state: number;
  readonly code?: number;
  readonly message?: string;
}

/** State of an own played stream: 2 when its first media was sent, 0 (with a code or none) when it ended. */
export interface PlayerStateNotice {
  readonly type: "player_state";
  readonly stream_id: string;
  readonly state: number;
  readonly code?: number;
  readonly message?: string;
}

/** First media of a bound stream left the server. Frames of this mid before ``rtp_timestamp`` are of an earlier stream and must not be shown. */
export interface SlotBound {
  readonly type: "slot_bound";
  readonly stream_id: string;
  readonly mid: string;
  readonly kind: string;
  readonly rtp_timestamp: number;
}

/** The server ends this session; the connection closes after it. */
export interface Kicked {
  readonly type: "kicked";
  readonly code: number;
  readonly message: string;
  readonly origin?: string;
}

export type ClientMessage =
  | Login
  | Logout
  | Publish
  | StopPublish
  | Play
  | StopPlay
  | ViewerOffer
  | Heartbeat;

export type ServerMessage =
  | LoginOk
  | Ok
  | PublishOk
  | PlayOk
  | ViewerAnswer
  | HeartbeatOk
  | Error
  | UserNotice
  | StreamNotice
  | PublisherStateNotice
  | PlayerStateNotice
  | SlotBound
  | Kicked;

/** What the codec checks of a definition: a field is a JSON type, a definition, or a list ([]) of either. */
export interface Shape {
  readonly required: readonly string[];
  readonly fields: Readonly<Record<string, string>>;
}

export const SHAPES: Readonly<Record<string, Shape>> = {
  Login: {
    required: ["seq", "app_id", "room_id"],
    fields: { seq: "integer", app_id: "integer", room_id: "string", user: "User", version: "integer", token: "string", app_sign: "string", config: "RoomConfig", viewer_offer: "string", client: "ClientInfo" },
  },
  User: {
    required: [],
    fields: { user_id: "string", user_name: "string" },
  },
  RoomConfig: {
    required: [],
    fields: { max_member_count: "integer", is_user_status_notify: "boolean" },
  },
  ClientInfo: {
    required: [],
    fields: { sdk: "string", version: "string", platform: "string" },
  },
  Logout: {
    required: ["seq"],
    fields: { seq: "integer" },
  },
  Publish: {
    required: ["seq", "stream_id", "offer"],
    fields: { seq: "integer", stream_id: "string", offer: "string", channel: "integer", extra_info: "string" },
  },
  StopPublish: {
    required: ["seq", "stream_id"],
    fields: { seq: "integer", stream_id: "string" },
  },
  Play: {
    required: ["seq", "stream_id"],
    fields: { seq: "integer", stream_id: "string", resource_mode: "integer", audio: "boolean", video: "boolean" },
  },
  StopPlay: {
    required: ["seq", "stream_id"],
    fields: { seq: "integer", stream_id: "string" },
  },
  ViewerOffer: {
    required: ["seq", "offer"],
    fields: { seq: "integer", offer: "string" },
  },
  Heartbeat: {
    required: ["seq"],
    fields: { seq: "integer", client_ms: "integer" },
  },
  LoginOk: {
    required: ["seq", "session_id", "server_ms", "heartbeat_ms", "max_plays"],
    fields: { seq: "integer", session_id: "string", server_ms: "integer", heartbeat_ms: "integer", max_plays: "integer", users: "User[]", streams: "Stream[]", viewer_answer: "string", ice_servers: "IceServer[]" },
  },
  Stream: {
    required: ["stream_id", "user"],
    fields: { stream_id: "string", user: "User", extra_info: "string", tracks: "Track[]", delete_reason: "integer" },
  },
  Track: {
    required: ["kind"],
    fields: { kind: "string", codec: "string" },
  },
  IceServer: {
    required: ["urls"],
    fields: { urls: "string[]", username: "string", credential: "string" },
  },
  Ok: {
    required: ["seq"],
    fields: { seq: "integer" },
  },
  PublishOk: {
    required: ["seq", "stream_id", "answer"],
    fields: { seq: "integer", stream_id: "string", answer: "string", tracks: "Track[]" },
  },
  PlayOk: {
    required: ["seq", "stream_id", "slot", "resource_mode"],
    fields: { seq: "integer", stream_id: "string", slot: "integer", resource_mode: "integer", audio_mid: "string", video_mid: "string", tracks: "Track[]" },
  },
  ViewerAnswer: {
    required: ["seq", "answer"],
    fields: { seq: "integer", answer: "string" },
  },
  HeartbeatOk: {
    required: ["seq", "client_ms", "server_ms"],
    fields: { seq: "integer", client_ms: "integer", server_ms: "integer" },
  },
  Error: {
    required: ["code", "message"],
    fields: { code: "integer", message: "string", seq: "integer", hint: "string", retry_after_ms: "integer" },
  },
  UserNotice: {
    required: ["update", "users"],
    fields: { update: "integer", users: "User[]" },
  },
  StreamNotice: {
    required: ["update", "streams"],
    fields: { update: "integer", streams: "Stream[]" },
  },
  PublisherStateNotice: {
    required: ["stream_id", "state"],
    fields: { stream_id: "string", state: "integer", code: "integer", message: "string" },
  },
  PlayerStateNotice: {
    required: ["stream_id", "state"],
    fields: { stream_id: "string", state: "integer", code: "integer", message: "string" },
  },
  SlotBound: {
    required: ["stream_id", "mid", "kind", "rtp_timestamp"],
    fields: { stream_id: "string", mid: "string", kind: "string", rtp_timestamp: "integer" },
  },
  Kicked: {
    required: ["code", "message"],
    fields: { code: "integer", message: "string", origin: "string" },
  },
};

/** Message type on the wire to definition, of what clients send. */
export const CLIENT_TYPES: Readonly<Record<string, string>> = {
  login: "Login",
  logout: "Logout",
  publish: "Publish",
  stop_publish: "StopPublish",
  play: "Play",
  stop_play: "StopPlay",
  viewer_offer: "ViewerOffer",
  heartbeat: "Heartbeat",
};

/** Message type on the wire to definition, of what servers send. */
export const SERVER_TYPES: Readonly<Record<string, string>> = {
  login_ok: "LoginOk",
  ok: "Ok",
  publish_ok: "PublishOk",
  play_ok: "PlayOk",
  viewer_answer: "ViewerAnswer",
  heartbeat_ok: "HeartbeatOk",
  error: "Error",
  user_notice: "UserNotice",
  stream_notice: "StreamNotice",
  publisher_state: "PublisherStateNotice",
  player_state: "PlayerStateNotice",
  slot_bound: "SlotBound",
  kicked: "Kicked",
};
