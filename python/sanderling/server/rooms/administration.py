"""What the server's operator does to rooms: kick, shut out, close, forbid, speak, look. On whatever node they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from sanderling.enums import StreamDeleteReason
from sanderling.errors import ErrorCode, SanderlingError
from sanderling.ids import parse_stream_id
from sanderling.server.bus.base import room_subject, session_subject
from sanderling.server.registry import SessionEntry, StreamEntry
from sanderling.server.rooms.context import RoomContext
from sanderling.server.rooms.events import Forbid, Kick, RoomNotice, encode_event
from sanderling.server.rooms.messaging import check_text
from sanderling.signaling.codec import encode
from sanderling.signaling.messages import BarrageNotice, BroadcastNotice, CommandNotice, User

__all__ = ["Administration", "Present", "TooManyRules"]

log = structlog.get_logger("rooms")

LONGEST_REASON = 256
"""Bytes of a custom reason (product-facts 1.2)."""
FOREVER_S = 10 * 365 * 86_400.0
"""Ten years: until it is lifted."""
MOST_USERS_OUT = 200
"""Users of a project that are shut out at once (product-facts 4.2, SetForbidUserRule)."""
MOST_STREAMS_OUT = 20_000
"""The same for streams, of which the product says nothing: some 4 MB."""
MOST_STREAMS = 10_000
"""Streams of one room that are looked through at once."""


@dataclass(frozen=True, slots=True)
class Present:
    """A user in a room."""

    user: User
    session_id: str
    since: float
    """When it logged in, in Unix seconds."""
    publishing: bool


class TooManyRules(SanderlingError):
    """So many users or streams of the project are shut out that one more cannot be."""


class Administration:
    """See the module. ``reason`` reaches the clients concerned; at most 256 bytes, else 1000017."""

    def __init__(self, context: RoomContext, stamp: Callable[[], tuple[int, int]]) -> None:
        self._context = context
        self._stamp = stamp

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
        """Shut a user out of the project for so long (1002066 at its logins), and end its sessions. TooManyRules."""
        check_reason(reason)
        await self.forbid_user(app_id, user_id, seconds)
        for entry in await self._context.registry.sessions(app_id, user_id):
            self._kick(entry, reason)

    async def forbid_user(self, app_id: int, user_id: str, seconds: float) -> float:
        """Refuse a user's logins for so long (1002066), and let its sessions be; until when, in Unix seconds.

        TooManyRules when 200 others are shut out.
        """
        return await self._shut_out(app_id, f"user:{user_id}", seconds, MOST_USERS_OUT)

    async def allow_user(self, app_id: int, user_id: str) -> None:
        """Lift a ban."""
        await self._shut_out(app_id, f"user:{user_id}", 0.0, MOST_USERS_OUT)

    async def forbid_stream(
        self, app_id: int, stream_id: str, seconds: float = FOREVER_S, reason: str = ""
    ) -> bool:
        """End a stream and forbid its ID for so long (1003025); whether it was published. TooManyRules."""
        check_reason(reason)
        parse_stream_id(stream_id)
        await self._shut_out(app_id, f"stream:{stream_id}", seconds, MOST_STREAMS_OUT)
        entry = await self._context.registry.stream(app_id, stream_id)
        if entry is None:
            return False
        event = Forbid(stream_id, reason)
        self._context.bus.publish(session_subject(entry.session_id), encode_event(event))
        log.info("stream_forbidden", app_id=app_id, stream=stream_id)
        return True

    async def allow_stream(self, app_id: int, stream_id: str) -> None:
        """Let a forbidden streamID be published again."""
        await self._shut_out(app_id, f"stream:{stream_id}", 0.0, MOST_STREAMS_OUT)

    async def _shut_out(self, app_id: int, what: str, seconds: float, limit: int) -> float:
        now = self._context.clock()
        until = now + seconds
        if not await self._context.registry.ban(app_id, what, until, now=now, limit=limit):
            raise TooManyRules(
                ErrorCode.ILLEGAL_PARAMETER,
                f"{limit} others are shut out of the project already",
                hint="lift some of them first",
            )
        return until

    # ------------------------------------------------------------------------------------------- speaking

    async def broadcast(self, app_id: int, room_id: str, sender: User, text: str) -> int:
        """A message to the room under any user's name: its ID. That user does not get it. 1009001, 1009002."""
        check_text(text)
        number, now_ms = self._stamp()
        await self._tell(app_id, room_id, BroadcastNotice(number, text, now_ms, sender))
        return number

    async def barrage(self, app_id: int, room_id: str, sender: User, text: str) -> int:
        """The same as a barrage message, which is dropped for who does not keep up."""
        check_text(text)
        number, now_ms = self._stamp()
        await self._tell(app_id, room_id, BarrageNotice(number, text, now_ms, sender), droppable=True)
        return number

    async def command(
        self, app_id: int, room_id: str, sender: User, text: str, to: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """A custom command to some users or the room; those of ``to`` who are not there. 1009001, 1009002."""
        check_text(text)
        there = {entry.user_id for entry in await self._context.registry.room_sessions(app_id, room_id)}
        reached = tuple(user_id for user_id in to if user_id in there)
        if reached or not to:
            number, now_ms = self._stamp()
            await self._tell(app_id, room_id, CommandNotice(number, text, now_ms, sender), to=reached)
        return tuple(user_id for user_id in to if user_id not in there)

    async def _tell(
        self,
        app_id: int,
        room_id: str,
        notice: BroadcastNotice | BarrageNotice | CommandNotice,
        *,
        to: tuple[str, ...] = (),
        droppable: bool = False,
    ) -> None:
        senders = await self._context.registry.sessions(app_id, notice.user.user_id)
        own = next((entry.session_id for entry in senders if entry.room_id == room_id), "")
        event = RoomNotice(encode(notice), own, to=to, droppable=droppable)
        self._context.bus.publish(room_subject(app_id, room_id), encode_event(event))

    # -------------------------------------------------------------------------------------------- looking

    async def rooms(self, app_id: int, *, after: str, limit: int) -> list[str]:
        """Up to ``limit`` rooms with somebody in them, in the order of their IDs, from behind ``after`` on."""
        return await self._context.registry.rooms(app_id, after=after, limit=limit)

    async def users(self, app_id: int, room_id: str) -> tuple[Present, ...]:
        """Whom the others see in a room, in the order of their logins: who is joining or away is not among them."""
        hosts = {entry.session_id for entry in await self.streams(app_id, room_id)}
        found = await self._context.registry.room_sessions(app_id, room_id, present=True)
        return tuple(
            Present(
                User(entry.user_id, entry.user_name), entry.session_id, entry.since, entry.session_id in hosts
            )
            for entry in found
        )

    async def online(self, app_id: int, room_id: str) -> int:
        """How many ``users`` would return."""
        return await self._context.registry.online(app_id, room_id)

    async def exists(self, app_id: int, room_id: str) -> bool:
        """Whether anybody has a session in the room, be it one that is joining or away."""
        return bool(await self._context.registry.room_sessions(app_id, room_id))

    async def streams(self, app_id: int, room_id: str) -> list[StreamEntry]:
        """The live streams of a room."""
        return await self._context.registry.room_streams(app_id, room_id, after="", limit=MOST_STREAMS)

    async def stream(self, app_id: int, stream_id: str) -> StreamEntry | None:
        """A live stream, wherever it is."""
        found = await self._context.registry.stream(app_id, stream_id)
        return found if found is not None and found.live else None

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
