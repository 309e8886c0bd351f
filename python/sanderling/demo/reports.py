"""What the demo's processes tell the parent: one JSON object a line on standard output, declared once here."""

from __future__ import annotations

import msgspec

__all__ = [
    "Failed",
    "FirstFrame",
    "LoggedIn",
    "Play",
    "PlayerStateChanged",
    "PublisherStateChanged",
    "Received",
    "Report",
    "RoomStateChanged",
    "Sent",
    "ServerReady",
    "Statistics",
    "WatchingEnded",
    "decode",
    "encode",
]


class _Report(msgspec.Struct, frozen=True, tag_field="event"):
    pass


class RoomStateChanged(_Report, frozen=True, tag="room_state"):
    """The room connection's state; ``state`` is a name of RoomStateReason, ``code`` 0 or an error code."""

    state: str
    code: int = 0


class PublisherStateChanged(_Report, frozen=True, tag="publisher_state"):
    """State of the published stream; ``state`` is a name of PublisherState."""

    state: str
    code: int = 0


class PlayerStateChanged(_Report, frozen=True, tag="player_state"):
    """State of the played stream; ``state`` is a name of PlayerState."""

    state: str
    code: int = 0


class LoggedIn(_Report, frozen=True, tag="logged_in"):
    """The login ended well, ``login_ms`` milliseconds after it was asked for."""

    login_ms: float


class Play(_Report, frozen=True, tag="play"):
    """The server bound the stream; ``resource_mode`` is the path it reports (a name of ResourceMode)."""

    stream_id: str
    resource_mode: str


class FirstFrame(_Report, frozen=True, tag="first_frame"):
    """First decoded picture, ``first_frame_ms`` milliseconds after start_playing_stream was called."""

    first_frame_ms: float
    width: int
    height: int


class Sent(_Report, frozen=True, tag="sent"):
    """Frames handed to the encoder since the last such report: (frame number, Unix ns)."""

    rows: list[tuple[int, int]]


class Received(_Report, frozen=True, tag="received"):
    """Pictures handed to the renderer since the last such report: (frame number, sent, received), Unix ns.

    Frame number and sent time are None where the burned-in clock could not be read.
    """

    rows: list[tuple[int | None, int | None, int]]


class Statistics(_Report, frozen=True, tag="statistics"):
    """State of the viewer's play, about once a second and once at its end."""

    width: int = 0
    height: int = 0
    codec: str = ""
    bitrate_kbps: float = 0.0
    audio_received_ms: float = 0.0
    """Sound handed over since the play began, milliseconds."""
    audio_concealed_ratio: float = 0.0
    """Share of that sound which the decoder had to make up, 0 to 1."""


class WatchingEnded(_Report, frozen=True, tag="watching_ended"):
    """The viewer stopped watching at ``until_ns``, Unix nanoseconds; nothing follows but states."""

    until_ns: int


class Failed(_Report, frozen=True, tag="failed"):
    """The process cannot go on; it ends after this report."""

    code: int
    message: str
    hint: str = ""


class ServerReady(msgspec.Struct, frozen=True):
    """The one line the server process prints, once it serves."""

    url: str
    media: list[list[str]]
    """Per worker, its candidates as ``"udp 192.0.2.1 40000"``."""


Report = (
    RoomStateChanged
    | PublisherStateChanged
    | PlayerStateChanged
    | LoggedIn
    | Play
    | FirstFrame
    | Sent
    | Received
    | Statistics
    | WatchingEnded
    | Failed
)

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def encode(report: Report) -> bytes:
    """Return ``report`` as one line of JSON, newline included."""
    return _ENCODER.encode(report) + b"\n"


def decode(line: bytes) -> Report:
    """Return the report in ``line``; msgspec.DecodeError when it is not one."""
    return _DECODER.decode(line)
