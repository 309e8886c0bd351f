"""What users tell each other: broadcasts, barrage, custom commands, transparent messages, the room's extra info.

The sender never gets its own message, and nothing is stored (product-facts 1.10).
"""

from __future__ import annotations

from sanderling.errors import ErrorCode, RoomError, SanderlingError
from sanderling.ids import MAX_USER_ID
from sanderling.server.rooms.context import RoomContext, check_present
from sanderling.server.rooms.member import Member
from sanderling.server.rooms.rates import Rates
from sanderling.signaling.messages import (
    Barrage,
    BarrageNotice,
    Broadcast,
    BroadcastNotice,
    Command,
    CommandNotice,
    MessageSent,
    Ok,
    RoomExtraInfo,
    RoomExtraInfoNotice,
    ServerMessage,
    SetRoomExtraInfo,
    Transparent,
    TransparentNotice,
)

__all__ = ["Messaging"]

LONGEST_TEXT = 1024
"""Bytes of a message (product-facts 5.6)."""
LONGEST_CONTENT = 4096
"""Bytes of a transparent message."""
MOST_RECEIVERS = 100
LONGEST_KEY = 10
LONGEST_VALUE = 128
"""Bytes of a room's extra info (product-facts 5.6)."""
IDS_IN_A_MS = 1 << 12
"""Message IDs are Unix milliseconds times this, so that they rise and stay below 2^53."""
ONLY_SERVER = 1


def check_text(text: str) -> None:
    """1009001 empty, 1009002 too long."""
    size = len(text.encode())
    if size == 0:
        raise RoomError(ErrorCode.MESSAGE_EMPTY, "the message is empty", hint="send at least one byte")
    if size > LONGEST_TEXT:
        raise RoomError(
            ErrorCode.MESSAGE_TOO_LONG,
            f"the message has {size} bytes, {LONGEST_TEXT} allowed",
            hint="split it",
        )


def check_content(content: bytes) -> None:
    """1009001 empty, 1009003 too long."""
    if not content:
        raise RoomError(ErrorCode.MESSAGE_EMPTY, "the message is empty", hint="send at least one byte")
    if len(content) > LONGEST_CONTENT:
        raise RoomError(
            ErrorCode.MESSAGE_DATA_TOO_LONG,
            f"the message has {len(content)} bytes, {LONGEST_CONTENT} allowed",
            hint="split it",
        )


def check_receivers(to: tuple[str, ...]) -> None:
    """1009011 an empty userID, 1009012 one too long, 1009013 too many."""
    if len(to) > MOST_RECEIVERS:
        raise RoomError(
            ErrorCode.MESSAGE_PARAMETERS_TOO_LONG,
            f"{len(to)} receivers, {MOST_RECEIVERS} allowed",
            hint="send to the whole room, or in parts",
        )
    for user_id in to:
        if not user_id:
            raise RoomError(
                ErrorCode.MESSAGE_USER_ID_EMPTY, "a receiver's userID is empty", hint="leave it out"
            )
        if len(user_id.encode()) > MAX_USER_ID:
            raise RoomError(
                ErrorCode.MESSAGE_USER_ID_TOO_LONG,
                f"a receiver's userID has {len(user_id.encode())} bytes, {MAX_USER_ID} allowed",
            )


def check_room_info(key: str, value: str) -> None:
    """1002014 and 1002015 for the key, 1002016 for the value."""
    if not key:
        raise RoomError(ErrorCode.ROOM_EXTRA_INFO_KEY_EMPTY, "the key is empty")
    if len(key.encode()) > LONGEST_KEY:
        raise RoomError(
            ErrorCode.ROOM_EXTRA_INFO_KEY_TOO_LONG,
            f"the key has {len(key.encode())} bytes, {LONGEST_KEY} allowed",
        )
    if len(value.encode()) > LONGEST_VALUE:
        raise RoomError(
            ErrorCode.ROOM_EXTRA_INFO_VALUE_TOO_LONG,
            f"the value has {len(value.encode())} bytes, {LONGEST_VALUE} allowed",
        )


class Messaging:
    """See the module."""

    def __init__(self, context: RoomContext, rates: Rates) -> None:
        self._context = context
        self._rates = rates
        self._last_id = 0

    def broadcast(self, member: Member, message: Broadcast) -> None:
        """Reliable text to the room; 1009001, 1009002, 1009015."""
        check_text(message.text)
        self._rates.check_broadcast(member)
        number, now_ms = self._sent(member, message.seq)
        self._tell(member, BroadcastNotice(number, message.text, now_ms, member.user))

    def barrage(self, member: Member, message: Barrage) -> None:
        """Text to the room that may be dropped for who does not keep up; 1009001, 1009002, 1002072."""
        check_text(message.text)
        self._rates.check_barrage(member)
        number, now_ms = self._sent(member, message.seq)
        self._tell(member, BarrageNotice(number, message.text, now_ms, member.user), droppable=True)

    def command(self, member: Member, message: Command) -> None:
        """Reliable text to some users or the room; 1009001, 1009002, 1009011–1009013, 1002072."""
        check_text(message.text)
        check_receivers(message.to)
        self._rates.check_command(member, len(message.to))
        number, now_ms = self._sent(member, message.seq)
        self._tell(member, CommandNotice(number, message.text, now_ms, member.user), to=message.to)

    def transparent(self, member: Member, message: Transparent) -> None:
        """Bytes to some users or the room; 1000017 mode, 1009001, 1009003, 1009011–1009013, 1002072."""
        if message.mode not in (0, ONLY_SERVER, 2):
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"transparent mode {message.mode} does not exist",
                hint="0 clients, 1 server, 2 both",
            )
        check_content(message.content)
        check_receivers(message.to)
        self._rates.check_command(member, len(message.to))
        number, now_ms = self._sent(member, message.seq)
        if message.mode != ONLY_SERVER:
            notice = TransparentNotice(number, message.content, now_ms, member.user)
            self._tell(member, notice, to=message.to)

    async def set_room_info(self, member: Member, message: SetRoomExtraInfo) -> None:
        """Write the room's extra info; 1002014–1002017, 1002072."""
        check_room_info(message.key, message.value)
        self._rates.check_room_info(member)
        info = RoomExtraInfo(message.key, message.value, member.user, self._now_ms())
        if not await self._context.registry.set_room_info(member.app_id, member.room_id, info):
            check_present(member)
            raise RoomError(
                ErrorCode.ROOM_EXTRA_INFO_TOO_MANY_KEYS,
                "the room has an extra info under another key",
                hint="use the key that is there",
            )
        check_present(member)
        member.send(Ok(message.seq))
        self._tell(member, RoomExtraInfoNotice((info,)))

    def stamp(self) -> tuple[int, int]:
        """The ID of a message that is sent now, above all before it, and its time in Unix milliseconds."""
        now_ms = self._now_ms()
        self._last_id = max(self._last_id + 1, now_ms * IDS_IN_A_MS)
        return self._last_id, now_ms

    def _now_ms(self) -> int:
        return int(self._context.clock() * 1000)

    def _sent(self, member: Member, seq: int) -> tuple[int, int]:
        """Reply, and return the message's ID and time."""
        number, now_ms = self.stamp()
        member.send(MessageSent(seq, number, now_ms))
        return number, now_ms

    def _tell(
        self, member: Member, notice: ServerMessage, *, to: tuple[str, ...] = (), droppable: bool = False
    ) -> None:
        if member.room is not None:
            member.room.tell(notice, session_id=member.session_id, to=to, droppable=droppable)
