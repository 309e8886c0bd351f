"""What rooms tell each other over the bus. Internal to the server, between nodes of one version."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

import msgspec

from sanderling.signaling.messages import User

__all__ = [
    "Audience",
    "Forbid",
    "Kick",
    "RoomEvent",
    "RoomNotice",
    "SessionEvent",
    "StreamEnded",
    "StreamEvent",
    "StreamMoved",
    "StreamNews",
    "UserChange",
    "UserChanges",
    "decode_room_event",
    "decode_session_event",
    "decode_stream_event",
    "encode_event",
]


class Audience(IntEnum):
    """Which members of a room hear a notice."""

    EVERYBODY = 0
    ABOUT_USERS = 1
    """Those with is_user_status_notify."""


class RoomNotice(msgspec.Struct, frozen=True, tag="notice"):
    """A message for members of the room. It is encoded once, by whoever causes it, however many hear it."""

    notice: bytes
    """The message as it goes to the clients."""
    session_id: str = ""
    """Whose doing it is; that session is not told."""
    audience: int = Audience.EVERYBODY
    to: tuple[str, ...] = ()
    """UserIDs; none = the whole audience."""
    droppable: bool = False
    """Not kept for members without a connection."""


class UserChange(msgspec.Struct, frozen=True, array_like=True):
    """One arrival or departure; ``number`` is the registry's."""

    number: int
    session_id: str
    user: User


class UserChanges(msgspec.Struct, frozen=True, tag="users"):
    """Users came (``update`` 0) or went (1, with a ``reason``) within a short while: one notice for all of them.

    A session is not told of what it has seen in its view of the room, nor of itself.
    """

    update: int
    changes: tuple[UserChange, ...]
    reason: int = 0


class StreamEnded(msgspec.Struct, frozen=True, tag="ended"):
    """A stream is over; ``publisher`` is its session number, so that a later one of the same name is not meant.

    ``why`` is "" for an ordinary end. Else it names the fault of the engine: the players' slots have to be freed.
    ``code`` is what players are told, 0 for an ordinary end.
    """

    publisher: int
    why: str = ""
    code: int = 0
    message: str = ""


class StreamMoved(msgspec.Struct, frozen=True, tag="moved"):
    """A stream has a new transport in place of ``former``."""

    former: int
    publisher: int
    worker: int


class StreamNews(msgspec.Struct, frozen=True, tag="news"):
    """A message for those who play the stream, or, with ``data``, for those who subscribed to its data."""

    notice: bytes
    data: bool = False


class Kick(msgspec.Struct, frozen=True, tag="kick"):
    """A session has to end."""

    code: int
    message: str
    origin: str
    delete_reason: int
    custom_reason: str = ""


class Forbid(msgspec.Struct, frozen=True, tag="forbid"):
    """A stream of the session has to end."""

    stream_id: str
    custom_reason: str = ""


RoomEvent = RoomNotice | UserChanges
StreamEvent = StreamEnded | StreamMoved | StreamNews
SessionEvent = Kick | Forbid

E = TypeVar("E")

_encoder = msgspec.msgpack.Encoder()
_room_decoder: msgspec.msgpack.Decoder[RoomEvent] = msgspec.msgpack.Decoder(RoomEvent)
_session_decoder: msgspec.msgpack.Decoder[SessionEvent] = msgspec.msgpack.Decoder(SessionEvent)
_stream_decoder: msgspec.msgpack.Decoder[StreamEvent] = msgspec.msgpack.Decoder(StreamEvent)


def encode_event(event: RoomEvent | StreamEvent | SessionEvent) -> bytes:
    """Return ``event`` as bytes for the bus."""
    return _encoder.encode(event)


def decode_room_event(payload: bytes) -> RoomEvent:
    """Read what was published on a room's subject."""
    return _room_decoder.decode(payload)


def decode_session_event(payload: bytes) -> SessionEvent:
    """Read what was published on a session's subject."""
    return _session_decoder.decode(payload)


def decode_stream_event(payload: bytes) -> StreamEvent:
    """Read what was published on a stream's subject."""
    return _stream_decoder.decode(payload)
