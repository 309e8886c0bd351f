"""The product's vocabulary as enums, with its values (product-facts 1.2–1.5, 1.14; api-reference A)."""

from __future__ import annotations

from enum import IntEnum, IntFlag

__all__ = [
    "AudioDeviceType",
    "AudioVADStableStateMonitorType",
    "AudioVADType",
    "BackgroundBlurLevel",
    "BackgroundProcessType",
    "Channel",
    "DeviceExceptionType",
    "DeviceType",
    "DummyCaptureImageMode",
    "GeoFenceAreaCode",
    "GeoFenceType",
    "ObjectSegmentationState",
    "ObjectSegmentationType",
    "PlayerMediaEvent",
    "PlayerState",
    "PublisherState",
    "PublisherTakeSnapshotPosition",
    "RemoteDeviceState",
    "ResourceMode",
    "ResourceSwitchMode",
    "ResourceType",
    "RoomMode",
    "RoomStateReason",
    "Scenario",
    "StreamDeleteReason",
    "StreamEvent",
    "StreamQualityLevel",
    "StreamRelayCDNState",
    "StreamRelayCDNUpdateReason",
    "StreamResourceType",
    "SuperResolutionState",
    "TrafficControlMinVideoBitrateMode",
    "TrafficControlProperty",
    "TransparentMode",
    "UpdateType",
    "VideoConfigPreset",
    "VideoStreamType",
]


class RoomStateReason(IntEnum):
    """Why the state of a room connection changed. LOGOUT is also the state before any login."""

    LOGINING = 0
    LOGINED = 1
    LOGIN_FAILED = 2
    RECONNECTING = 3
    RECONNECTED = 4
    RECONNECT_FAILED = 5
    KICK_OUT = 6
    LOGOUT = 7
    LOGOUT_FAILED = 8


class PublisherState(IntEnum):
    """State of one publish channel."""

    NO_PUBLISH = 0
    PUBLISH_REQUESTING = 1
    PUBLISHING = 2


class PlayerState(IntEnum):
    """State of one played stream."""

    NO_PLAY = 0
    PLAY_REQUESTING = 1
    PLAYING = 2


class UpdateType(IntEnum):
    """Whether a notice adds or removes what it lists."""

    ADD = 0
    DELETE = 1


class StreamDeleteReason(IntEnum):
    """Why a stream left the room (``stream_delete_reason`` of the stream notice)."""

    PUBLISHER_STOPPED = 1
    HEARTBEAT_TIMEOUT = 2
    REPEATED_LOGIN = 3
    USER_KICKED = 4
    CONNECTION_LOST = 5
    REMOVED_BY_SERVER = 6


class Channel(IntEnum):
    """Publish channel: each carries one stream."""

    MAIN = 0
    AUX = 1
    THIRD = 2
    FOURTH = 3


class ResourceMode(IntEnum):
    """Path by which a stream reaches a viewer (architecture section 5); native numbering."""

    DEFAULT = 0
    ONLY_CDN = 1
    ONLY_L3 = 2
    ONLY_RTC = 3
    CUSTOM = 5


class VideoStreamType(IntEnum):
    """Which of a stream's video layers a player gets; a stream with one layer is the same for all three."""

    DEFAULT = 0
    """What the network carries."""
    SMALL = 1
    BIG = 2


class Scenario(IntEnum):
    """Room scenario; sets default resolution, frame rate and audio mode."""

    GENERAL = 0
    COMMUNICATION = 1
    LIVE = 2
    DEFAULT = 3
    STANDARD_VIDEO_CALL = 4
    HIGH_QUALITY_VIDEO_CALL = 5
    STANDARD_CHATROOM = 6
    HIGH_QUALITY_CHATROOM = 7
    BROADCAST = 8
    KARAOKE = 9
    STANDARD_VOICE_CALL = 10


class ResourceType(IntEnum):
    """A path by name, as ``switch_resource`` and the choices of resource mode CUSTOM take it."""

    CDN = 0
    RTC = 1
    L3 = 2


class ResourceSwitchMode(IntEnum):
    """What a play in resource mode DEFAULT does when this user begins to publish."""

    DEFAULT = 0
    SWITCH_TO_RTC = 1
    KEEP_ORIGINAL = 2


class StreamResourceType(IntEnum):
    """Path of a play in resource mode DEFAULT once this user has published; DEFAULT = the one before."""

    DEFAULT = 0
    CDN = 1
    L3 = 2


class RoomMode(IntEnum):
    """Whether an engine may be in several rooms at once."""

    SINGLE_ROOM = 0
    MULTI_ROOM = 1


class AudioVADType(IntEnum):
    """What sound is: noise, silence included, or speech."""

    NOISE = 0
    SPEECH = 1


class AudioVADStableStateMonitorType(IntEnum):
    """Which sound is watched for a voice: as it was captured, or after the program has worked on it."""

    CAPTURED = 0
    CUSTOM_PROCESSED = 1


class GeoFenceType(IntEnum):
    """Whether a geo-fence names the areas whose servers are used, or those whose are not."""

    NONE = 0
    INCLUDE = 1
    EXCLUDE = 2


class GeoFenceAreaCode(IntEnum):
    """Mainland China, North America, Europe, Asia, India."""

    CN = 2
    NA = 3
    EU = 4
    AS = 5
    IN = 6


class RemoteDeviceState(IntEnum):
    """What camera or microphone behind a stream do."""

    OPEN = 0
    GENERIC_ERROR = 1
    INVALID_ID = 2
    NO_AUTHORIZATION = 3
    ZERO_FPS = 4
    IN_USE_BY_OTHER = 5
    UNPLUGGED = 6
    REBOOT_REQUIRED = 7
    SYSTEM_MEDIA_SERVICES_LOST = 8
    DISABLE = 9
    MUTE = 10
    INTERRUPTION = 11
    IN_BACKGROUND = 12
    MULTI_FOREGROUND_APP = 13
    BY_SYSTEM_PRESSURE = 14
    NOT_SUPPORT = 15


class PlayerMediaEvent(IntEnum):
    """Sound or picture of a play broke off for more than half a second, or goes on."""

    AUDIO_BREAK_OCCUR = 0
    AUDIO_BREAK_RESUME = 1
    VIDEO_BREAK_OCCUR = 2
    VIDEO_BREAK_RESUME = 3


class StreamEvent(IntEnum):
    """One attempt to publish or play, step by step."""

    PUBLISH_START = 100
    PUBLISH_SUCCESS = 101
    PUBLISH_FAIL = 102
    RETRY_PUBLISH_START = 103
    RETRY_PUBLISH_SUCCESS = 104
    RETRY_PUBLISH_FAIL = 105
    PUBLISH_END = 106
    PLAY_START = 200
    PLAY_SUCCESS = 201
    PLAY_FAIL = 202
    RETRY_PLAY_START = 203
    RETRY_PLAY_SUCCESS = 204
    RETRY_PLAY_FAIL = 205
    PLAY_END = 206


class StreamQualityLevel(IntEnum):
    """How good a network or a stream is. The product does not publish its thresholds; ours are in ``sdk.quality``."""

    EXCELLENT = 0
    GOOD = 1
    MEDIUM = 2
    BAD = 3
    DIE = 4
    UNKNOWN = 5


class TransparentMode(IntEnum):
    """Who gets a transparent message: clients, the server's callback, or both."""

    ONLY_CLIENT = 0
    ONLY_SERVER = 1
    CLIENT_AND_SERVER = 2


class AudioDeviceType(IntEnum):
    """Which way the sound goes. LOOPBACK is what an output plays, taken in."""

    INPUT = 0
    OUTPUT = 1
    LOOPBACK = 2


class DeviceType(IntEnum):
    """What kind of local device an event is about."""

    UNKNOWN = 0
    CAMERA = 1
    MICROPHONE = 2
    SPEAKER = 3
    AUDIO_DEVICE = 4
    AUDIO_SESSION = 5


class DeviceExceptionType(IntEnum):
    """What is wrong with a local device; 1006000 more is the error code."""

    UNKNOWN = 0
    GENERIC = 1
    INVALID_ID = 2
    PERMISSION_NOT_GRANTED = 3
    ZERO_CAPTURE_FPS = 4
    DEVICE_OCCUPIED = 5
    DEVICE_UNPLUGGED = 6
    REBOOT_REQUIRED = 7
    MEDIA_SERVICES_WERE_LOST = 8


class VideoConfigPreset(IntEnum):
    """Usual sizes and bitrates of 15 pictures a second (product-facts 1.5)."""

    P180 = 0
    P270 = 1
    P360 = 2
    P540 = 3
    P720 = 4
    P1080 = 5


class TrafficControlProperty(IntFlag):
    """What may be lowered when the network carries too little; the bitrate of the picture always is."""

    BASIC = 0
    ADAPTIVE_FPS = 1
    ADAPTIVE_RESOLUTION = 2
    ADAPTIVE_AUDIO_BITRATE = 4


class TrafficControlMinVideoBitrateMode(IntEnum):
    """What is sent while the network carries less than the least bitrate: no picture, or at most two a second."""

    NO_VIDEO = 0
    ULTRA_LOW_FPS = 1


class PublisherTakeSnapshotPosition(IntEnum):
    """Where on its way to the encoder a picture is taken."""

    AFTER_PROCESS = 0
    ON_CAPTURE = 1
    ON_PREVIEW = 2


class DummyCaptureImageMode(IntEnum):
    """When the picture stands in: while the camera is switched off, or also while the source delivers nothing."""

    MANUAL = 0
    AUTO = 1


class ObjectSegmentationType(IntEnum):
    """How the subject is told from its background."""

    ANY_BACKGROUND = 0
    GREEN_SCREEN_BACKGROUND = 1


class ObjectSegmentationState(IntEnum):
    """Whether object segmentation works."""

    OFF = 0
    ON = 1


class BackgroundProcessType(IntEnum):
    """What replaces the background."""

    TRANSPARENT = 0
    COLOR = 1
    BLUR = 2
    IMAGE = 3
    VIDEO = 4


class BackgroundBlurLevel(IntEnum):
    """How much the background is blurred."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


class SuperResolutionState(IntEnum):
    """Whether the pictures of a play are enlarged."""

    OFF = 0
    ON = 1


class StreamRelayCDNState(IntEnum):
    """How a stream's relay to a CDN stands."""

    NO_RELAY = 0
    RELAY_REQUESTING = 1
    RELAYING = 2


class StreamRelayCDNUpdateReason(IntEnum):
    """Why it came to stand so."""

    NONE = 0
    SERVER_ERROR = 1
    HANDSHAKE_FAILED = 2
    ACCESS_POINT_ERROR = 3
    CREATE_STREAM_FAILED = 4
    BAD_NAME = 5
    CDN_SERVER_DISCONNECTED = 6
    DISCONNECTED = 7
    MIX_STREAM_ALL_INPUT_STREAM_CLOSED = 8
    MIX_STREAM_ALL_INPUT_STREAM_NO_DATA = 9
    MIX_STREAM_SERVER_INTERNAL_ERROR = 10
