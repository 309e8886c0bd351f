"""What the server's operator does to rooms: kick, shut out, close, forbid. On whatever node the session is."""

from __future__ import annotations

import structlog

from sanderling.enums import StreamDeleteReason
from sanderling.errors import ErrorCode, SanderlingError
from sanderling.ids import parse_stream_id
from sanderling.server.bus.base import session_subject
from sanderling.server.registry import SessionEntry
from sanderling.server.rooms.context import RoomContext
from sanderling.server.rooms.events import Forbid, Kick, encode_event

__all__ = ["Administration"]

log = structlog.get_logger("rooms")

LONGEST_REASON = 256
"""Bytes of a custom reason (product-facts 1.2)."""


class Administration:
    """See the module. ``reason`` reaches the clients concerned; at most 256 bytes, else 1000017."""

    def __init__(self, context: RoomContext) -> None:
        self._context = context

    async def kick(self, app_id: int, room_id: str, user_id: str, reason: str = "") -> bool:
        """End a user's session in a room (1002055 for it); whether there was one."""
        check_reason(reason)
        found = await self._context.registry.sessions(app_id, user_id)
        kicked = [entry for entry in found if entry.room_id == room_id]
        for entry in kicked:
            self._kick(entry, reason)
        return bool(kicked)

    async def close_room(self, app_id: int, room_id: str, reason: str = "") -> int:
        """End every session in a room (1002055); how many there were."""
        check_reason(reason)
        found = await self._context.registry.room_sessions(app_id, room_id)
        for entry in found:
            self._kick(entry, reason)
        return len(found)

    async def ban(self, app_id: int, user_id: str, seconds: float, reason: str = "") -> None:
        """Shut a user out of the project for so long (1002066 at its logins), and end its sessions."""
        check_reason(reason)
        await self._context.registry.ban(app_id, f"user:{user_id}", self._context.clock() + seconds)
        for entry in await self._context.registry.sessions(app_id, user_id):
            self._kick(entry, reason)

    async def allow_user(self, app_id: int, user_id: str) -> None:
        """Lift a ban."""
        await self._context.registry.ban(app_id, f"user:{user_id}", 0.0)

    async def forbid_stream(self, app_id: int, stream_id: str, seconds: float, reason: str = "") -> bool:
        """End a stream and forbid its ID for so long (1003025); whether it was published."""
        check_reason(reason)
        parse_stream_id(stream_id)
        await self._context.registry.ban(app_id, f"stream:{stream_id}", self._context.clock() + seconds)
        entry = await self._context.registry.stream(app_id, stream_id)
        if entry is None:
            return False
        event = Forbid(stream_id, reason)
        self._context.bus.publish(session_subject(entry.session_id), encode_event(event))
        log.info("stream_forbidden", app_id=app_id, stream=stream_id)
        return True

    async def allow_stream(self, app_id: int, stream_id: str) -> None:
        """Let a forbidden streamID be published again."""
        await self._context.registry.ban(app_id, f"stream:{stream_id}", 0.0)

    def _kick(self, entry: SessionEntry, reason: str) -> None:
        kick = Kick(
            int(ErrorCode.KICKED_BY_SERVER),
            "removed by the server",
            "",
            int(StreamDeleteReason.USER_KICKED),
            reason,
        )
        self._context.bus.publish(session_subject(entry.session_id), encode_event(kick))
        log.info("user_kicked", app_id=entry.app_id, room=entry.room_id, user=entry.user_id)


def check_reason(reason: str) -> None:
    """1000017 when a custom reason is too long."""
    if len(reason.encode()) > LONGEST_REASON:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"a custom reason has at most {LONGEST_REASON} bytes"
        )
