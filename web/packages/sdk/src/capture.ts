/** Local media: camera, microphone, screen, or a MediaStream that the page brings. */

import { SanderlingError, WebErrorCode } from "./errors.js";

/** Picture of a camera or a screen. */
export interface VideoCapture {
  /** 1 = 320×240@15, 2 = 640×480@15, 3 = 1280×720@20; 4 or none = as the other fields say. */
  readonly quality?: 1 | 2 | 3 | 4;
  readonly width?: number;
  readonly height?: number;
  readonly frameRate?: number;
  readonly facingMode?: "user" | "environment";
  /** Device ID as the browser names it. */
  readonly input?: string;
}

/** Sound of a microphone. */
export interface AudioCapture {
  readonly input?: string;
  readonly channelCount?: 1 | 2;
  /** Noise suppression, gain control, echo cancellation; all on unless said otherwise. */
  readonly ANS?: boolean;
  readonly AGC?: boolean;
  readonly AEC?: boolean;
}

/** What a local stream is made of; exactly one of the three. Without any: camera and microphone. */
export interface StreamSource {
  readonly camera?: { readonly video?: boolean | VideoCapture; readonly audio?: boolean | AudioCapture };
  readonly screen?: { readonly video?: boolean | VideoCapture; readonly audio?: boolean };
  readonly custom?: { readonly source: MediaStream };
}

const PRESETS: Readonly<Record<number, MediaTrackConstraints>> = {
  1: { width: 320, height: 240, frameRate: 15 },
  2: { width: 640, height: 480, frameRate: 15 },
  3: { width: 1280, height: 720, frameRate: 20 },
};

/** Get the media; rejects with 1103064 (no permission), 1103065 (busy), 1103066 (no such format), 1103002 and others. */
export async function capture(source: StreamSource, screenEnded: (stream: MediaStream) => void): Promise<MediaStream> {
  if (source.custom !== undefined) return source.custom.source;
  const devices = mediaDevices();
  if (source.screen !== undefined) {
    if (!("getDisplayMedia" in devices)) {
      throw new SanderlingError(WebErrorCode.SCREEN_UNSUPPORTED, "this browser cannot share a screen");
    }
    const { video = true, audio = false } = source.screen;
    const stream = await devices
      .getDisplayMedia({ video: video === true ? true : videoConstraints(video), audio })
      .catch((error: unknown) => {
        throw screenError(error);
      });
    // The browser's own bar ends the sharing behind the page's back.
    stream.getVideoTracks()[0]?.addEventListener("ended", () => {
      screenEnded(stream);
    });
    return stream;
  }
  const { video = true, audio = true } = source.camera ?? {};
  return devices
    .getUserMedia({ video: videoConstraints(video), audio: audioConstraints(audio) })
    .catch((error: unknown) => {
      throw deviceError(error);
    });
}

/** Why this page may not use camera, microphone or screen at all; "" when it may. */
export function captureObstacle(secure: boolean, hasDevices: boolean): string {
  if (!secure) return "browsers allow the camera only on pages that come over HTTPS, or from localhost";
  return hasDevices ? "" : "this browser offers no camera to pages";
}

function mediaDevices(): MediaDevices {
  const devices = (navigator as { mediaDevices?: MediaDevices }).mediaDevices;
  const obstacle = captureObstacle(isSecureContext, devices !== undefined);
  if (devices === undefined || obstacle !== "") {
    throw new SanderlingError(WebErrorCode.BROWSER_UNSUPPORTED, obstacle, {
      hint: "run `sanderling serve --tls self-signed` and open the https address it prints",
    });
  }
  return devices;
}

function videoConstraints(wanted: boolean | VideoCapture): boolean | MediaTrackConstraints {
  if (typeof wanted === "boolean") return wanted ? { width: 1280, height: 720, frameRate: 30 } : false;
  const preset = PRESETS[wanted.quality ?? 4] ?? {
    width: wanted.width ?? 1280,
    height: wanted.height ?? 720,
    frameRate: wanted.frameRate ?? 30,
  };
  return {
    ...preset,
    ...(wanted.facingMode === undefined ? {} : { facingMode: wanted.facingMode }),
    ...(wanted.input === undefined ? {} : { deviceId: { exact: wanted.input } }),
  };
}

function audioConstraints(wanted: boolean | AudioCapture): boolean | MediaTrackConstraints {
  if (typeof wanted === "boolean") return wanted;
  return {
    noiseSuppression: wanted.ANS ?? true,
    autoGainControl: wanted.AGC ?? true,
    echoCancellation: wanted.AEC ?? true,
    ...(wanted.channelCount === undefined ? {} : { channelCount: wanted.channelCount }),
    ...(wanted.input === undefined ? {} : { deviceId: { exact: wanted.input } }),
  };
}

/** Names of DOMException as Media Capture and Streams 10.2 lists them. */
function deviceError(error: unknown): SanderlingError {
  const name = error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return new SanderlingError(WebErrorCode.DEVICE_PERMISSION, "the browser was not allowed to use the device", {
        hint: "allow camera and microphone beside the page's address and try again",
      });
    case "NotReadableError":
    case "AbortError":
      return new SanderlingError(WebErrorCode.DEVICE_BUSY, "another program is using the device");
    case "NotFoundError":
      return new SanderlingError(WebErrorCode.DEVICE_CONSTRAINTS, "there is no such camera or microphone");
    default:
      return new SanderlingError(WebErrorCode.DEVICE_CONSTRAINTS, `the device cannot do that: ${text(error)}`);
  }
}

function screenError(error: unknown): SanderlingError {
  if (error instanceof DOMException && error.name === "NotAllowedError") {
    return new SanderlingError(WebErrorCode.SCREEN_CANCELLED, "the sharing of the screen was not allowed");
  }
  return new SanderlingError(WebErrorCode.SCREEN_FAILED, `the screen cannot be shared: ${text(error)}`);
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
