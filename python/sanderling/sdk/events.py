"""Everything an engine reports, as values. Handlers get them as calls, ``Room.events()`` as objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from sanderling.enums import PlayerState, PublisherState, RoomStateReason, StreamDeleteReason, UpdateType
from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.config import User

if TYPE_CHECKING:
    from sanderling.sdk.frames import VideoFrame
    from sanderling.sdk.quality import PlayQuality, PublishQuality

__all__ = [
    "DebugError",
    "Event",
    "EventsLost",
    "PlayerFirstFrame",
    "PlayerQualityUpdate",
    "PlayerStateUpdate",
    "PublisherQualityUpdate",
    "PublisherStateUpdate",
    "RemoteVideoFrame",
    "RoomStateChanged",
    "RoomStreamUpdate",
    "RoomUserUpdate",
    "Stream",
]

_NOTHING: Mapping[str, object] = MappingProxyType({})


class EventsLost(SanderlingError):
    """A reader of events was too slow and its queue ran over; ``context["lost"]`` says how many are missing."""

    def __init__(self, lost: int) -> None:
        super().__init__(
            ErrorCode.INTERNAL_ERROR,
            f"{lost} events were lost",
            hint="read events faster, or pass a larger limit to events()",
            context={"lost": str(lost)},
        )


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream in a room, published by ``user``."""

    stream_id: str
    user: User
    extra_info: str = ""
    delete_reason: StreamDeleteReason | None = None
    """Why it went, in a DELETE."""


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class RoomStateChanged(Event):
    """The connection to a room changed."""

    room_id: str
    reason: RoomStateReason
    error_code: int = 0
    extended_data: Mapping[str, object] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class RoomUserUpdate(Event):
    """Users came or went."""

    room_id: str
    update_type: UpdateType
    users: tuple[User, ...]


@dataclass(frozen=True, slots=True)
class RoomStreamUpdate(Event):
    """Streams of others came or went. A DELETE has ``stream_delete_reason`` in ``extended_data``."""

    room_id: str
    update_type: UpdateType
    streams: tuple[Stream, ...]
    extended_data: Mapping[str, object] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class PublisherStateUpdate(Event):
    """A published stream changed its state."""

    stream_id: str
    state: PublisherState
    error_code: int = 0
    extended_data: Mapping[str, object] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class PlayerStateUpdate(Event):
    """A played stream changed its state."""

    stream_id: str
    state: PlayerState
    error_code: int = 0
    extended_data: Mapping[str, object] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class PlayerFirstFrame(Event):
    """The first picture of a played stream is decoded (``rendered`` False) or was shown (True)."""

    stream_id: str
    rendered: bool = False


@dataclass(frozen=True, slots=True)
class RemoteVideoFrame(Event):
    """A decoded picture for the custom renderer."""

    stream_id: str
    frame: VideoFrame


@dataclass(frozen=True, slots=True)
class PublisherQualityUpdate(Event):
    """How a published stream does; every 3 seconds."""

    stream_id: str
    quality: PublishQuality


@dataclass(frozen=True, slots=True)
class PlayerQualityUpdate(Event):
    """How a played stream does; every 3 seconds."""

    stream_id: str
    quality: PlayQuality


@dataclass(frozen=True, slots=True)
class DebugError(Event):
    """A call failed, or a handler raised."""

    error_code: int
    function: str
    info: str
