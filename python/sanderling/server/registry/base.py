"""The interface of the registry. Implementations: ``inprocess``.

Users and streamIDs are unique in an AppID. A stream claim belongs to a session and is valid only while that
session is its user's present one, so a second login frees the first one's streamIDs in the same step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sanderling.bridge import SessionHandle
from sanderling.signaling.messages import Stream

__all__ = ["Registry", "SessionEntry", "StreamEntry"]


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """The present session of a user."""

    app_id: int
    user_id: str
    session_id: str
    room_id: str
    origin: str
    """Where the connection comes from, for the other session's eyes."""
    node: str


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """A streamID that is taken; playable once ``publisher`` is known."""

    app_id: int
    stream_id: str
    session_id: str
    room_id: str
    node: str
    publisher: SessionHandle | None = None
    stream: Stream | None = None


class Registry(Protocol):
    """Every method is one atomic step."""

    async def claim_user(self, entry: SessionEntry) -> SessionEntry | None:
        """Make ``entry`` its user's present session. Returns the one it replaced, whose claims are void now."""

    async def claim_stream(self, entry: StreamEntry) -> StreamEntry | None:
        """Take a streamID. Returns None when it was free, else the entry that holds it."""

    async def set_stream(self, entry: StreamEntry) -> bool:
        """Replace an entry by one of the same session; False when that session no longer holds it."""

    async def stream(self, app_id: int, stream_id: str) -> StreamEntry | None:
        """Return who holds a streamID."""

    async def release_stream(self, app_id: int, stream_id: str, session_id: str) -> None:
        """Free a streamID if this session holds it."""

    async def release_session(self, app_id: int, user_id: str, session_id: str) -> None:
        """Drop a session and every claim of it, if it is still there."""

    async def aclose(self) -> None:
        """Release everything. Idempotent."""
