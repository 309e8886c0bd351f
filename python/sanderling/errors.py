"""Error codes and the one exception tree, shared by server, SDK and tools.

    SanderlingError
    ├── RoomError          login, room membership, signalling
    │   └── TokenError     the token is missing, malformed, expired or for somebody else
    ├── PublishError       a stream could not be published or was interrupted for good
    ├── PlayError          a stream could not be played or was interrupted for good
    ├── DeviceError        camera, microphone, file or another source failed
    ├── RateLimited        a documented rate was exceeded; ``retry_after`` says when to try again
    ├── MediaUnavailable   the media extension or WebRTC engine cannot run here
    └── ForkedProcessError an engine was used in a child made by fork

Values are those of the product (product-facts section 2); callers switch on ``code``, never on text.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

__all__ = [
    "DeviceError",
    "ErrorCode",
    "ForkedProcessError",
    "MediaUnavailable",
    "PlayError",
    "PublishError",
    "RateLimited",
    "RoomError",
    "SanderlingError",
    "TokenError",
    "error_for",
]


class ErrorCode(IntEnum):
    """Stable numeric codes, ``1 MMM NNN`` (MMM = module). Source: product-facts section 2."""

    SUCCESS = 0
    ENGINE_NOT_CREATED = 1000001
    NOT_LOGGED_IN = 1000002
    ENGINE_NOT_STARTED = 1000003
    UNSUPPORTED_PLATFORM = 1000006
    EVENT_HANDLER_EXISTS = 1000008
    NOT_INSTALLED = 1000010
    STREAM_ID_TOO_LONG = 1000014
    STREAM_ID_EMPTY = 1000015
    STREAM_ID_INVALID_CHARACTER = 1000016
    ILLEGAL_PARAMETER = 1000017
    CDN_URL_TOO_LONG = 1000018
    CDN_AUTH_PARAM_TOO_LONG = 1000019
    PROJECT_OFFLINE = 1000037
    ACCESS_DENIED = 1000039
    CDN_URL_INVALID = 1000055
    SETTING_AFTER_MEDIA_STARTED = 1000066
    SETTING_AFTER_LOGIN = 1000067
    INTERNAL_ERROR = 1000099
    APP_ID_ZERO = 1001000
    APP_SIGN_INVALID_LENGTH = 1001001
    APP_SIGN_INVALID_CHARACTER = 1001002
    APP_SIGN_EMPTY = 1001003
    APP_ID_INCORRECT = 1001004
    APP_SIGN_INCORRECT = 1001005
    LOG_NOT_WRITABLE = 1001014
    LOG_PATH_TOO_LONG = 1001015
    ROOM_MODE_SET_TOO_LATE = 1001020
    GEO_FENCE_SET_TOO_LATE = 1001021
    EXPERIMENTAL_JSON_INVALID = 1001091
    ROOM_COUNT_EXCEEDED = 1002001
    ROOM_ID_INCORRECT = 1002002
    USER_ID_EMPTY = 1002005
    USER_ID_INVALID_CHARACTER = 1002006
    USER_ID_TOO_LONG = 1002007
    USER_NAME_EMPTY = 1002008
    USER_NAME_INVALID_CHARACTER = 1002009
    USER_NAME_TOO_LONG = 1002010
    ROOM_ID_EMPTY = 1002011
    ROOM_ID_INVALID_CHARACTER = 1002012
    ROOM_ID_TOO_LONG = 1002013
    ROOM_EXTRA_INFO_KEY_EMPTY = 1002014
    ROOM_EXTRA_INFO_KEY_TOO_LONG = 1002015
    ROOM_EXTRA_INFO_VALUE_TOO_LONG = 1002016
    ROOM_EXTRA_INFO_TOO_MANY_KEYS = 1002017
    MULTI_ROOM_USER_DIFFERS = 1002018
    SWITCH_ROOM_IN_MULTI_ROOM = 1002019
    LOGIN_FAILED = 1002030
    LOGIN_TIMEOUT = 1002031
    AUTHENTICATION_FAILED = 1002033
    ROOM_FULL = 1002034
    TOO_MANY_ROOMS_OF_PROJECT = 1002035
    MULTI_ROOM_NOT_ENABLED = 1002036
    TOO_MANY_ROOMS = 1002037
    KICKED_BY_SAME_USER = 1002050
    CONNECTION_INTERRUPTED = 1002051
    CONNECTION_LOST = 1002052
    RETRY_TIME_EXCEEDED = 1002053
    KICKED_BY_SERVER = 1002055
    KICKED_TOKEN_EXPIRED = 1002056
    SESSION_ERROR = 1002057
    NO_MULTI_ROOM_PERMISSION = 1002063
    ROOM_ID_IN_USE = 1002064
    USER_BANNED = 1002066
    TOKEN_MISSING = 1002067
    RATE_LIMITED_APP = 1002071
    RATE_LIMITED_ROOM = 1002072
    RATE_LIMITED_SIGNALLING = 1002073
    TOKEN_INTERNAL_ERROR = 1002074
    TOKEN_PAYLOAD_NOT_JSON = 1002075
    TOKEN_APP_ID_MISMATCH = 1002076
    TOKEN_USER_ID_MISMATCH = 1002077
    TOKEN_EXPIRED = 1002078
    TOKEN_VERSION_WRONG = 1002079
    TOKEN_NONCE_WRONG = 1002080
    MULTI_ROOM_REQUIRED = 1002081
    RENEWED_TOKEN_LACKS_PUBLISH = 1002082
    CUSTOM_DATA_TOO_LONG = 1002083
    LOGGED_IN_ELSEWHERE = 1002086
    ROOM_INTERNAL_ERROR = 1002099
    PUBLISH_FAILED = 1003001
    BITRATE_INVALID = 1003002
    TRAFFIC_MODE_INVALID = 1003005
    H265_ENCODER_UNSUPPORTED = 1003010
    SEGMENTATION_SLOW = 1003011
    SEGMENTATION_UNSUPPORTED = 1003012
    SEGMENTATION_NOT_ALLOWED = 1003013
    SEGMENTATION_PARAMETER = 1003014
    SEGMENTATION_IMAGE = 1003015
    PUBLISH_INTERRUPTED = 1003020
    PUBLISH_RETRY_TIME_EXCEEDED = 1003021
    CHANNEL_ALREADY_PUBLISHING = 1003023
    PUBLISH_FORBIDDEN = 1003025
    STREAM_ID_EXISTS = 1003028
    RTMP_SERVER_DISCONNECTED = 1003029
    PUBLISH_SNAPSHOT_FAILED = 1003030
    CDN_TARGET_UPDATE_FAILED = 1003040
    SEI_EMPTY = 1003043
    SEI_TOO_LONG = 1003044
    AUDIO_SIDE_INFO_EMPTY = 1003045
    AUDIO_SIDE_INFO_TOO_LONG = 1003046
    STREAM_EXTRA_INFO_MISSING = 1003050
    STREAM_EXTRA_INFO_TOO_LONG = 1003051
    STREAM_EXTRA_INFO_FAILED = 1003053
    WATERMARK_URL_EMPTY = 1003055
    WATERMARK_URL_TOO_LONG = 1003056
    WATERMARK_URL_INVALID = 1003057
    WATERMARK_LAYOUT_INVALID = 1003058
    ENCRYPTION_KEY_INVALID = 1003060
    PUBLISH_IN_MULTI_ROOM_WITHOUT_CONFIG = 1003070
    PUBLISH_ROOM_ID_MISSING = 1003071
    PUBLISH_NOT_AUTHORIZED = 1003072
    DUMMY_IMAGE_PATH_ERROR = 1003073
    ENCODER_UNSUPPORTED = 1003080
    ENCODER_FAILED = 1003081
    PUBLISHER_INTERNAL_ERROR = 1003099
    PLAY_FAILED = 1004001
    STREAM_NOT_FOUND = 1004002
    PLAY_NOT_AUTHORIZED = 1004003
    SUPER_RESOLUTION_UNSUPPORTED = 1004004
    SUPER_RESOLUTION_TOO_MANY = 1004005
    SUPER_RESOLUTION_SIZE = 1004006
    SUPER_RESOLUTION_SLOW = 1004007
    SUPER_RESOLUTION_NOT_INITIALIZED = 1004008
    TOO_MANY_PLAYS = 1004010
    STREAM_NOT_PLAYED = 1004011
    PLAY_INTERRUPTED = 1004020
    PLAY_FORBIDDEN = 1004025
    PLAY_SNAPSHOT_FAILED = 1004030
    DECRYPTION_KEY_INVALID = 1004060
    DECRYPTION_FAILED = 1004061
    PLAY_IN_MULTI_ROOM_WITHOUT_CONFIG = 1004070
    PLAY_ROOM_ID_MISSING = 1004071
    L3_NOT_ENABLED = 1004072
    DECODER_UNSUPPORTED = 1004080
    DECODER_FAILED = 1004081
    PLAYER_INTERNAL_ERROR = 1004099
    DEVICE_ERROR = 1006001
    DEVICE_INVALID_ID = 1006002
    DEVICE_NO_AUTHORIZATION = 1006003
    DEVICE_ZERO_FPS = 1006004
    DEVICE_IN_USE = 1006005
    DEVICE_UNPLUGGED = 1006006
    DEVICE_REBOOT_REQUIRED = 1006007
    DEVICE_MEDIA_SERVICES_LOST = 1006008
    DEVICE_LIST_EMPTY = 1006020
    SOUND_LEVEL_INTERVAL_INVALID = 1006031
    SPECTRUM_INTERVAL_INVALID = 1006032
    ZOOM_FACTOR_INVALID = 1006040
    EXPOSURE_COMPENSATION_INVALID = 1006041
    VOICE_DETECTION_TYPE_INVALID = 1006042
    DEVICE_INTERNAL_ERROR = 1006099
    FILE_FORMAT_ERROR = 1008005
    FILE_NOT_FOUND = 1008006
    MESSAGE_EMPTY = 1009001
    MESSAGE_TOO_LONG = 1009002
    MESSAGE_DATA_TOO_LONG = 1009003
    MESSAGE_ROOM_DIFFERS = 1009005
    MESSAGE_SEND_FAILED = 1009010
    MESSAGE_USER_ID_EMPTY = 1009011
    MESSAGE_USER_ID_TOO_LONG = 1009012
    MESSAGE_PARAMETERS_TOO_LONG = 1009013
    BROADCAST_TOO_OFTEN = 1009015
    SEQUENTIAL_DATA_MANAGER_FAILED = 1009031
    NO_SEQUENTIAL_DATA_MANAGER = 1009032
    NO_BROADCAST_CHANNEL = 1009033
    SEQUENTIAL_DATA_STREAM_MISSING = 1009034
    REPEATED_BROADCAST = 1009035
    NOT_BROADCASTING = 1009036
    NOT_SUBSCRIBED = 1009037
    REPEATED_SUBSCRIPTION = 1009038
    SEQUENTIAL_DATA_SEND_FAILED = 1009039


class SanderlingError(Exception):
    """Base of every error this package raises.

    Parameters: ``code`` the stable number; ``message`` one sentence saying what is wrong; ``hint`` one
    sentence saying what to do; ``context`` the values involved (never a secret).
    """

    def __init__(
        self,
        code: ErrorCode | int,
        message: str = "",
        *,
        hint: str = "",
        context: Mapping[str, str] | None = None,
    ) -> None:
        try:
            self.code: ErrorCode = ErrorCode(code)
        except ValueError:
            self.code = ErrorCode.INTERNAL_ERROR
            context = {**(context or {}), "unknown_code": str(int(code))}
        self.message = message or self.code.name.replace("_", " ").lower()
        self.hint = hint
        self.context: Mapping[str, str] = MappingProxyType(dict(context or {}))
        super().__init__(self.code, self.message)

    @property
    def docs(self) -> str:
        """Path of the page in ``docs/`` that explains this code."""
        return f"docs/reference/errors.md#{int(self.code)}"

    def __str__(self) -> str:
        text = f"{int(self.code)} {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class RoomError(SanderlingError):
    """Login, membership, signalling or a message failed (families 1001, 1002 and 1009)."""


class TokenError(RoomError):
    """The token is missing, malformed, expired or belongs to somebody else (1002067, 1002074–1002080)."""


class PublishError(SanderlingError):
    """Publishing failed for good (family 1003)."""


class PlayError(SanderlingError):
    """Playing failed for good (family 1004)."""


class DeviceError(SanderlingError):
    """A camera, microphone, file or other source failed (families 1006 and 1008)."""


class RateLimited(SanderlingError):
    """A documented rate was exceeded; ``retry_after`` is in seconds."""

    def __init__(
        self, code: ErrorCode | int, message: str = "", *, retry_after: float = 1.0, hint: str = ""
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.retry_after = retry_after


class MediaUnavailable(SanderlingError):
    """The media extension or the WebRTC engine cannot run on this machine."""


class ForkedProcessError(SanderlingError):
    """An engine made before ``fork`` was used in the child."""


_TOKEN_CODES = frozenset({1002033, 1002056, 1002067, 1002082, *range(1002074, 1002081)})
_RATE_CODES = frozenset({1002071, 1002072, 1002073, 1009015})


def error_for(
    code: ErrorCode | int, message: str = "", *, hint: str = "", context: Mapping[str, str] | None = None
) -> SanderlingError:
    """Return the exception of the family ``code`` belongs to; used where an error arrives over the wire."""
    number = int(code)
    if number in _RATE_CODES:
        return RateLimited(code, message, hint=hint)
    if number in _TOKEN_CODES:
        return TokenError(code, message, hint=hint, context=context)
    family: type[SanderlingError] = {
        1001: RoomError,
        1002: RoomError,
        1003: PublishError,
        1004: PlayError,
        1006: DeviceError,
        1008: DeviceError,
        1009: RoomError,
    }.get(number // 1000, SanderlingError)
    return family(code, message, hint=hint, context=context)
