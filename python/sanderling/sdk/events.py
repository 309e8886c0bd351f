"""Everything an engine reports, as values. Handlers get them as calls, ``Room.events()`` as objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from sanderling.enums import (
    AudioDeviceType,
    Channel,
    DeviceExceptionType,
    DeviceType,
    PlayerMediaEvent,
    PlayerState,
    PublisherState,
    RemoteDeviceState,
    ResourceMode,
    RoomStateReason,
    StreamDeleteReason,
    StreamEvent,
    StreamQualityLevel,
    StreamRelayCDNState,
    StreamRelayCDNUpdateReason,
    UpdateType,
)
from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.config import User

if TYPE_CHECKING:
    from sanderling.sdk.frames import VideoFrame
    from sanderling.sdk.quality import PlayQuality, PublishQuality

__all__ = [
    "AudioDeviceStateChanged",
    "BarrageMessage",
    "BarrageMessageReceived",
    "BroadcastMessage",
    "BroadcastMessageReceived",
    "CustomCommandReceived",
    "DebugError",
    "DeviceInfo",
    "Event",
    "EventsLost",
    "LocalDeviceException",
    "NetworkQualityUpdate",
    "PlayerAudioSideInfo",
    "PlayerFirstAudio",
    "PlayerFirstFrame",
    "PlayerMediaBreak",
    "PlayerQualityUpdate",
    "PlayerResourceUpdate",
    "PlayerSei",
    "PlayerStateUpdate",
    "PlayerStreamEvent",
    "PlayerVideoSizeChanged",
    "PublisherFirstFrame",
    "PublisherQualityUpdate",
    "PublisherRelayCDNStateUpdate",
    "PublisherStateUpdate",
    "PublisherStreamEvent",
    "PublisherVideoSizeChanged",
    "RemoteCameraStateUpdate",
    "RemoteMicStateUpdate",
    "RemoteVideoFrame",
    "RoomExtraInfo",
    "RoomExtraInfoUpdate",
    "RoomOnlineUserCountUpdate",
    "RoomStateChanged",
    "RoomStreamExtraInfoUpdate",
    "RoomStreamUpdate",
    "RoomTokenWillExpire",
    "RoomUserUpdate",
    "SequentialDataReceived",
    "Stream",
    "StreamRelayCDNInfo",
    "TransparentMessageReceived",
    "VideoDeviceStateChanged",
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
    camera: RemoteDeviceState = RemoteDeviceState.OPEN
    microphone: RemoteDeviceState = RemoteDeviceState.OPEN
    custom_reason: str = ""
    """What the server's operator gave as the reason, in a DELETE."""


@dataclass(frozen=True, slots=True)
class RoomExtraInfo:
    """The room's key and value, and who wrote it when (Unix milliseconds)."""

    key: str
    value: str
    user: User
    updated_ms: int


@dataclass(frozen=True, slots=True)
class BroadcastMessage:
    """A broadcast of another user. ``sent_ms``: Unix milliseconds, the server's clock."""

    text: str
    message_id: int
    sent_ms: int
    user: User


@dataclass(frozen=True, slots=True)
class BarrageMessage:
    """A barrage message of another user."""

    text: str
    message_id: str
    sent_ms: int
    user: User


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
class RoomOnlineUserCountUpdate(Event):
    """How many users are in the room; every 30 seconds when it changed."""

    room_id: str
    count: int


@dataclass(frozen=True, slots=True)
class RoomStreamExtraInfoUpdate(Event):
    """Extra infos of others' streams changed."""

    room_id: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class RoomExtraInfoUpdate(Event):
    """The room's extra info: at the login, and when another user wrote it."""

    room_id: str
    infos: tuple[RoomExtraInfo, ...]


@dataclass(frozen=True, slots=True)
class RoomTokenWillExpire(Event):
    """The token ends soon; ``Room.renew_token`` replaces it. Not sent when the token comes from a function."""

    room_id: str
    remaining_s: int


@dataclass(frozen=True, slots=True)
class BroadcastMessageReceived(Event):
    """Broadcasts of others."""

    room_id: str
    messages: tuple[BroadcastMessage, ...]


@dataclass(frozen=True, slots=True)
class BarrageMessageReceived(Event):
    """Barrage messages of others."""

    room_id: str
    messages: tuple[BarrageMessage, ...]


@dataclass(frozen=True, slots=True)
class CustomCommandReceived(Event):
    """A custom command of another user."""

    room_id: str
    user: User
    command: str
    message_id: int = 0
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class TransparentMessageReceived(Event):
    """A transparent message of another user."""

    room_id: str
    user: User
    content: bytes
    message_id: int = 0
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class SequentialDataReceived(Event):
    """Data that the publisher of a subscribed stream sent."""

    room_id: str
    stream_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RemoteCameraStateUpdate(Event):
    """The camera behind another's stream changed."""

    stream_id: str
    state: RemoteDeviceState


@dataclass(frozen=True, slots=True)
class RemoteMicStateUpdate(Event):
    """The microphone behind another's stream changed."""

    stream_id: str
    state: RemoteDeviceState


@dataclass(frozen=True, slots=True)
class NetworkQualityUpdate(Event):
    """How good the network of a user is, every 2 seconds; ``user_id`` "" is this engine's own."""

    user_id: str
    up: StreamQualityLevel
    down: StreamQualityLevel


@dataclass(frozen=True, slots=True)
class PublisherFirstFrame(Event):
    """The first picture or sound (``kind`` "video" or "audio") was captured, or was sent."""

    channel: Channel
    kind: str
    sent: bool


@dataclass(frozen=True, slots=True)
class PublisherVideoSizeChanged(Event):
    """The captured pictures have another size."""

    width: int
    height: int
    channel: Channel


@dataclass(frozen=True, slots=True)
class PublisherStreamEvent(Event):
    """A step of an attempt to publish."""

    event: StreamEvent
    stream_id: str
    extra_info: str = ""


@dataclass(frozen=True, slots=True)
class PlayerStreamEvent(Event):
    """A step of an attempt to play."""

    event: StreamEvent
    stream_id: str
    extra_info: str = ""


@dataclass(frozen=True, slots=True)
class PlayerMediaBreak(Event):
    """Sound or picture of a play broke off or goes on."""

    stream_id: str
    event: PlayerMediaEvent


@dataclass(frozen=True, slots=True)
class PlayerSei(Event):
    """Data that was sent with a picture, right before that picture; ``rtp_timestamp`` is the picture's."""

    stream_id: str
    data: bytes
    rtp_timestamp: int


@dataclass(frozen=True, slots=True)
class PlayerAudioSideInfo(Event):
    """Data that was sent with the sound."""

    stream_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A camera, microphone or speaker of this machine. ``extra_info``: its driver or card, as the system calls it."""

    device_id: str
    name: str
    extra_info: str = ""


@dataclass(frozen=True, slots=True)
class VideoDeviceStateChanged(Event):
    """A camera was plugged in or unplugged."""

    update_type: UpdateType
    device: DeviceInfo


@dataclass(frozen=True, slots=True)
class AudioDeviceStateChanged(Event):
    """A microphone or speaker was plugged in or unplugged."""

    update_type: UpdateType
    device_type: AudioDeviceType
    device: DeviceInfo


@dataclass(frozen=True, slots=True)
class LocalDeviceException(Event):
    """Something is wrong with a camera or microphone that is in use."""

    exception: DeviceExceptionType
    device_type: DeviceType
    device_id: str


@dataclass(frozen=True, slots=True)
class StreamRelayCDNInfo:
    """One RTMP server that a stream is pushed to. ``state_time``: since when, in milliseconds of Unix time."""

    url: str
    state: StreamRelayCDNState
    update_reason: StreamRelayCDNUpdateReason
    state_time: int


@dataclass(frozen=True, slots=True)
class PublisherRelayCDNStateUpdate(Event):
    """What a published stream is pushed to besides, whenever one of them changed."""

    stream_id: str
    infos: tuple[StreamRelayCDNInfo, ...]


@dataclass(frozen=True, slots=True)
class PlayerFirstAudio(Event):
    """The first sound of a played stream arrived."""

    stream_id: str


@dataclass(frozen=True, slots=True)
class PlayerVideoSizeChanged(Event):
    """The pictures of a played stream have another size."""

    stream_id: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PlayerResourceUpdate(Event):
    """A running play comes by another path: ONLY_L3 or ONLY_RTC."""

    stream_id: str
    resource_mode: ResourceMode


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
