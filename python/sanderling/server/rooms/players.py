"""Who plays a stream on this node: one subscription of the stream's subject, however many play it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from sanderling.server.bus import Bus, Subscription
from sanderling.server.bus.base import stream_subject
from sanderling.server.rooms.events import StreamEvent, decode_stream_event
from sanderling.server.rooms.member import Member

__all__ = ["Players"]

log = structlog.get_logger("rooms")


@dataclass(slots=True, eq=False)
class _Stream:
    subscription: Subscription
    members: dict[Member, None] = field(default_factory=dict)
    """In the order in which they came."""


class Players:
    """Brings what happens to a stream to those who play it.

    A subscription for each play would weigh some 400 bytes, sixteen times for a viewer of sixteen streams, and every
    event would be decoded once for each.

    ``tell``: called for each of a stream's players, with the streamID and the event. What it raises is logged
    and keeps nobody else from being told.
    """

    def __init__(self, bus: Bus, tell: Callable[[Member, str, StreamEvent], None]) -> None:
        self._bus = bus
        self._tell = tell
        self._streams: dict[tuple[int, str], _Stream] = {}

    def __len__(self) -> int:
        """Streams with somebody; 0 once everything was released."""
        return len(self._streams)

    def add(self, member: Member, stream_id: str) -> None:
        """``member`` plays the stream, which is of its project. Idempotent."""
        key = (member.app_id, stream_id)
        stream = self._streams.get(key)
        if stream is None:

            def heard(payload: bytes) -> None:
                self._heard(key, payload)

            stream = self._streams[key] = _Stream(self._bus.subscribe(stream_subject(*key), heard))
        stream.members[member] = None

    def remove(self, member: Member, stream_id: str) -> None:
        """It plays the stream no more. Idempotent."""
        key = (member.app_id, stream_id)
        stream = self._streams.get(key)
        if stream is None:
            return
        stream.members.pop(member, None)
        if not stream.members:
            del self._streams[key]
            stream.subscription.cancel()

    def _heard(self, key: tuple[int, str], payload: bytes) -> None:
        stream = self._streams.get(key)
        if stream is None:
            return
        event = decode_stream_event(payload)
        for member in tuple(stream.members):
            if member not in stream.members:
                continue
            try:
                self._tell(member, key[1], event)
            except Exception:
                log.exception("stream_event_not_told", app_id=key[0], stream=key[1])
