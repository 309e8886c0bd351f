"""One room of one project as this node sees it: the members connected here, and what they hear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from sanderling.server.bus import Bus
from sanderling.server.bus.base import room_subject
from sanderling.server.rooms.agenda import Appointment
from sanderling.server.rooms.events import (
    Audience,
    RoomEvent,
    RoomNotice,
    UserChange,
    UserChanges,
    decode_room_event,
    encode_event,
)
from sanderling.server.rooms.gathering import Gathering
from sanderling.server.rooms.member import Member
from sanderling.signaling.codec import encode
from sanderling.signaling.messages import ServerMessage, Stream, User, UserNotice

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

    def __init__(
        self,
        app_id: int,
        room_id: str,
        bus: Bus,
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.app_id = app_id
        self.room_id = room_id
        self.members: dict[str, Member] = {}
        """By session."""
        self.told_online = 0
        """The count that members were told last."""
        self.count_due: Appointment | None = None
        self.online = 0
        """Users present, on all nodes, when one came last."""
        self._hearing: dict[str, Member] = {}
        """Those who have their login_ok, by userID."""
        self._expecting: dict[Member, list[RoomEvent]] = {}
        """What those hear first who are reading the room."""
        self._gathering = Gathering(self._publish, later)
        self._bus = bus
        self._subject = room_subject(app_id, room_id)
        self._subscription = bus.subscribe(self._subject, self._deliver)

    def close(self) -> None:
        """Stop listening; the room is no longer used. Those on other nodes still hear what was to be told."""
        self._gathering.flush()
        self._subscription.cancel()
        if self.count_due is not None:
            self.count_due.cancel()

    def add(self, member: Member) -> None:
        """Take ``member`` in; it hears nothing before ``hear``."""
        self.members[member.session_id] = member
        member.room = self

    def expect(self, member: Member) -> None:
        """``member`` is about to read what the registry knows of the room: what is told from now on is kept for it."""
        self._expecting[member] = []

    def hear(self, member: Member) -> None:
        """From now on ``member`` gets the room's notices, after those it did not find when it read the room."""
        for event in self._expecting.pop(member, ()):
            self._deliver_to((member,), event)
        self._hearing[member.user.user_id] = member

    def remove(self, member: Member) -> None:
        """Let ``member`` go. Idempotent."""
        self.members.pop(member.session_id, None)
        self._expecting.pop(member, None)
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
        if not session_id or session_id in self._gathering:
            # Nobody hears of what a user does before it hears of the user.
            self._gathering.flush()
        self._publish(RoomNotice(encode(message), session_id, int(audience), to, droppable))

    def tell_user(self, update: int, number: int, session_id: str, user: User, *, reason: int = 0) -> None:
        """Tell members on every node that a user came (0) or went (1, with a reason); ``number`` of the registry.

        In a large room that may take up to half a second, in which others join the same notice.
        """
        change = UserChange(number, session_id, user)
        self._gathering.add(update, change, reason=reason, members=max(self.online, len(self.members)))

    def _publish(self, event: RoomEvent) -> None:
        self._bus.publish(self._subject, encode_event(event))

    def tell_here(self, message: ServerMessage) -> None:
        """Send ``message`` to the members of this node."""
        data = encode(message)
        for member in self._hearing.values():
            member.mailbox.send(data)

    def _deliver(self, payload: bytes) -> None:
        event = decode_room_event(payload)
        for waiting in self._expecting.values():
            waiting.append(event)
        hearing: Iterable[Member] = self._hearing.values()
        if isinstance(event, RoomNotice) and event.to:
            hearing = [self._hearing[user_id] for user_id in set(event.to) if user_id in self._hearing]
        self._deliver_to(hearing, event)

    def _deliver_to(self, members: Iterable[Member], event: RoomEvent) -> None:
        if isinstance(event, UserChanges):
            self._deliver_changes(members, event)
            return
        if event.to:
            to = set(event.to)
            members = [member for member in members if member.user.user_id in to]
        about_users = event.audience == Audience.ABOUT_USERS
        notice, session_id = event.notice, event.session_id
        for member in members:
            if member.session_id == session_id or (about_users and not member.notify):
                continue
            if not (event.droppable and member.mailbox.behind):
                member.mailbox.send(notice)

    def _deliver_changes(self, members: Iterable[Member], event: UserChanges) -> None:
        notice = encode(
            UserNotice(event.update, tuple(change.user for change in event.changes), event.reason)
        )
        themselves = {change.session_id for change in event.changes}
        first = min(change.number for change in event.changes)
        for member in members:
            if not member.notify:
                continue
            if member.seen < first and member.session_id not in themselves:
                member.mailbox.send(notice)
                continue
            news = tuple(
                change.user
                for change in event.changes
                if change.number > member.seen and change.session_id != member.session_id
            )
            if news:
                member.send(UserNotice(event.update, news, event.reason))
