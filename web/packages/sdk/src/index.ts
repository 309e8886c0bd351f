export type { AudioCapture, StreamSource, VideoCapture } from "./capture.js";
export { SanderlingEngine, SanderlingEngine as ZegoExpressEngine } from "./engine.js";
export type { RoomOptions, TurnServer, User } from "./engine.js";
export { SanderlingError, WebErrorCode, webCode } from "./errors.js";
export type {
  BarrageMessage,
  BroadcastMessage,
  DeviceStatus,
  EngineEvents,
  NetworkLevel,
  PlayerState,
  PlayerStateInfo,
  PublisherState,
  PublisherStateInfo,
  ReceivedTransparentMessage,
  RoomExtraInfo,
  RoomState,
  RoomStateReason,
  StreamExtraInfo,
  StreamInfo,
  UpdateType,
  UserInfo,
} from "./events.js";
export { fetchHealth, type Fetch, type Health } from "./health.js";
export { LocalStream, createView, type ViewOptions } from "./local-stream.js";
export type { SwitchRoomOptions, Token } from "./login.js";
export type { MessageResponse, ServerResponse, TransparentMessage } from "./messaging.js";
export type { VideoCodec } from "./peer.js";
export type { CustomResourceConfig, PlayOptions, Resource, StreamType } from "./play-options.js";
export type { PublishOptions } from "./publishing.js";
export type { PlayQuality, PublishQuality } from "./quality.js";
export { checkCapabilities, type Capabilities } from "./requirements.js";
export type { SequentialDataEvents, SequentialDataManager } from "./sequential-data.js";
