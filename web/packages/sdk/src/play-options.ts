/** How to play a stream, in the web's numbers and on the wire. */

import type { PathChoice } from "@sanderling/protocol";

/** Choose the path by what the local user does: 0 RTC, 1 CDN, 2 L3. */
export interface CustomResourceConfig {
  readonly beforePublish?: 0 | 1 | 2;
  readonly publishing?: 0 | 1 | 2;
  readonly afterPublish?: 0 | 1 | 2;
}

/** Layer of a stream published in several: 0 small, 1 big, 2 (the default) what the network carries. */
export type StreamType = 0 | 1 | 2;

/** A path: 0 RTC, 1 CDN (not installed: 1000010), 2 L3. Native: 1, 0, 2. */
export type Resource = 0 | 1 | 2;

/** How to play a stream. */
export interface PlayOptions {
  readonly video?: boolean;
  readonly audio?: boolean;
  /** 0 RTC, 1 CDN, 2 L3, 5 custom; the web's numbering (native: 3, 1, 2, 5). */
  readonly resourceMode?: 0 | 1 | 2 | 5;
  readonly customResourceConfig?: CustomResourceConfig;
  /** The web's numbering (native: 1, 2, 0); `setPlayStreamVideoType` changes it while the stream plays. */
  readonly streamType?: StreamType;
  /** Milliseconds the jitter buffer aims at; 0 (the default) = as little as the network allows. */
  readonly jitterBufferTarget?: number;
  /** The same in seconds, the older name. */
  readonly playoutDelayHint?: number;
  /** Hear the data inside its pictures (`playerRecvSEI`). 1103002 in a browser without RTCRtpScriptTransform. */
  readonly isSEIStart?: boolean;
  /** With several rooms: in which to play; the first one when not given. */
  readonly roomID?: string;
}

const NATIVE_MODE: Readonly<Record<number, number>> = { 0: 3, 1: 1, 2: 2, 5: 5 };
const NATIVE_STREAM_TYPE: Readonly<Record<number, number>> = { 0: 1, 1: 2, 2: 0 };
const NATIVE_RESOURCE: Readonly<Record<number, number>> = { 0: 1, 1: 0, 2: 2 };
const WEB_RESOURCE: Readonly<Record<number, Resource>> = { 2: 2, 3: 0 };

/** The resource mode as it goes over the wire. */
export function wireMode(options: PlayOptions): number {
  return NATIVE_MODE[options.resourceMode ?? 0] ?? 3;
}

/** The paths of resource mode 5 as they go over the wire: by what this user does, the server decides. */
export function wirePaths(config: CustomResourceConfig = {}): PathChoice {
  return {
    before_publish: wireResource(config.beforePublish ?? 0) ?? 1,
    publishing: wireResource(config.publishing ?? 0) ?? 1,
    after_publish: wireResource(config.afterPublish ?? 0) ?? 1,
  };
}

/** A path as it goes over the wire; undefined for a number that does not exist. */
export function wireResource(resource: number): number | undefined {
  return NATIVE_RESOURCE[resource];
}

/** The path that a resource mode on the wire stands for; undefined for one that this version does not know. */
export function webResource(mode: number): Resource | undefined {
  return WEB_RESOURCE[mode];
}

/** The wanted layer as it goes over the wire; undefined for a number that does not exist. */
export function wireStreamType(type: number): number | undefined {
  return NATIVE_STREAM_TYPE[type];
}
