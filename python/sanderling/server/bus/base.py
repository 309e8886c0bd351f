"""The interface of the bus and the subjects in use. Implementations: ``inprocess``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Bus", "Handler", "Subscription", "room_subject", "session_subject", "stream_subject"]

Handler = Callable[[bytes], None]
"""Gets the payload; must not block. What it raises is logged and reaches nobody else."""


class Subscription(Protocol):
    """A handler's registration."""

    def cancel(self) -> None:
        """End it; no call follows. Idempotent."""


class Bus(Protocol):
    """Publish and subscribe by subject. Order is kept per publisher and subject; nothing is stored."""

    def publish(self, subject: str, payload: bytes) -> None:
        """Hand ``payload`` to every present subscriber of ``subject``; does not wait for them."""

    def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Call ``handler`` for every later payload of ``subject``."""

    async def aclose(self) -> None:
        """End all subscriptions. Idempotent."""


# IDs may hold dots, stars and greater-thans, which are wildcards of subject-based buses: hex has none.


def room_subject(app_id: int, room_id: str) -> str:
    """Where what happens in a room is told."""
    return f"room.{app_id}.{room_id.encode().hex()}"


def session_subject(session_id: str) -> str:
    """Where a session is told that it has to end."""
    return f"session.{session_id}"


def stream_subject(app_id: int, stream_id: str) -> str:
    """Where the end of a stream is told to those who play it."""
    return f"stream.{app_id}.{stream_id.encode().hex()}"
