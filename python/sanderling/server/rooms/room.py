"""One room of one project as this node sees it: the members connected here, and what they hear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from sanderling.server.bus import Bus
from sanderling.server.bus.base import room_subject
from sanderling.server.rooms.agenda import Appointment
from sanderling.server.rooms.events import Audience, RoomNotice, decode_room_notice, encode_event
from sanderling.server.rooms.member import Member
from sanderling.signaling.codec import encode
from sanderling.signaling.messages import ServerMessage, Stream, User

__all__ = ["Room", "batches"]

T = TypeVar("T", User, Stream)

BATCH_BYTES = 64 * 1024
"""Room for a list in one message; two lists and an answer of 95 kB stay below the protocol's limit."""


def batches(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """Split a list so that each part takes at most 64 KiB as JSON. Yields at least one (maybe empty) part."""
    items = tuple(items)
    if len(msgspec.json.encode(items)) <= BATCH_BYTES:
        # Nearly always, and every login does this: one look is enough.
        yield items
        return
    part: list[T] = []
    size = 0
    for item in items:
        bytes_of_item = len(msgspec.json.encode(item)) + 1
        if part and size + bytes_of_item > BATCH_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(item)
        size += bytes_of_item
    yield tuple(part)


class Room:
    """There as long as a member is connected to this node. Who else is in the room, the registry knows."""

    def __init__(self, app_id: int, room_id: str, bus: Bus) -> None:
        self.app_id = app_id
        self.room_id = room_id
        self.members: dict[str, Member] = {}
        """By session."""
        self.told_online = 0
        """The count that members were told last."""
        self.count_due: Appointment | None = None
        self._hearing: dict[str, Member] = {}
        """Those who have their login_ok, by userID."""
        self._bus = bus
        self._subject = room_subject(app_id, room_id)
        self._subscription = bus.subscribe(self._subject, self._deliver)

    def close(self) -> None:
        """Stop listening; the room is no longer used."""
        self._subscription.cancel()
        if self.count_due is not None:
            self.count_due.cancel()

    def add(self, member: Member) -> None:
        """Take ``member`` in; it hears nothing before ``hear``."""
        self.members[member.session_id] = member
        member.room = self

    def hear(self, member: Member) -> None:
        """From now on ``member`` gets the room's notices."""
        self._hearing[member.user.user_id] = member

    def remove(self, member: Member) -> None:
        """Let ``member`` go. Idempotent."""
        self.members.pop(member.session_id, None)
        if self._hearing.get(member.user.user_id) is member:
            del self._hearing[member.user.user_id]
        member.room = None

    def tell(
        self,
        message: ServerMessage,
        *,
        session_id: str = "",
        audience: Audience = Audience.EVERYBODY,
        to: tuple[str, ...] = (),
        droppable: bool = False,
    ) -> None:
        """Send ``message`` to members on every node but ``session_id``; parameters as in ``RoomNotice``."""
        notice = RoomNotice(encode(message), session_id, int(audience), to, droppable)
        self._bus.publish(self._subject, encode_event(notice))

    def tell_here(self, message: ServerMessage) -> None:
        """Send ``message`` to the members of this node."""
        data = encode(message)
        for member in self._hearing.values():
            member.mailbox.send(data)

    def _deliver(self, payload: bytes) -> None:
        event = decode_room_notice(payload)
        hearing: Iterable[Member]
        if event.to:
            hearing = [self._hearing[user_id] for user_id in set(event.to) if user_id in self._hearing]
        else:
            hearing = self._hearing.values()
        about_users = event.audience == Audience.ABOUT_USERS
        notice, session_id = event.notice, event.session_id
        for member in hearing:
            if member.session_id == session_id or (about_users and not member.notify):
                continue
            if not (event.droppable and member.mailbox.behind):
                member.mailbox.send(notice)
