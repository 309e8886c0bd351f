/** What this browser can do, asked before anything is started. */

import { captureObstacle } from "./capture.js";

/** Answer of `checkSystemRequirements`. `result` = playing works; the rest says what else does. */
export interface Capabilities {
  readonly result: boolean;
  readonly webRTC: boolean;
  readonly customCapture: boolean;
  /** Whether a page from here may ask for it; not whether there is one. */
  readonly camera: boolean;
  readonly microphone: boolean;
  readonly screenSharing: boolean;
  /** Codecs that can be encoded here. */
  readonly videoCodec: Readonly<Record<"VP8" | "VP9" | "AV1" | "H264" | "H265", boolean>>;
  /** Why camera and microphone are off; "" when they are not. */
  readonly captureObstacle: string;
}

export function checkCapabilities(): Capabilities {
  const webRTC = "RTCPeerConnection" in globalThis && "WebSocket" in globalThis;
  const devices = (navigator as { mediaDevices?: MediaDevices }).mediaDevices;
  const obstacle = captureObstacle(isSecureContext, devices !== undefined);
  const codecs = webRTC ? (RTCRtpSender.getCapabilities("video")?.codecs ?? []) : [];
  const encodes = (name: string): boolean =>
    codecs.some(({ mimeType }) => mimeType.toLowerCase() === `video/${name.toLowerCase()}`);
  return {
    result: webRTC,
    webRTC,
    customCapture: webRTC && "captureStream" in HTMLCanvasElement.prototype,
    camera: obstacle === "",
    microphone: obstacle === "",
    screenSharing: obstacle === "" && devices !== undefined && "getDisplayMedia" in devices,
    videoCodec: {
      VP8: encodes("VP8"),
      VP9: encodes("VP9"),
      AV1: encodes("AV1"),
      H264: encodes("H264"),
      H265: encodes("H265"),
    },
    captureObstacle: obstacle,
  };
}
