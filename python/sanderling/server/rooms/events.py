"""What rooms tell each other over the bus. Internal to the server, between nodes of one version."""

from __future__ import annotations

import msgspec

from sanderling.signaling.messages import Stream, User

__all__ = [
    "Kick",
    "RoomEvent",
    "StreamEnded",
    "StreamsChanged",
    "UsersChanged",
    "decode_room_event",
    "encode_event",
]


class UsersChanged(msgspec.Struct, frozen=True, tag="users"):
    """Users came (update 0) or went (1)."""

    update: int
    users: tuple[User, ...]
    session_id: str
    """Whose doing it is; that session is not told."""


class StreamsChanged(msgspec.Struct, frozen=True, tag="streams"):
    """Streams came (update 0) or went (1)."""

    update: int
    streams: tuple[Stream, ...]
    session_id: str


class StreamEnded(msgspec.Struct, frozen=True, tag="ended"):
    """A stream is over; ``publisher`` is its session number, so that a later one of the same name is not meant.

    ``why`` is "" for an ordinary end. Else it names the fault of the engine: the players' slots have to be freed.
    """

    publisher: int
    why: str = ""


class Kick(msgspec.Struct, frozen=True, tag="kick"):
    """A session has to end."""

    code: int
    message: str
    origin: str
    delete_reason: int


RoomEvent = UsersChanged | StreamsChanged

_encoder = msgspec.msgpack.Encoder()
_room_decoder: msgspec.msgpack.Decoder[RoomEvent] = msgspec.msgpack.Decoder(RoomEvent)
_kick_decoder = msgspec.msgpack.Decoder(Kick)
_ended_decoder = msgspec.msgpack.Decoder(StreamEnded)


def encode_event(event: RoomEvent | StreamEnded | Kick) -> bytes:
    """Return ``event`` as bytes for the bus."""
    return _encoder.encode(event)


def decode_room_event(payload: bytes) -> RoomEvent:
    """Read what was published on a room's subject."""
    return _room_decoder.decode(payload)


def decode_kick(payload: bytes) -> Kick:
    """Read what was published on a session's subject."""
    return _kick_decoder.decode(payload)


def decode_stream_ended(payload: bytes) -> StreamEnded:
    """Read what was published on a stream's subject."""
    return _ended_decoder.decode(payload)
