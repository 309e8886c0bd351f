"""What a program tells the SDK: who it is, where the server is, how to publish and how to play."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from sanderling.enums import (
    ResourceMode,
    ResourceSwitchMode,
    ResourceType,
    RoomMode,
    Scenario,
    StreamResourceType,
    VideoStreamType,
)
from sanderling.errors import ErrorCode, PublishError, RoomError, SanderlingError
from sanderling.ids import parse_app_id
from sanderling.sdk.geo_fence import GeoFence
from sanderling.sdk.tls import TLS

__all__ = [
    "CustomResource",
    "DegradationPreference",
    "EngineProfile",
    "PlayerConfig",
    "PublisherConfig",
    "RoomConfig",
    "TokenProvider",
    "User",
    "VideoCodec",
    "check_custom_data",
    "check_extra_info",
    "check_video_bitrate",
    "token_of",
]

log = logging.getLogger("sanderling.sdk")

TokenProvider = Callable[[], Awaitable[str]]
"""Asked for a token at every login and before the present one ends; runs on the engine's loop."""

RETRY_TIME = 20 * 60.0
"""Seconds for which a connection, a publish or a play is tried again (product-facts 1.4 and 5.5)."""

MAX_EXTRA_INFO = 1023
"""Bytes of a stream's extra info (product-facts 1.3: below 1024)."""

MAX_CUSTOM_DATA = 128
"""Bytes of a login's custom data (product-facts 2.2)."""


def check_extra_info(text: str) -> None:
    """1003051 for a stream's extra info of 1024 bytes or more, 1003050 for what is no text."""
    if not isinstance(text, str):
        raise PublishError(ErrorCode.STREAM_EXTRA_INFO_MISSING, "the extra info of a stream is a text")
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_EXTRA_INFO:
        raise PublishError(
            ErrorCode.STREAM_EXTRA_INFO_TOO_LONG, f"extra_info has {size} bytes, {MAX_EXTRA_INFO} allowed"
        )


def check_custom_data(text: str) -> None:
    """1002083 for custom data of a login above 128 bytes."""
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_CUSTOM_DATA:
        raise RoomError(
            ErrorCode.CUSTOM_DATA_TOO_LONG, f"custom_data has {size} bytes, {MAX_CUSTOM_DATA} allowed"
        )


def check_video_bitrate(kbps: int, name: str) -> None:
    """1003002 for a bitrate of pictures outside 10 to 100000 kbit/s; ``name`` is the parameter's."""
    if not 10 <= kbps <= 100_000:
        raise PublishError(ErrorCode.BITRATE_INVALID, f"{name} is {kbps}, 10 to 100000 kbit/s allowed")


class VideoCodec(StrEnum):
    """Video codec, named as in SDP."""

    VP8 = "VP8"
    VP9 = "VP9"
    AV1 = "AV1"
    H264 = "H264"
    H265 = "H265"


class DegradationPreference(StrEnum):
    """What the encoder gives up first when the link or the processor is too slow."""

    MAINTAIN_FRAMERATE = "maintain-framerate"
    MAINTAIN_RESOLUTION = "maintain-resolution"
    BALANCED = "balanced"
    MAINTAIN_FRAMERATE_AND_RESOLUTION = "maintain-framerate-and-resolution"
    """Nothing but the quality of each picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineProfile:
    """Which project and which server an engine belongs to.

    ``server``: ``ws://``, ``wss://``, ``http://`` or ``https://`` with host, port and perhaps a path prefix.
    ``app_sign``: 64 hexadecimal digits; leave it empty when logging in with tokens.
    ``video_codecs``: codecs this engine takes from others, best first; empty = all that the machine decodes.
    ``tls``: how to recognise a server whose certificate the system does not trust.
    ``room_retry_time``, ``av_retry_time``: seconds for which a lost room, publish or play is tried again.
    ``room_mode``: MULTI_ROOM lets the engine be in several rooms at once.
    ``geo_fence``: where servers may stand that it uses.
    """

    app_id: int
    server: str
    scenario: Scenario = Scenario.DEFAULT
    app_sign: str = field(default="", repr=False)
    video_codecs: tuple[VideoCodec, ...] = ()
    tls: TLS | None = None
    room_retry_time: float = RETRY_TIME
    av_retry_time: float = RETRY_TIME
    room_mode: RoomMode = RoomMode.SINGLE_ROOM
    geo_fence: GeoFence | None = None

    def __post_init__(self) -> None:
        parse_app_id(self.app_id)
        for name in ("room_retry_time", "av_retry_time"):
            seconds: float = getattr(self, name)
            if not 0 <= seconds < float("inf"):
                raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"{name} is {seconds}, 0 or more allowed")


@dataclass(frozen=True, slots=True)
class User:
    """A member of a room. A user without an ID cannot log in (1002005)."""

    user_id: str = ""
    user_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """How to log in.

    ``token``: the token, or an async function that returns one. ``is_user_status_notify``: be announced and hear of
    others. ``max_member_count``: 0 = unlimited; decided by whoever makes the room. ``custom_data``: for the
    operator's server, at most 128 bytes (else the login fails with 1002083); the room does not see it.
    """

    token: str | TokenProvider = field(default="", repr=False)
    is_user_status_notify: bool = False
    max_member_count: int = 0
    custom_data: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherConfig:
    """How to encode and describe a published stream.

    ``video_bitrate_kbps``: the ceiling; the link decides below it. ``fps``: ceiling of the frame rate.
    ``audio_bitrate_kbps``: of Opus. ``extra_info``: below 1024 bytes, seen by everybody in the room.
    ``side_info``: be ready for ``Publisher.send_sei``; without it the first one makes the encoder begin anew.
    ``fixed_bitrate``: send ``video_bitrate_kbps`` whatever the link carries.

    Raises 1003002 for a bitrate of pictures or sound that cannot be.
    """

    video_codec: VideoCodec = VideoCodec.VP8
    video_bitrate_kbps: int = 1500
    fps: float = 30.0
    audio_bitrate_kbps: int = 64
    stereo: bool = True
    degradation: DegradationPreference = DegradationPreference.MAINTAIN_FRAMERATE
    extra_info: str = ""
    side_info: bool = False
    fixed_bitrate: bool = False

    def __post_init__(self) -> None:
        check_video_bitrate(self.video_bitrate_kbps, "video_bitrate_kbps")
        if not 0 < self.fps <= 120:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"fps is {self.fps}, above 0 to 120 allowed")
        if not 6 <= self.audio_bitrate_kbps <= 510:  # RFC 6716 section 2: Opus runs from 6 to 510 kbit/s
            raise PublishError(
                ErrorCode.BITRATE_INVALID,
                f"audio_bitrate_kbps is {self.audio_bitrate_kbps}, 6 to 510 allowed",
            )
        check_extra_info(self.extra_info)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomResource:
    """Resource mode CUSTOM: the path by whether this user has not yet, is, or is no longer publishing."""

    before_publish: ResourceType = ResourceType.RTC
    publishing: ResourceType = ResourceType.RTC
    after_publish: ResourceType = ResourceType.RTC


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerConfig:
    """How to play a stream: by which path, and which of its tracks.

    ``custom``: for resource mode CUSTOM. ``switch_mode`` and ``when_stop_publish``: for mode DEFAULT, what happens when
    this user begins and ends to publish. ``video_type``: the layer of a stream published in several, until
    ``set_play_stream_video_type`` chooses another. ``side_info``: take out of pictures and sound the data that
    their publisher sent with them; each then passes through this process once more.
    """

    resource_mode: ResourceMode = ResourceMode.DEFAULT
    audio: bool = True
    video: bool = True
    custom: CustomResource = field(default_factory=CustomResource)
    switch_mode: ResourceSwitchMode = ResourceSwitchMode.DEFAULT
    when_stop_publish: StreamResourceType = StreamResourceType.DEFAULT
    video_type: VideoStreamType = VideoStreamType.DEFAULT
    side_info: bool = False

    def __post_init__(self) -> None:
        if not self.audio and not self.video:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, "a play without audio and without video has nothing"
            )


async def token_of(config: RoomConfig) -> str:
    """The token of ``config``, made now when a function makes it; 1002030 when the function fails."""
    if isinstance(config.token, str):
        return config.token
    try:
        return await config.token()
    except SanderlingError:
        raise
    except Exception as error:
        log.exception("the function that makes tokens failed")
        raise RoomError(
            ErrorCode.LOGIN_FAILED, f"the function that makes tokens failed: {error!r}"
        ) from error
