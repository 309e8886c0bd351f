"""What a program tells the SDK: who it is, where the server is, how to publish and how to play."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from sanderling.enums import ResourceMode, Scenario
from sanderling.errors import ErrorCode, PublishError, SanderlingError
from sanderling.ids import parse_app_id
from sanderling.sdk.tls import TLS

__all__ = [
    "DegradationPreference",
    "EngineProfile",
    "PlayerConfig",
    "PublisherConfig",
    "RoomConfig",
    "TokenProvider",
    "User",
    "VideoCodec",
]

TokenProvider = Callable[[], Awaitable[str]]
"""Asked for a token at every login; runs on the engine's loop."""

MAX_EXTRA_INFO = 1023
"""Bytes of a stream's extra info (product-facts 1.3: below 1024)."""


class VideoCodec(StrEnum):
    """Video codec, named as in SDP."""

    VP8 = "VP8"
    VP9 = "VP9"
    AV1 = "AV1"
    H264 = "H264"


class DegradationPreference(StrEnum):
    """What the encoder gives up first when the link or the processor is too slow."""

    MAINTAIN_FRAMERATE = "maintain-framerate"
    MAINTAIN_RESOLUTION = "maintain-resolution"
    BALANCED = "balanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineProfile:
    """Which project and which server an engine belongs to.

    ``server``: ``ws://``, ``wss://``, ``http://`` or ``https://`` with host, port and perhaps a path prefix.
    ``app_sign``: 64 hexadecimal digits; leave it empty when logging in with tokens.
    ``video_codecs``: codecs this engine takes from others, best first; empty = all that the machine decodes.
    ``tls``: how to recognise a server whose certificate the system does not trust.
    """

    app_id: int
    server: str
    scenario: Scenario = Scenario.DEFAULT
    app_sign: str = field(default="", repr=False)
    video_codecs: tuple[VideoCodec, ...] = ()
    tls: TLS | None = None

    def __post_init__(self) -> None:
        parse_app_id(self.app_id)


@dataclass(frozen=True, slots=True)
class User:
    """A member of a room. A user without an ID cannot log in (1002005)."""

    user_id: str = ""
    user_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """How to log in.

    ``token``: the token, or an async function that returns one. ``is_user_status_notify``: be announced and hear of
    others. ``max_member_count``: 0 = unlimited; decided by whoever makes the room.
    """

    token: str | TokenProvider = field(default="", repr=False)
    is_user_status_notify: bool = False
    max_member_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherConfig:
    """How to encode and describe a published stream.

    ``video_bitrate_kbps``: the ceiling; the link decides below it. ``fps``: ceiling of the frame rate.
    ``audio_bitrate_kbps``: of Opus. ``extra_info``: below 1024 bytes, seen by everybody in the room.
    """

    video_codec: VideoCodec = VideoCodec.VP8
    video_bitrate_kbps: int = 1500
    fps: float = 30.0
    audio_bitrate_kbps: int = 64
    stereo: bool = True
    degradation: DegradationPreference = DegradationPreference.MAINTAIN_FRAMERATE
    extra_info: str = ""

    def __post_init__(self) -> None:
        if not 10 <= self.video_bitrate_kbps <= 100_000:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"video_bitrate_kbps is {self.video_bitrate_kbps}, 10 to 100000 allowed",
            )
        if not 0 < self.fps <= 120:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"fps is {self.fps}, above 0 to 120 allowed")
        if not 6 <= self.audio_bitrate_kbps <= 510:  # RFC 6716 section 2: Opus runs from 6 to 510 kbit/s
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"audio_bitrate_kbps is {self.audio_bitrate_kbps}, 6 to 510 allowed",
            )
        size = len(self.extra_info.encode())
        if size > MAX_EXTRA_INFO:
            raise PublishError(
                ErrorCode.STREAM_EXTRA_INFO_TOO_LONG, f"extra_info has {size} bytes, {MAX_EXTRA_INFO} allowed"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerConfig:
    """How to play a stream: by which path, and which of its tracks."""

    resource_mode: ResourceMode = ResourceMode.DEFAULT
    audio: bool = True
    video: bool = True

    def __post_init__(self) -> None:
        if not self.audio and not self.video:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, "a play without audio and without video has nothing"
            )
