"""What the extension reports, as frozen dataclasses. One function turns its tuples into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Answered",
    "Bound",
    "Connected",
    "Done",
    "Failed",
    "Flowing",
    "LogLine",
    "MediaEvent",
    "SessionClosed",
    "Snapshot",
    "Stats",
    "TrackInfo",
    "TrackStarted",
    "WorkerFailed",
    "parse_event",
]


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """A negotiated track: ``kind`` "audio" or "video", ``codec`` as in SDP, ``mid`` of its media section."""

    kind: str
    codec: str
    mid: str


@dataclass(frozen=True, slots=True)
class Answered:
    """An offer was answered."""

    ticket: int
    session: int
    sdp: str
    tracks: tuple[TrackInfo, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A stream was bound to a slot; a mid is "" where there is no such track."""

    ticket: int
    session: int
    stream: int
    slot: int
    audio_mid: str
    video_mid: str
    tracks: tuple[TrackInfo, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """A command was carried out."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A command failed; ``reason`` is a fixed word (see ``_engine.pyi``), ``detail`` a sentence."""

    ticket: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Debug snapshot of one worker as JSON text."""

    ticket: int
    json: str


@dataclass(frozen=True, slots=True)
class Connected:
    """ICE and DTLS of a session are up."""

    session: int


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """A session ended by itself: ice_timeout, consent_expired, dtls_failed, peer_closed or worker_failed."""

    session: int
    reason: str


@dataclass(frozen=True, slots=True)
class TrackStarted:
    """First packet of a publisher's track arrived."""

    stream: int
    kind: str
    codec: str


@dataclass(frozen=True, slots=True)
class Flowing:
    """First packet of a binding was sent; ``rtp_timestamp`` is the one on the wire."""

    session: int
    stream: int
    mid: str
    kind: str
    rtp_timestamp: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of one session, about once a second while it carries media or its peer is heard.

    ``silent_ms`` is the time since the peer was heard by authenticated media or STUN.
    """

    session: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """A worker lost everything it held and restarted empty."""

    worker: int
    detail: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A worker's log line. ``level``: "warning" or "error"."""

    level: str
    target: str
    message: str


TicketEvent = Answered | Bound | Done | Failed | Snapshot
MediaEvent = Connected | SessionClosed | TrackStarted | Flowing | Stats | WorkerFailed | LogLine
"""Events without a ticket: they happen to a session and go to the rooms."""


def _tracks(raw: Any) -> tuple[TrackInfo, ...]:
    return tuple(TrackInfo(kind, codec, mid) for kind, codec, mid in raw)


_PARSERS: Mapping[str, Callable[..., TicketEvent | MediaEvent]] = {
    "answered": lambda ticket, session, sdp, tracks: Answered(ticket, session, sdp, _tracks(tracks)),
    "bound": lambda ticket, session, stream, slot, audio, video, tracks: Bound(
        ticket, session, stream, slot, audio, video, _tracks(tracks)
    ),
    "done": Done,
    "failed": Failed,
    "connected": Connected,
    "closed": SessionClosed,
    "track_started": TrackStarted,
    "flowing": Flowing,
    "stats": Stats,
    "snapshot": Snapshot,
    "worker_failed": WorkerFailed,
    "log": LogLine,
}


def parse_event(raw: tuple[Any, ...]) -> TicketEvent | MediaEvent:
    """Return the event ``raw`` stands for; ValueError when the extension sent something unknown."""
    try:
        return _PARSERS[raw[0]](*raw[1:])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"unknown event {raw[:1]!r} from the media extension: {error}") from None
