"""Who is there: a session's place in its room from its login to its end, and what others see of it.

A session is *present* while the others see it. One whose connection is lost stays present for a short while, then it
is *away*: its streams end and the others are told that it went, but its client may still resume it. Alive is who was
heard by a message or by authenticated media, whichever is newer (docs/protocol.md section 3.4).
"""

from __future__ import annotations

from functools import partial

import structlog

from sanderling.bridge.events import Stats
from sanderling.enums import PublisherState, StreamDeleteReason, UpdateType
from sanderling.errors import ErrorCode
from sanderling.server.bus.base import room_subject, session_subject
from sanderling.server.registry import RoomView
from sanderling.server.rooms.context import Farewell, RoomContext
from sanderling.server.rooms.events import (
    Forbid,
    UserChange,
    UserChanges,
    decode_session_event,
    encode_event,
)
from sanderling.server.rooms.member import Member, MemberState, Publication
from sanderling.server.rooms.playing import Playing
from sanderling.server.rooms.publishing import Publishing
from sanderling.server.rooms.room import Room
from sanderling.signaling.messages import Kicked, OnlineCountNotice, PublisherStateNotice, User

__all__ = ["Presence"]

log = structlog.get_logger("rooms")

COUNT_EVERY_S = 30.0
"""How often a room's members are told how many they are, when that changed (product-facts 1.2)."""
MEDIA_MARGIN_S = 0.5
"""How long after the loss of a connection media must have come to show that only the connection was lost: packets
of a client that died with it may be on their way for so long. Lower takes dead clients for live ones."""
MOST_FAREWELLS = 20_000
"""Sessions ended by others of which is remembered why: 90 s of 200 replaced a second. Of about 500 bytes each; from
there on the oldest go first, and a client of one that went logs in anew."""


class Presence:
    """See the module."""

    def __init__(self, context: RoomContext, publishing: Publishing, playing: Playing) -> None:
        self._context = context
        self._publishing = publishing
        self._playing = playing

    # ---------------------------------------------------------------------------------------- in and out

    def enter(self, member: Member) -> Room:
        """Give ``member`` its place on this node; nobody sees it yet."""
        context = self._context
        member.session_subscription = context.bus.subscribe(
            session_subject(member.session_id), partial(self._told, member)
        )
        key = (member.app_id, member.room_id)
        room = context.rooms.get(key)
        if room is None:
            room = context.rooms[key] = Room(member.app_id, member.room_id, context.bus, context.later)
            log.info("room_made", app_id=member.app_id, room=member.room_id)
        room.add(member)
        context.members[member.session_id] = member
        return room

    async def arrive(self, member: Member) -> RoomView | None:
        """Count ``member`` in; returns what it finds, None when it was replaced meanwhile. The others are not told."""
        if member.room is not None and member.state is MemberState.JOINING:
            member.room.expect(member)
        view = await self._context.registry.arrive(
            member.session_id,
            notify=member.notify,
            notice_members=member.project.settings.notice_members,
        )
        if view is not None:
            member.present = True
            if member.state is MemberState.JOINING:
                member.seen = view.seen
        return view

    def tell_arrival(self, member: Member, view: RoomView) -> None:
        """Tell the others that ``member`` came, when they are to know."""
        room = member.room
        if room is None:
            return
        room.online = view.online
        if view.arrival:
            room.tell_user(UpdateType.ADD, view.arrival, member.session_id, member.user)
        self._count_later(room)

    def tell_departure(
        self, room_key: tuple[int, str], session_id: str, user: User, number: int, reason: StreamDeleteReason
    ) -> None:
        """Tell the others that a session went, when they are to know: ``number`` is what the registry said of it."""
        if not number:
            return
        context = self._context
        room = context.rooms.get(room_key)
        if room is not None:
            room.tell_user(UpdateType.DELETE, number, session_id, user, reason=int(reason))
        else:
            # Nobody is left on this node; there may be others elsewhere.
            event = UserChanges(UpdateType.DELETE, (UserChange(number, session_id, user),), int(reason))
            context.bus.publish(room_subject(*room_key), encode_event(event))

    def _tell_gone(self, member: Member, number: int, reason: StreamDeleteReason) -> None:
        key = (member.app_id, member.room_id)
        self.tell_departure(key, member.session_id, member.user, number, reason)

    async def leave(self, member: Member, reason: StreamDeleteReason, *, custom_reason: str = "") -> None:
        """End a session and release everything. Idempotent."""
        self.leave_now(member, reason, custom_reason=custom_reason)
        await self._release(member, reason)

    async def _release(self, member: Member, reason: StreamDeleteReason) -> None:
        # First the registry, then the others: who reads the room in between would see for good who has gone.
        number = await self._context.registry.release_session(
            member.app_id, member.user.user_id, member.session_id
        )
        self._tell_gone(member, number, reason)
        self._context.members.pop(member.session_id, None)

    def leave_soon(self, member: Member, reason: StreamDeleteReason, *, custom_reason: str = "") -> None:
        """``leave`` without waiting: the session's streams end now, the registry follows."""
        self.leave_now(member, reason, custom_reason=custom_reason)
        self._context.background.spawn(self._release(member, reason))

    def leave_now(self, member: Member, reason: StreamDeleteReason, *, custom_reason: str = "") -> None:
        """The part of ``leave`` that does not wait; the registry is left to the caller."""
        if member.left:
            return
        context = self._context
        was_present = member.present
        member.state = MemberState.LEFT
        member.present = False
        for appointment in (member.watch, member.token_due):
            if appointment is not None:
                appointment.cancel()
        if member.session_subscription is not None:
            member.session_subscription.cancel()
            member.session_subscription = None
        for subscription in member.data_subscriptions.values():
            subscription.cancel()
        member.data_subscriptions.clear()
        publications = tuple(member.publications.values())
        self._publishing.end_now(member, publications, reason, custom_reason=custom_reason)
        self._playing.leave(member)
        room = member.room
        if room is None:
            return
        if was_present:
            log.info("user_left", app_id=member.app_id, room=member.room_id, user=member.user.user_id)
            self._count_later(room)
        room.remove(member)
        if not room.members:
            room.close()
            context.rooms.pop((room.app_id, room.room_id), None)
            log.info("room_gone", app_id=room.app_id, room=room.room_id)

    # ----------------------------------------------------------------------------------- told by the node

    def _told(self, member: Member, payload: bytes) -> None:
        if member.left:
            return
        event = decode_session_event(payload)
        if isinstance(event, Forbid):
            self._context.background.spawn(
                self._publishing.forbid(member, event.stream_id, event.custom_reason)
            )
            return
        kicked = Kicked(event.code, event.message, origin=event.origin, custom_reason=event.custom_reason)
        if member.resumable:
            # Also when it has a connection: that may be dead without anybody knowing it yet.
            self._keep_farewell(member, kicked)
        self.leave_soon(member, StreamDeleteReason(event.delete_reason), custom_reason=event.custom_reason)
        member.send_uncounted(kicked)
        member.mailbox.close("kicked")

    def _keep_farewell(self, member: Member, kicked: Kicked) -> None:
        context = self._context
        if len(context.farewells) >= MOST_FAREWELLS:
            del context.farewells[next(iter(context.farewells))]
        context.farewells[member.session_id] = Farewell(member.secret, kicked)
        context.agenda.at(
            context.steady() + context.resume_s, partial(self._forget_farewell, member.session_id)
        )

    def _forget_farewell(self, session_id: str) -> None:
        self._context.farewells.pop(session_id, None)

    # ------------------------------------------------------------------------------------- away and back

    def lost(self, member: Member, *, silent: bool = False) -> None:
        """The connection of a resumable session is gone, or has been ``silent`` for too long."""
        now = self._context.steady()
        member.connection = None
        member.lost_at = now
        member.mailbox.detach()
        if member.watch is not None:
            member.watch.cancel()
            member.watch = None
        if silent:
            self._away(member, StreamDeleteReason.HEARTBEAT_TIMEOUT)
        self._watch(member)

    def _silent_s(self, member: Member) -> float:
        return float(member.project.settings.silent_s) or self._context.silent_s

    def patience(self, member: Member) -> float:
        """Seconds that a member may still be silent before it has gone; 0.0 when it has."""
        heard = max(member.heard, member.media_heard)
        return max(0.0, heard + self._silent_s(member) - self._context.steady())

    def _watch(self, member: Member) -> None:
        """Look again when something could be due; called whenever a lost member's state may have changed."""
        lost_at = member.lost_at
        if lost_at is None or member.left:
            return
        now = self._context.steady()
        over_at = lost_at + self._context.resume_s
        media = member.media_heard > lost_at + MEDIA_MARGIN_S
        gone_at = member.media_heard + self._silent_s(member) if media else lost_at + self._context.closed_s
        if now >= over_at:
            self.leave_soon(member, StreamDeleteReason.CONNECTION_LOST)
            return
        if member.present and now >= gone_at:
            reason = StreamDeleteReason.HEARTBEAT_TIMEOUT if media else StreamDeleteReason.CONNECTION_LOST
            self._away(member, reason)
        due = min(over_at, gone_at) if member.present else over_at
        member.watch = self._context.agenda.at(due, partial(self._watch, member))

    def _away(self, member: Member, reason: StreamDeleteReason) -> None:
        """Others are told that the member went; its own client learns of it when it comes back."""
        if not member.present:
            return
        member.present = False
        publications = tuple(member.publications.values())
        self._publishing.end_now(member, publications, reason)
        for publication in publications:
            notice = PublisherStateNotice(
                publication.stream.stream_id,
                PublisherState.NO_PUBLISH,
                int(ErrorCode.PUBLISH_INTERRUPTED),
                "the connection was away for too long; publish again",
            )
            member.send(notice)
        if member.room is not None:
            self._count_later(member.room)
        log.info("user_away", app_id=member.app_id, room=member.room_id, user=member.user.user_id)
        self._context.background.spawn(self._hide(member, publications, reason))

    async def _hide(
        self, member: Member, publications: tuple[Publication, ...], reason: StreamDeleteReason
    ) -> None:
        await self._publishing.release(member, publications)
        # Its client may be taking the session over just now: one after the other.
        async with member.turn:
            if not member.present:
                number = await self._context.registry.depart(member.session_id)
                self._tell_gone(member, number, reason)

    async def back(self, member: Member) -> None:
        """A lost member's client has taken its session over on another connection."""
        member.lost_at = None
        if member.watch is not None:
            member.watch.cancel()
            member.watch = None
        if member.present or member.left:
            return
        view = await self.arrive(member)
        if view is not None:
            self.tell_arrival(member, view)
            log.info("user_back", app_id=member.app_id, room=member.room_id, user=member.user.user_id)

    def media_heard(self, event: Stats) -> None:
        """One of a member's transports reports; what it says of the peer's silence counts as a sign of life."""
        context = self._context
        member = context.viewers.get(event.session)
        if member is None and (found := context.publishers.get(event.session)) is not None:
            member = found[0]
        silent_ms = event.values.get("silent_ms")
        if member is not None and silent_ms is not None:
            member.media_heard = max(member.media_heard, context.steady() - silent_ms / 1000)

    # -------------------------------------------------------------------------------------- online count

    def _count_later(self, room: Room) -> None:
        if room.count_due is not None:
            return
        due = self._context.steady() + COUNT_EVERY_S
        room.count_due = self._context.agenda.at(due, partial(self._count, room))

    def _count(self, room: Room) -> None:
        room.count_due = None
        self._context.background.spawn(self._tell_count(room))

    async def _tell_count(self, room: Room) -> None:
        online = await self._context.registry.online(room.app_id, room.room_id)
        if room.members and online != room.told_online:
            room.told_online = online
            room.tell_here(OnlineCountNotice(online))
