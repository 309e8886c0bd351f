/**
 * Errors of the web SDK. Servers and native SDKs speak native codes (`1 MMM NNN`); the web vocabulary has numbers of
 * its own (11xxxxx, product-facts 2.5). A native code without a web counterpart keeps its number.
 */

/** Web error codes that this SDK raises by itself. */
export const WebErrorCode = {
  PARAMETER: 1100001,
  REQUEST_TIMEOUT: 1100002,
  SOCKET_CLOSED: 1100003,
  INIT_FAILED: 1101000,
  LOGIN_IN_PROGRESS: 1102012,
  SIGNALLING: 1102013,
  LOGIN_STATE: 1102015,
  TOKEN_INVALID: 1102016,
  TOKEN_EXPIRED: 1102018,
  LOGIN_AUTHENTICATION: 1102020,
  MEDIA_CONNECT_FAILED: 1102023,
  PUBLISH_PARAMETER: 1103001,
  BROWSER_UNSUPPORTED: 1103002,
  PUBLISH_MEDIA_CONNECTION: 1103003,
  SCREEN_FAILED: 1103010,
  PUBLISH_AUTHENTICATION: 1103019,
  PUBLISH_RETRY_TIMEOUT: 1103030,
  SCREEN_CANCELLED: 1103042,
  SCREEN_UNSUPPORTED: 1103043,
  DEVICE_PERMISSION: 1103064,
  DEVICE_BUSY: 1103065,
  DEVICE_CONSTRAINTS: 1103066,
  PLAY_FAILED: 1104001,
  PLAY_RETRY_TIMEOUT: 1104031,
  ALREADY_PLAYING: 1104032,
  L3_NOT_ENABLED: 1104038,
  STREAM_NOT_FOUND: 1104039,
  PLAY_AUTHENTICATION: 1104046,
  RATE_LIMITED: 1109001,
} as const;

/** Native codes that this SDK makes itself, as the Python SDK does (python/sanderling/errors.py). */
export const NativeCode = {
  NOT_LOGGED_IN: 1000002,
  ILLEGAL_PARAMETER: 1000017,
  INTERNAL_ERROR: 1000099,
  ROOM_ID_INCORRECT: 1002002,
  ROOM_EXTRA_INFO_KEY_EMPTY: 1002014,
  ROOM_EXTRA_INFO_KEY_TOO_LONG: 1002015,
  ROOM_EXTRA_INFO_VALUE_TOO_LONG: 1002016,
  MULTI_ROOM_USER_DIFFERS: 1002018,
  SWITCH_ROOM_IN_MULTI_ROOM: 1002019,
  LOGIN_FAILED: 1002030,
  LOGIN_TIMEOUT: 1002031,
  KICKED_BY_SAME_USER: 1002050,
  CONNECTION_INTERRUPTED: 1002051,
  CONNECTION_LOST: 1002052,
  RETRY_TIME_EXCEEDED: 1002053,
  SESSION_ERROR: 1002057,
  ROOM_ID_IN_USE: 1002064,
  TOKEN_MISSING: 1002067,
  ROOM_INTERNAL_ERROR: 1002099,
  PUBLISH_FAILED: 1003001,
  PUBLISH_INTERRUPTED: 1003020,
  PUBLISH_RETRY_TIME_EXCEEDED: 1003021,
  CHANNEL_ALREADY_PUBLISHING: 1003023,
  STREAM_ID_EXISTS: 1003028,
  SEI_EMPTY: 1003043,
  SEI_TOO_LONG: 1003044,
  STREAM_EXTRA_INFO_TOO_LONG: 1003051,
  STREAM_EXTRA_INFO_FAILED: 1003053,
  ENCODER_UNSUPPORTED: 1003080,
  PLAY_FAILED: 1004001,
  STREAM_NOT_FOUND: 1004002,
  STREAM_NOT_PLAYED: 1004011,
  PLAY_INTERRUPTED: 1004020,
  MESSAGE_EMPTY: 1009001,
  MESSAGE_TOO_LONG: 1009002,
  MESSAGE_DATA_TOO_LONG: 1009003,
  MESSAGE_SEND_FAILED: 1009010,
  MESSAGE_USER_ID_EMPTY: 1009011,
  MESSAGE_USER_ID_TOO_LONG: 1009012,
  MESSAGE_PARAMETERS_TOO_LONG: 1009013,
  NOT_BROADCASTING: 1009036,
  NOT_SUBSCRIBED: 1009037,
  REPEATED_SUBSCRIPTION: 1009038,
  SEQUENTIAL_DATA_SEND_FAILED: 1009039,
} as const;

const WEB_FROM_NATIVE: ReadonlyMap<number, number> = new Map([
  [1000002, WebErrorCode.LOGIN_STATE],
  [1000014, WebErrorCode.PARAMETER],
  [1000015, WebErrorCode.PARAMETER],
  [1000016, WebErrorCode.PARAMETER],
  [1000017, WebErrorCode.PARAMETER],
  [1001000, WebErrorCode.INIT_FAILED],
  [1001004, WebErrorCode.INIT_FAILED],
  [1002001, WebErrorCode.LOGIN_IN_PROGRESS],
  [1002002, WebErrorCode.LOGIN_STATE],
  [1002005, WebErrorCode.PARAMETER],
  [1002006, WebErrorCode.PARAMETER],
  [1002007, WebErrorCode.PARAMETER],
  [1002008, WebErrorCode.PARAMETER],
  [1002009, WebErrorCode.PARAMETER],
  [1002010, WebErrorCode.PARAMETER],
  [1002011, WebErrorCode.PARAMETER],
  [1002012, WebErrorCode.PARAMETER],
  [1002013, WebErrorCode.PARAMETER],
  [1002030, WebErrorCode.SIGNALLING],
  [1002031, WebErrorCode.REQUEST_TIMEOUT],
  [1002033, WebErrorCode.LOGIN_AUTHENTICATION],
  [1002051, WebErrorCode.SOCKET_CLOSED],
  [1002052, WebErrorCode.SOCKET_CLOSED],
  [1002056, WebErrorCode.TOKEN_EXPIRED],
  [1002057, WebErrorCode.SIGNALLING],
  [1002067, WebErrorCode.TOKEN_INVALID],
  [1002071, WebErrorCode.RATE_LIMITED],
  [1002072, WebErrorCode.RATE_LIMITED],
  [1002073, WebErrorCode.RATE_LIMITED],
  [1002074, WebErrorCode.TOKEN_INVALID],
  [1002075, WebErrorCode.TOKEN_INVALID],
  [1002076, WebErrorCode.TOKEN_INVALID],
  [1002077, WebErrorCode.TOKEN_INVALID],
  [1002078, WebErrorCode.TOKEN_EXPIRED],
  [1002079, WebErrorCode.TOKEN_INVALID],
  [1002080, WebErrorCode.TOKEN_INVALID],
  [1003001, WebErrorCode.PUBLISH_MEDIA_CONNECTION],
  [1003021, WebErrorCode.PUBLISH_RETRY_TIMEOUT],
  [1003072, WebErrorCode.PUBLISH_AUTHENTICATION],
  [1004001, WebErrorCode.PLAY_FAILED],
  [1004002, WebErrorCode.STREAM_NOT_FOUND],
  [1004003, WebErrorCode.PLAY_AUTHENTICATION],
  [1004072, WebErrorCode.L3_NOT_ENABLED],
  [1009015, WebErrorCode.RATE_LIMITED],
]);

/** The web code of a native one; codes that are web codes already, or have no counterpart, stay as they are. */
export function webCode(native: number): number {
  return WEB_FROM_NATIVE.get(native) ?? native;
}

/** What a failed call rejects with. Switch on `errorCode`, never on the text. */
export class SanderlingError extends Error {
  /** Web code (11xxxxx), or the native one where the web has none. */
  readonly errorCode: number;
  /** The code the server or the signalling gave; equals `errorCode` for errors made in the browser. */
  readonly nativeCode: number;
  /** One sentence that says what to do; may be empty. */
  readonly hint: string;
  /** Milliseconds after which a limited request may be repeated; 0 = not said. */
  readonly retryAfterMs: number;

  constructor(code: number, message: string, { hint = "", retryAfterMs = 0 } = {}) {
    super(message);
    this.name = "SanderlingError";
    this.errorCode = webCode(code);
    this.nativeCode = code;
    this.hint = hint;
    this.retryAfterMs = retryAfterMs;
  }

  /** The product's name for the text that goes with a code. */
  get extendedData(): string {
    return this.hint === "" ? this.message : `${this.message} (${this.hint})`;
  }
}

/** Whatever was thrown, as one of ours; `code` is used where it says none. */
export function asError(thrown: unknown, code: number): SanderlingError {
  if (thrown instanceof SanderlingError) return thrown;
  return new SanderlingError(code, thrown instanceof Error ? thrown.message : String(thrown));
}
