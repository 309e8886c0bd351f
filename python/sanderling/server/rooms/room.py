"""One room of one project on this node: its members, and what they hear of each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from sanderling.server.bus import Bus
from sanderling.server.bus.base import room_subject
from sanderling.server.rooms.events import (
    RoomEvent,
    StreamsChanged,
    UsersChanged,
    decode_room_event,
    encode_event,
)
from sanderling.server.rooms.member import Member, MemberState
from sanderling.signaling.codec import encode
from sanderling.signaling.messages import Stream, StreamNotice, User, UserNotice

__all__ = ["Room", "batches"]

T = TypeVar("T", User, Stream)

BATCH_BYTES = 64 * 1024
"""Room for a list in one message; two lists and an answer of 95 kB stay below the protocol's limit."""


def batches(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """Split a list so that each part takes at most 64 KiB as JSON. Yields at least one (maybe empty) part."""
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
    """Made by its first login, gone with its last member. ``max_member_count`` is the creator's; 0 = unlimited."""

    def __init__(self, app_id: int, room_id: str, max_member_count: int, bus: Bus) -> None:
        self.app_id = app_id
        self.room_id = room_id
        self.max_member_count = max_member_count
        self.members: dict[str, Member] = {}
        self._bus = bus
        self._subject = room_subject(app_id, room_id)
        self._subscription = bus.subscribe(self._subject, self._deliver)

    def close(self) -> None:
        """Stop listening; the room is no longer used."""
        self._subscription.cancel()

    def full_for(self, user_id: str) -> bool:
        """Whether one more user does not fit. A session of the same user is about to be replaced: not counted."""
        if self.max_member_count == 0:
            return False
        others = sum(member.user.user_id != user_id for member in self.members.values())
        return others >= self.max_member_count

    def add(self, member: Member) -> None:
        """Give ``member`` a place; it hears nothing and is not seen before it is JOINED."""
        self.members[member.session_id] = member
        member.room = self

    def remove(self, member: Member) -> None:
        """Take the place back. Idempotent."""
        self.members.pop(member.session_id, None)
        member.room = None

    def users_for(self, asker: Member) -> list[User]:
        """Announced users other than ``asker``, if it wants to hear of users."""
        if not asker.notify:
            return []
        return [m.user for m in self._joined() if m.announced and m is not asker]

    def streams_for(self, asker: Member) -> list[Stream]:
        """Live streams of others."""
        return [
            publication.stream
            for member in self._joined()
            if member is not asker
            for publication in member.publications.values()
            if publication.live
        ]

    def tell_users(self, update: int, user: User, *, session_id: str) -> None:
        """Announce a user that came or went."""
        self._publish(UsersChanged(update, (user,), session_id))

    def tell_streams(self, update: int, streams: tuple[Stream, ...], *, session_id: str) -> None:
        """Announce streams that came or went."""
        self._publish(StreamsChanged(update, streams, session_id))

    def _publish(self, event: RoomEvent) -> None:
        self._bus.publish(self._subject, encode_event(event))

    def _joined(self) -> Iterator[Member]:
        return (member for member in self.members.values() if member.state is MemberState.JOINED)

    def _deliver(self, payload: bytes) -> None:
        event = decode_room_event(payload)
        listeners = [member for member in self._joined() if member.session_id != event.session_id]
        if isinstance(event, UsersChanged):
            listeners = [member for member in listeners if member.notify]
            notice = encode(UserNotice(event.update, event.users))
        else:
            notice = encode(StreamNotice(event.update, event.streams))
        for member in listeners:
            member.outbox.send(notice)
