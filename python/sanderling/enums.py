"""The product's vocabulary as enums, with its values (product-facts 1.2–1.5, 1.14; api-reference A)."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "Channel",
    "PlayerState",
    "PublisherState",
    "ResourceMode",
    "RoomStateReason",
    "Scenario",
    "StreamDeleteReason",
    "UpdateType",
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
