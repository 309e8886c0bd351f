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
  readonly resumable?: boolean;
  readonly beside?: SessionKey;
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
  readonly custom_data?: string;
}

/** Which software is asking; for the operator's eyes only. */
export interface ClientInfo {
  readonly sdk?: string;
  readonly version?: string;
  readonly platform?: string;
}

/** Proof that a session is one's own: its name and the secret of its login_ok. */
export interface SessionKey {
  readonly session_id?: string;
  readonly secret?: string;
}

/** Take a session over on a new connection, in place of a login. Reply: ResumeOk or Error (1002057: log in). */
export interface Resume {
  readonly type: "resume";
  readonly seq: number;
  readonly session_id: string;
  readonly secret: string;
  readonly received: number;
}

/** Leave the room: publishing and playing stop. Reply: Ok; then the server closes the connection. */
export interface Logout {
  readonly type: "logout";
  readonly seq: number;
}

/** Leave the room for another one; the viewer transport stays. Reply: LoginOk (no viewer_answer) or Error. */
export interface SwitchRoom {
  readonly type: "switch_room";
  readonly seq: number;
  readonly room_id: string;
  readonly token?: string;
  readonly config?: RoomConfig;
}

/** Replace the session's token by a newer one of the same user. Reply: Ok or Error. */
export interface RenewToken {
  readonly type: "renew_token";
  readonly seq: number;
  readonly token: string;
}

/** Sign of life, every ``LoginOk.heartbeat_ms``. Reply: HeartbeatOk. */
export interface Heartbeat {
  readonly type: "heartbeat";
  readonly seq: number;
  readonly client_ms?: number;
  readonly received?: number;
}

/** Tell those who play this user's streams how good its network is (StreamQualityLevel). Reply: Ok. */
export interface ReportQuality {
  readonly type: "report_quality";
  readonly seq: number;
  readonly up: number;
  readonly down: number;
  readonly rtt_ms?: number;
  readonly lost_permille?: number;
}

/** Publish a stream over its own transport. Reply: PublishOk or Error. */
export interface Publish {
  readonly type: "publish";
  readonly seq: number;
  readonly stream_id: string;
  readonly offer: string;
  readonly channel?: number;
  readonly extra_info?: string;
  readonly camera?: number;
  readonly microphone?: number;
  readonly renew?: boolean;
}

/** End a published stream. Reply: Ok. */
export interface StopPublish {
  readonly type: "stop_publish";
  readonly seq: number;
  readonly stream_id: string;
}

/** Change the extra info of an own stream. Reply: Ok; the others get StreamExtraInfoNotice. */
export interface SetStreamExtraInfo {
  readonly type: "set_stream_extra_info";
  readonly seq: number;
  readonly stream_id: string;
  readonly extra_info: string;
}

/** Tell the room what camera and microphone of an own stream do. Reply: Ok; the others get DeviceStateNotice. */
export interface SetDeviceState {
  readonly type: "set_device_state";
  readonly seq: number;
  readonly stream_id: string;
  readonly camera?: number;
  readonly microphone?: number;
}

/** Ask for the live streams of the room. Reply: StreamListOk. */
export interface StreamList {
  readonly type: "stream_list";
  readonly seq: number;
  readonly own?: boolean;
  readonly after?: string;
}

/** Bind a stream to a free slot of the viewer transport. Reply: PlayOk or Error. The viewer transport must have a free slot; a client whose pool is too small sends ViewerOffer first. */
export interface Play {
  readonly type: "play";
  readonly seq: number;
  readonly stream_id: string;
  readonly resource_mode?: number;
  readonly audio?: boolean;
  readonly video?: boolean;
  readonly custom?: PathChoice;
  readonly switch_mode?: number;
  readonly when_stop_publish?: number;
  readonly video_type?: number;
}

/** Resource mode CUSTOM: the path (ResourceType: 0 CDN, 1 RTC, 2 L3) by whether this user publishes. */
export interface PathChoice {
  readonly before_publish?: number;
  readonly publishing?: number;
  readonly after_publish?: number;
}

/** Free the slot of a played stream. Reply: Ok. */
export interface StopPlay {
  readonly type: "stop_play";
  readonly seq: number;
  readonly stream_id: string;
}

/** Move a running play to another path (ResourceType: 0 CDN, 1 RTC, 2 L3). Reply: Ok; then ResourceNotice. */
export interface SwitchResource {
  readonly type: "switch_resource";
  readonly seq: number;
  readonly stream_id: string;
  readonly resource: number;
}

/** Choose the video layer of a running play (VideoStreamType: 0 by the network, 1 small, 2 big). Reply: Ok. The change shows at the next key frame of that layer, which the server asks for; until then the former goes on. */
export interface SetVideoType {
  readonly type: "set_video_type";
  readonly seq: number;
  readonly stream_id: string;
  readonly video_type: number;
}

/** Make the viewer transport, grow its pool of slots or replace it. Reply: ViewerAnswer or Error. An offer with another certificate fingerprint is a new transport: plays on the former one end. */
export interface ViewerOffer {
  readonly type: "viewer_offer";
  readonly seq: number;
  readonly offer: string;
}

/** Write the room's key and value. Reply: Ok; the others get RoomExtraInfoNotice. */
export interface SetRoomExtraInfo {
  readonly type: "set_room_extra_info";
  readonly seq: number;
  readonly key: string;
  readonly value: string;
}

/** Reliable text to the room. Reply: MessageSent; the others get BroadcastNotice. */
export interface Broadcast {
  readonly type: "broadcast";
  readonly seq: number;
  readonly text: string;
}

/** Text to the room that may be dropped. Reply: MessageSent; the others get BarrageNotice. */
export interface Barrage {
  readonly type: "barrage";
  readonly seq: number;
  readonly text: string;
}

/** Reliable text to some users of the room, or to all of them. Reply: MessageSent; they get CommandNotice. */
export interface Command {
  readonly type: "command";
  readonly seq: number;
  readonly text: string;
  readonly to?: readonly string[];
}

/** Bytes to some users of the room, or to all of them. Reply: MessageSent; they get TransparentNotice. */
export interface Transparent {
  readonly type: "transparent";
  readonly seq: number;
  readonly content: string;
  readonly to?: readonly string[];
  readonly mode?: number;
}

/** Hear the sequential data of a stream, or no longer. Reply: Ok; then DataNotice. */
export interface SubscribeData {
  readonly type: "subscribe_data";
  readonly seq: number;
  readonly stream_id: string;
  readonly on?: boolean;
}

/** Bytes to the subscribers of an own stream's data, in order. Reply: Ok. */
export interface StreamData {
  readonly type: "stream_data";
  readonly seq: number;
  readonly stream_id: string;
  readonly content: string;
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
  readonly secret?: string;
  readonly resume_ms?: number;
  readonly online?: number;
  readonly room_extra_info?: readonly RoomExtraInfo[];
  readonly settle_ms?: number;
  readonly token_expires_ms?: number;
  readonly switched_off?: readonly string[];
}

/** A published stream as the room sees it. */
export interface Stream {
  readonly stream_id: string;
  readonly user: User;
  readonly extra_info?: string;
  readonly tracks?: readonly Track[];
  readonly delete_reason?: number;
  readonly camera?: number;
  readonly microphone?: number;
  readonly custom_reason?: string;
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

/** The room's one key and its value; the last writer wins. */
export interface RoomExtraInfo {
  readonly key: string;
  readonly value: string;
  readonly user: User;
  readonly updated_ms: number;
}

/** The session goes on. What the client missed follows, in order, as it would have come. */
export interface ResumeOk {
  readonly type: "resume_ok";
  readonly seq: number;
  readonly taken: number;
  readonly server_ms: number;
  readonly heartbeat_ms: number;
  readonly missed?: number;
  readonly ice_servers?: readonly IceServer[];
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
  readonly camera?: number;
  readonly microphone?: number;
}

/** Live streams of the room by streamID. ``more``: ask again with ``after`` the last one. */
export interface StreamListOk {
  readonly type: "stream_list_ok";
  readonly seq: number;
  readonly streams?: readonly Stream[];
  readonly more?: boolean;
}

/** The message is on its way to the others. */
export interface MessageSent {
  readonly type: "message_sent";
  readonly seq: number;
  readonly message_id: number;
  readonly sent_ms: number;
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
  readonly reason?: number;
}

/** How many users are in the room; every 30 s when it changed. */
export interface OnlineCountNotice {
  readonly type: "online_count";
  readonly online: number;
}

/** Streams of others came (update 0) or went (update 1). */
export interface StreamNotice {
  readonly type: "stream_notice";
  readonly update: number;
  readonly streams: readonly Stream[];
}

/** Extra infos of others' streams changed. */
export interface StreamExtraInfoNotice {
  readonly type: "stream_extra_info";
  readonly streams: readonly Stream[];
}

/** Camera or microphone of another's stream changed (RemoteDeviceState). */
export interface DeviceStateNotice {
  readonly type: "device_state";
  readonly stream_id: string;
  readonly camera?: number;
  readonly microphone?: number;
}

/** Another user wrote the room's extra info. */
export interface RoomExtraInfoNotice {
  readonly type: "room_extra_info";
  readonly infos: readonly RoomExtraInfo[];
}

/** The token ends soon: send RenewToken. */
export interface TokenWillExpire {
  readonly type: "token_will_expire";
  readonly remaining_s: number;
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

/** The publisher of a played stream has a new transport: the stream comes by this slot now; SlotBound follows. */
export interface PlayMoved {
  readonly type: "play_moved";
  readonly stream_id: string;
  readonly slot: number;
  readonly audio_mid?: string;
  readonly video_mid?: string;
  readonly tracks?: readonly Track[];
}

/** A running play goes by another path now: 2 = L3, 3 = RTC. */
export interface ResourceNotice {
  readonly type: "resource";
  readonly stream_id: string;
  readonly resource_mode: number;
}

/** How good the network of a user is whose stream is played (StreamQualityLevel). */
export interface NetworkQualityNotice {
  readonly type: "network_quality";
  readonly user_id: string;
  readonly up: number;
  readonly down: number;
  readonly rtt_ms?: number;
  readonly lost_permille?: number;
}

/** A broadcast of another user. */
export interface BroadcastNotice {
  readonly type: "broadcast_notice";
  readonly message_id: number;
  readonly text: string;
  readonly sent_ms: number;
  readonly user: User;
}

/** A barrage message of another user. */
export interface BarrageNotice {
  readonly type: "barrage_notice";
  readonly message_id: number;
  readonly text: string;
  readonly sent_ms: number;
  readonly user: User;
}

/** A custom command of another user. */
export interface CommandNotice {
  readonly type: "command_notice";
  readonly message_id: number;
  readonly text: string;
  readonly sent_ms: number;
  readonly user: User;
}

/** A transparent message of another user. */
export interface TransparentNotice {
  readonly type: "transparent_notice";
  readonly message_id: number;
  readonly content: string;
  readonly sent_ms: number;
  readonly user: User;
}

/** Sequential data of a subscribed stream. */
export interface DataNotice {
  readonly type: "data_notice";
  readonly stream_id: string;
  readonly content: string;
}

/** The server ends this session; the connection closes after it. */
export interface Kicked {
  readonly type: "kicked";
  readonly code: number;
  readonly message: string;
  readonly origin?: string;
  readonly custom_reason?: string;
}

export type ClientMessage =
  | Login
  | Resume
  | Logout
  | SwitchRoom
  | RenewToken
  | Heartbeat
  | ReportQuality
  | Publish
  | StopPublish
  | SetStreamExtraInfo
  | SetDeviceState
  | StreamList
  | Play
  | StopPlay
  | SwitchResource
  | SetVideoType
  | ViewerOffer
  | SetRoomExtraInfo
  | Broadcast
  | Barrage
  | Command
  | Transparent
  | SubscribeData
  | StreamData;

export type ServerMessage =
  | LoginOk
  | ResumeOk
  | Ok
  | PublishOk
  | PlayOk
  | StreamListOk
  | MessageSent
  | ViewerAnswer
  | HeartbeatOk
  | Error
  | UserNotice
  | OnlineCountNotice
  | StreamNotice
  | StreamExtraInfoNotice
  | DeviceStateNotice
  | RoomExtraInfoNotice
  | TokenWillExpire
  | PublisherStateNotice
  | PlayerStateNotice
  | SlotBound
  | PlayMoved
  | ResourceNotice
  | NetworkQualityNotice
  | BroadcastNotice
  | BarrageNotice
  | CommandNotice
  | TransparentNotice
  | DataNotice
  | Kicked;

/** What the codec checks of a definition: a field is a JSON type, a definition, or a list ([]) of either. */
export interface Shape {
  readonly required: readonly string[];
  readonly fields: Readonly<Record<string, string>>;
}

export const SHAPES: Readonly<Record<string, Shape>> = {
  Login: {
    required: ["seq", "app_id", "room_id"],
    fields: { seq: "integer", app_id: "integer", room_id: "string", user: "User", version: "integer", token: "string", app_sign: "string", config: "RoomConfig", viewer_offer: "string", client: "ClientInfo", resumable: "boolean", beside: "SessionKey" },
  },
  User: {
    required: [],
    fields: { user_id: "string", user_name: "string" },
  },
  RoomConfig: {
    required: [],
    fields: { max_member_count: "integer", is_user_status_notify: "boolean", custom_data: "string" },
  },
  ClientInfo: {
    required: [],
    fields: { sdk: "string", version: "string", platform: "string" },
  },
  SessionKey: {
    required: [],
    fields: { session_id: "string", secret: "string" },
  },
  Resume: {
    required: ["seq", "session_id", "secret", "received"],
    fields: { seq: "integer", session_id: "string", secret: "string", received: "integer" },
  },
  Logout: {
    required: ["seq"],
    fields: { seq: "integer" },
  },
  SwitchRoom: {
    required: ["seq", "room_id"],
    fields: { seq: "integer", room_id: "string", token: "string", config: "RoomConfig" },
  },
  RenewToken: {
    required: ["seq", "token"],
    fields: { seq: "integer", token: "string" },
  },
  Heartbeat: {
    required: ["seq"],
    fields: { seq: "integer", client_ms: "integer", received: "integer" },
  },
  ReportQuality: {
    required: ["seq", "up", "down"],
    fields: { seq: "integer", up: "integer", down: "integer", rtt_ms: "integer", lost_permille: "integer" },
  },
  Publish: {
    required: ["seq", "stream_id", "offer"],
    fields: { seq: "integer", stream_id: "string", offer: "string", channel: "integer", extra_info: "string", camera: "integer", microphone: "integer", renew: "boolean" },
  },
  StopPublish: {
    required: ["seq", "stream_id"],
    fields: { seq: "integer", stream_id: "string" },
  },
  SetStreamExtraInfo: {
    required: ["seq", "stream_id", "extra_info"],
    fields: { seq: "integer", stream_id: "string", extra_info: "string" },
  },
  SetDeviceState: {
    required: ["seq", "stream_id"],
    fields: { seq: "integer", stream_id: "string", camera: "integer", microphone: "integer" },
  },
  StreamList: {
    required: ["seq"],
    fields: { seq: "integer", own: "boolean", after: "string" },
  },
  Play: {
    required: ["seq", "stream_id"],
    fields: { seq: "integer", stream_id: "string", resource_mode: "integer", audio: "boolean", video: "boolean", custom: "PathChoice", switch_mode: "integer", when_stop_publish: "integer", video_type: "integer" },
  },
  PathChoice: {
    required: [],
    fields: { before_publish: "integer", publishing: "integer", after_publish: "integer" },
  },
  StopPlay: {
    required: ["seq", "stream_id"],
    fields: { seq: "integer", stream_id: "string" },
  },
  SwitchResource: {
    required: ["seq", "stream_id", "resource"],
    fields: { seq: "integer", stream_id: "string", resource: "integer" },
  },
  SetVideoType: {
    required: ["seq", "stream_id", "video_type"],
    fields: { seq: "integer", stream_id: "string", video_type: "integer" },
  },
  ViewerOffer: {
    required: ["seq", "offer"],
    fields: { seq: "integer", offer: "string" },
  },
  SetRoomExtraInfo: {
    required: ["seq", "key", "value"],
    fields: { seq: "integer", key: "string", value: "string" },
  },
  Broadcast: {
    required: ["seq", "text"],
    fields: { seq: "integer", text: "string" },
  },
  Barrage: {
    required: ["seq", "text"],
    fields: { seq: "integer", text: "string" },
  },
  Command: {
    required: ["seq", "text"],
    fields: { seq: "integer", text: "string", to: "string[]" },
  },
  Transparent: {
    required: ["seq", "content"],
    fields: { seq: "integer", content: "string", to: "string[]", mode: "integer" },
  },
  SubscribeData: {
    required: ["seq", "stream_id"],
    fields: { seq: "integer", stream_id: "string", on: "boolean" },
  },
  StreamData: {
    required: ["seq", "stream_id", "content"],
    fields: { seq: "integer", stream_id: "string", content: "string" },
  },
  LoginOk: {
    required: ["seq", "session_id", "server_ms", "heartbeat_ms", "max_plays"],
    fields: { seq: "integer", session_id: "string", server_ms: "integer", heartbeat_ms: "integer", max_plays: "integer", users: "User[]", streams: "Stream[]", viewer_answer: "string", ice_servers: "IceServer[]", secret: "string", resume_ms: "integer", online: "integer", room_extra_info: "RoomExtraInfo[]", settle_ms: "integer", token_expires_ms: "integer", switched_off: "string[]" },
  },
  Stream: {
    required: ["stream_id", "user"],
    fields: { stream_id: "string", user: "User", extra_info: "string", tracks: "Track[]", delete_reason: "integer", camera: "integer", microphone: "integer", custom_reason: "string" },
  },
  Track: {
    required: ["kind"],
    fields: { kind: "string", codec: "string" },
  },
  IceServer: {
    required: ["urls"],
    fields: { urls: "string[]", username: "string", credential: "string" },
  },
  RoomExtraInfo: {
    required: ["key", "value", "user", "updated_ms"],
    fields: { key: "string", value: "string", user: "User", updated_ms: "integer" },
  },
  ResumeOk: {
    required: ["seq", "taken", "server_ms", "heartbeat_ms"],
    fields: { seq: "integer", taken: "integer", server_ms: "integer", heartbeat_ms: "integer", missed: "integer", ice_servers: "IceServer[]" },
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
    fields: { seq: "integer", stream_id: "string", slot: "integer", resource_mode: "integer", audio_mid: "string", video_mid: "string", tracks: "Track[]", camera: "integer", microphone: "integer" },
  },
  StreamListOk: {
    required: ["seq"],
    fields: { seq: "integer", streams: "Stream[]", more: "boolean" },
  },
  MessageSent: {
    required: ["seq", "message_id", "sent_ms"],
    fields: { seq: "integer", message_id: "integer", sent_ms: "integer" },
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
    fields: { update: "integer", users: "User[]", reason: "integer" },
  },
  OnlineCountNotice: {
    required: ["online"],
    fields: { online: "integer" },
  },
  StreamNotice: {
    required: ["update", "streams"],
    fields: { update: "integer", streams: "Stream[]" },
  },
  StreamExtraInfoNotice: {
    required: ["streams"],
    fields: { streams: "Stream[]" },
  },
  DeviceStateNotice: {
    required: ["stream_id"],
    fields: { stream_id: "string", camera: "integer", microphone: "integer" },
  },
  RoomExtraInfoNotice: {
    required: ["infos"],
    fields: { infos: "RoomExtraInfo[]" },
  },
  TokenWillExpire: {
    required: ["remaining_s"],
    fields: { remaining_s: "integer" },
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
  PlayMoved: {
    required: ["stream_id", "slot"],
    fields: { stream_id: "string", slot: "integer", audio_mid: "string", video_mid: "string", tracks: "Track[]" },
  },
  ResourceNotice: {
    required: ["stream_id", "resource_mode"],
    fields: { stream_id: "string", resource_mode: "integer" },
  },
  NetworkQualityNotice: {
    required: ["user_id", "up", "down"],
    fields: { user_id: "string", up: "integer", down: "integer", rtt_ms: "integer", lost_permille: "integer" },
  },
  BroadcastNotice: {
    required: ["message_id", "text", "sent_ms", "user"],
    fields: { message_id: "integer", text: "string", sent_ms: "integer", user: "User" },
  },
  BarrageNotice: {
    required: ["message_id", "text", "sent_ms", "user"],
    fields: { message_id: "integer", text: "string", sent_ms: "integer", user: "User" },
  },
  CommandNotice: {
    required: ["message_id", "text", "sent_ms", "user"],
    fields: { message_id: "integer", text: "string", sent_ms: "integer", user: "User" },
  },
  TransparentNotice: {
    required: ["message_id", "content", "sent_ms", "user"],
    fields: { message_id: "integer", content: "string", sent_ms: "integer", user: "User" },
  },
  DataNotice: {
    required: ["stream_id", "content"],
    fields: { stream_id: "string", content: "string" },
  },
  Kicked: {
    required: ["code", "message"],
    fields: { code: "integer", message: "string", origin: "string", custom_reason: "string" },
  },
};

/** Message type on the wire to definition, of what clients send. */
export const CLIENT_TYPES: Readonly<Record<string, string>> = {
  login: "Login",
  resume: "Resume",
  logout: "Logout",
  switch_room: "SwitchRoom",
  renew_token: "RenewToken",
  heartbeat: "Heartbeat",
  report_quality: "ReportQuality",
  publish: "Publish",
  stop_publish: "StopPublish",
  set_stream_extra_info: "SetStreamExtraInfo",
  set_device_state: "SetDeviceState",
  stream_list: "StreamList",
  play: "Play",
  stop_play: "StopPlay",
  switch_resource: "SwitchResource",
  set_video_type: "SetVideoType",
  viewer_offer: "ViewerOffer",
  set_room_extra_info: "SetRoomExtraInfo",
  broadcast: "Broadcast",
  barrage: "Barrage",
  command: "Command",
  transparent: "Transparent",
  subscribe_data: "SubscribeData",
  stream_data: "StreamData",
};

/** Message type on the wire to definition, of what servers send. */
export const SERVER_TYPES: Readonly<Record<string, string>> = {
  login_ok: "LoginOk",
  resume_ok: "ResumeOk",
  ok: "Ok",
  publish_ok: "PublishOk",
  play_ok: "PlayOk",
  stream_list_ok: "StreamListOk",
  message_sent: "MessageSent",
  viewer_answer: "ViewerAnswer",
  heartbeat_ok: "HeartbeatOk",
  error: "Error",
  user_notice: "UserNotice",
  online_count: "OnlineCountNotice",
  stream_notice: "StreamNotice",
  stream_extra_info: "StreamExtraInfoNotice",
  device_state: "DeviceStateNotice",
  room_extra_info: "RoomExtraInfoNotice",
  token_will_expire: "TokenWillExpire",
  publisher_state: "PublisherStateNotice",
  player_state: "PlayerStateNotice",
  slot_bound: "SlotBound",
  play_moved: "PlayMoved",
  resource: "ResourceNotice",
  network_quality: "NetworkQualityNotice",
  broadcast_notice: "BroadcastNotice",
  barrage_notice: "BarrageNotice",
  command_notice: "CommandNotice",
  transparent_notice: "TransparentNotice",
  data_notice: "DataNotice",
  kicked: "Kicked",
};
