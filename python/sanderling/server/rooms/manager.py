"""The rooms of this node: dispatches a connection's messages, logs users in and out, routes media events.

Requests of one connection are handled one after the other by the caller; those of different connections
interleave at awaits. After each await a member may have left: what was begun is then undone.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import structlog

from sanderling.bridge import MediaFailed
from sanderling.bridge.events import Connected, Flowing, MediaEvent, SessionClosed, TrackStarted
from sanderling.enums import StreamDeleteReason, UpdateType
from sanderling.errors import ErrorCode, RateLimited, RoomError, SanderlingError
from sanderling.ids import AppId, RoomId, parse_app_id, parse_room_id, parse_user
from sanderling.server.bus.base import session_subject
from sanderling.server.registry import SessionEntry
from sanderling.server.rooms import policy
from sanderling.server.rooms.context import RoomContext, check_present
from sanderling.server.rooms.events import Kick, decode_kick, encode_event
from sanderling.server.rooms.member import Connection, Member, MemberState, Outbox
from sanderling.server.rooms.playing import Playing
from sanderling.server.rooms.publishing import Publishing
from sanderling.server.rooms.room import Room, batches
from sanderling.signaling.messages import (
    ClientMessage,
    Error,
    Heartbeat,
    HeartbeatOk,
    Kicked,
    Login,
    LoginOk,
    Logout,
    Ok,
    Play,
    Publish,
    RoomConfig,
    SetVideoType,
    StopPlay,
    StopPublish,
    StreamNotice,
    UserNotice,
    ViewerOffer,
)

__all__ = ["RoomManager"]

log = structlog.get_logger("rooms")

LARGEST_NUMBER = 2**53 - 1
"""Largest whole number every JSON implementation keeps exact."""
LONGEST_TEXT = 1000
"""Characters of an error's sentence."""


class RoomManager:
    """See the module. ``errors`` counts what was replied, by code."""

    def __init__(self, context: RoomContext) -> None:
        self._context = context
        self._publishing = Publishing(context)
        self._playing = Playing(context)
        self._rooms: dict[tuple[int, str], Room] = {}
        self._connections: set[Connection] = set()
        self.errors: Counter[int] = Counter()
        context.engine.listen(self.on_media_event)

    # -------------------------------------------------------------------------------------- connections

    def connect(self, outbox: Outbox, origin: str) -> Connection:
        """Begin a connection; ``origin`` says where it comes from, e.g. "192.0.2.7:51000"."""
        connection = Connection(outbox, origin)
        self._connections.add(connection)
        return connection

    async def disconnect(self, connection: Connection, reason: StreamDeleteReason) -> None:
        """The connection is over: everything its session holds is released. Idempotent."""
        connection.closed = True
        self._connections.discard(connection)
        if connection.member is not None:
            await self._leave(connection.member, reason)
            connection.member = None

    def disconnect_soon(self, connection: Connection, reason: StreamDeleteReason) -> None:
        """``disconnect`` without waiting; ``settle`` waits for it."""
        self._context.background.spawn(self.disconnect(connection, reason))

    async def handle(self, connection: Connection, message: ClientMessage) -> None:
        """Carry out one request; its reply, or an Error with its code, goes to the outbox."""
        try:
            await self.request(connection, message)
        except SanderlingError as error:
            self.refuse(connection, error, seq=message.seq if 0 < message.seq <= LARGEST_NUMBER else 0)

    async def request(self, connection: Connection, message: ClientMessage) -> None:
        """Carry out one request; its reply goes to the outbox, a failure is raised."""
        if not 0 < message.seq <= LARGEST_NUMBER:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, "seq must be a whole number from 1 to 2^53 - 1"
            )
        try:
            await self._dispatch(connection, message)
        except SanderlingError:
            raise
        except Exception:
            log.exception("request_failed", kind=type(message).__name__)
            raise SanderlingError(
                ErrorCode.INTERNAL_ERROR, "the server failed to carry out the request; it was logged"
            ) from None

    async def renegotiate_publisher(self, connection: Connection, stream_id: str, offer: str) -> str:
        """Answer a later offer of a stream that this connection publishes, e.g. one with new ICE credentials."""
        return await self._publishing.renegotiate(self._member_of(connection), stream_id, offer)

    async def check_stream(self, app_id: int, stream_id: str) -> None:
        """1004002 when there is no such stream to play, before anything is made for a viewer."""
        await self._playing.find(app_id, stream_id)

    def refuse(self, connection: Connection, error: SanderlingError, *, seq: int = 0) -> None:
        """Reply with an error (``seq`` 0: not to a request)."""
        self.errors[int(error.code)] += 1
        wait = int(error.retry_after * 1000) if isinstance(error, RateLimited) else 0
        text = error.message
        if len(text) > LONGEST_TEXT:
            # It quotes what the client sent, which may be as long as a message: the reply must not become too long.
            text = text[:LONGEST_TEXT] + "…"
        connection.send(Error(int(error.code), text, seq=seq, hint=error.hint, retry_after_ms=wait))

    async def _dispatch(self, connection: Connection, message: ClientMessage) -> None:
        if isinstance(message, Login):
            await self._login(connection, message)
            return
        if isinstance(message, Heartbeat):
            self._heartbeat(connection, message)
            return
        member = self._member_of(connection)
        if isinstance(message, Publish):
            await self._publishing.publish(member, message)
        elif isinstance(message, StopPublish):
            await self._publishing.stop(member, message)
        elif isinstance(message, Play):
            await self._playing.play(member, message)
        elif isinstance(message, StopPlay):
            await self._playing.stop(member, message)
        elif isinstance(message, SetVideoType):
            await self._playing.set_video_type(member, message)
        elif isinstance(message, ViewerOffer):
            await self._playing.viewer_offer(member, message)
        elif isinstance(message, Logout):
            await self._leave(member, StreamDeleteReason.PUBLISHER_STOPPED)
            connection.send(Ok(message.seq))
            connection.outbox.close("logged out")

    def _member_of(self, connection: Connection) -> Member:
        if connection.member is None or not connection.logged_in:
            raise SanderlingError(
                ErrorCode.NOT_LOGGED_IN, "this connection is not logged in to a room", hint="send login first"
            )
        return connection.member

    def _heartbeat(self, connection: Connection, message: Heartbeat) -> None:
        if abs(message.client_ms) > LARGEST_NUMBER:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, "client_ms is out of range")
        connection.send(HeartbeatOk(message.seq, message.client_ms, self._now_ms()))

    # ------------------------------------------------------------------------------------ login, logout

    async def _login(self, connection: Connection, message: Login) -> None:
        context = self._context
        if connection.member is not None:
            raise RoomError(
                ErrorCode.ROOM_COUNT_EXCEEDED,
                "this connection is logged in already",
                hint="log out first, or open another connection",
            )
        policy.check_login(message)
        app_id = parse_app_id(message.app_id)
        room_id = parse_room_id(message.room_id)
        parse_user(message.user.user_id, message.user.user_name)
        project = await context.storage.project(app_id)
        if project is None:
            raise RoomError(
                ErrorCode.APP_ID_INCORRECT,
                f"there is no project with AppID {app_id}",
                hint="`sanderling project list` shows those of this server",
            )
        token = policy.authenticate(project, message, now=context.clock())
        policy.check_login_privilege(token, room_id)
        if connection.closed:
            return
        self._check_place(app_id, room_id, message.user.user_id)
        member = Member(
            app_id=app_id,
            room_id=room_id,
            user=message.user,
            session_id=context.new_session_id(),
            origin=connection.origin,
            outbox=connection.outbox,
            token=token,
            notify=message.config.is_user_status_notify,
        )
        connection.member = member
        try:
            await self._join(connection, member, message, max_plays=project.max_plays)
        except BaseException:
            await self._leave(member, StreamDeleteReason.CONNECTION_LOST)
            if connection.member is member:
                connection.member = None
            raise

    async def _join(self, connection: Connection, member: Member, message: Login, *, max_plays: int) -> None:
        context = self._context
        member.kick_subscription = context.bus.subscribe(
            session_subject(member.session_id), partial(self._on_kick, connection, member)
        )
        previous = await context.registry.claim_user(
            SessionEntry(
                member.app_id,
                member.user.user_id,
                member.session_id,
                member.room_id,
                member.origin,
                context.node,
            )
        )
        if previous is not None:
            kick = Kick(
                int(ErrorCode.KICKED_BY_SAME_USER),
                "the same userID has logged in elsewhere",
                member.origin,
                int(StreamDeleteReason.REPEATED_LOGIN),
            )
            context.bus.publish(session_subject(previous.session_id), encode_event(kick))
        check_present(member)
        self._check_place(member.app_id, member.room_id, member.user.user_id)
        room = self._enter(member, message.config)
        answer = ""
        if message.viewer_offer:
            try:
                answer = await self._playing.open_viewer(member, message.viewer_offer)
            except MediaFailed as error:
                raise policy.login_failure(error) from None
            check_present(member)
        self._welcome(room, member, message.seq, answer, max_plays)

    def _check_place(self, app_id: AppId | int, room_id: RoomId | str, user_id: str) -> None:
        room = self._rooms.get((app_id, room_id))
        if room is not None and room.full_for(user_id):
            raise RoomError(
                ErrorCode.ROOM_FULL,
                f"the room is full: {room.max_member_count} members",
                hint="the first login of a room sets max_member_count",
            )

    def _enter(self, member: Member, config: RoomConfig) -> Room:
        key = (member.app_id, member.room_id)
        room = self._rooms.get(key)
        if room is None:
            room = Room(member.app_id, member.room_id, config.max_member_count, self._context.bus)
            self._rooms[key] = room
            log.info("room_made", app_id=member.app_id, room=member.room_id)
        room.add(member)
        return room

    def _welcome(self, room: Room, member: Member, seq: int, answer: str, max_plays: int) -> None:
        users, *more_users = batches(room.users_for(member))
        streams, *more_streams = batches(room.streams_for(member))
        member.send(
            LoginOk(
                seq=seq,
                session_id=member.session_id,
                server_ms=self._now_ms(),
                heartbeat_ms=self._context.heartbeat_ms,
                max_plays=max_plays,
                users=users,
                streams=streams,
                viewer_answer=answer,
                ice_servers=self._context.ice_servers(member.user.user_id, self._context.clock()),
            )
        )
        for part in more_users:
            member.send(UserNotice(UpdateType.ADD, part))
        for rest in more_streams:
            member.send(StreamNotice(UpdateType.ADD, rest))
        member.state = MemberState.JOINED
        member.announced = member.notify and len(room.members) <= policy.ANNOUNCE_LIMIT
        log.info("user_joined", app_id=member.app_id, room=member.room_id, user=member.user.user_id)
        if member.announced:
            room.tell_users(UpdateType.ADD, member.user, session_id=member.session_id)

    def _on_kick(self, connection: Connection, member: Member, payload: bytes) -> None:
        if member.left:
            return
        kick = decode_kick(payload)
        self._leave_now(member, StreamDeleteReason(kick.delete_reason))
        self._context.background.spawn(self._release(member))
        member.send(Kicked(kick.code, kick.message, kick.origin))
        connection.outbox.close("kicked")

    async def _leave(self, member: Member, reason: StreamDeleteReason) -> None:
        self._leave_now(member, reason)
        await self._release(member)

    async def _release(self, member: Member) -> None:
        await self._context.registry.release_session(member.app_id, member.user.user_id, member.session_id)

    def _leave_now(self, member: Member, reason: StreamDeleteReason) -> None:
        if member.left:
            return
        was_joined = member.state is MemberState.JOINED
        member.state = MemberState.LEFT
        if member.kick_subscription is not None:
            member.kick_subscription.cancel()
            member.kick_subscription = None
        self._publishing.end_now(member, tuple(member.publications.values()), reason)
        self._playing.leave(member)
        room = member.room
        if room is None:
            return
        room.remove(member)
        if was_joined:
            log.info("user_left", app_id=member.app_id, room=member.room_id, user=member.user.user_id)
            if member.announced:
                room.tell_users(UpdateType.DELETE, member.user, session_id=member.session_id)
        if not room.members:
            room.close()
            self._rooms.pop((room.app_id, room.room_id), None)
            log.info("room_gone", app_id=room.app_id, room=room.room_id)

    # ------------------------------------------------------------------------------------ media events

    def on_media_event(self, event: MediaEvent) -> None:
        """Take one event of the engine; called on the loop, in order."""
        if isinstance(event, Connected):
            self._publishing.connected(event.session)
        elif isinstance(event, Flowing):
            self._playing.flowing(event)
        elif isinstance(event, TrackStarted):
            self._publishing.track_started(event)
        elif isinstance(event, SessionClosed):
            self._playing.viewer_lost(event.session, event.reason)
            if event.session in self._context.publishers:
                self._context.background.spawn(self._publishing.lost(event.session, event.reason))

    # ---------------------------------------------------------------------------------- life cycle, sight

    def drain(self) -> None:
        """The server goes down: tell every connection and ask for its end."""
        for connection in tuple(self._connections):
            going = RoomError(
                ErrorCode.CONNECTION_LOST, "the server is shutting down", hint="connect again later"
            )
            self.refuse(connection, going)
            connection.outbox.close("shutting down")

    async def settle(self) -> None:
        """Wait for releases under way."""
        await self._context.background.settle()

    def counts(self) -> dict[str, int]:
        """How much of everything is held; all 0 when nobody is connected."""
        members = [member for room in self._rooms.values() for member in room.members.values()]
        return {
            "rooms": len(self._rooms),
            "users": len(members),
            "streams": len(self._context.publishers),
            "viewers": len(self._context.viewers),
            "plays": sum(len(member.plays) for member in members),
            "connections": len(self._connections),
        }

    def describe(self) -> list[dict[str, Any]]:
        """Every room in plain values, without tokens or SDP, for the debug snapshot."""
        return [
            {
                "app_id": room.app_id,
                "room_id": room.room_id,
                "max_member_count": room.max_member_count,
                "members": [self._describe_member(member) for member in room.members.values()],
            }
            for room in self._rooms.values()
        ]

    def _describe_member(self, member: Member) -> dict[str, Any]:
        return {
            "user_id": member.user.user_id,
            "session_id": member.session_id,
            "state": member.state.value,
            "origin": member.origin,
            "viewer": member.viewer.session if member.viewer else None,
            "publications": [
                {
                    "channel": p.channel,
                    "stream_id": p.stream.stream_id,
                    "session": p.handle.session,
                    "live": p.live,
                    "tracks": [f"{track.kind} {track.codec}" for track in p.stream.tracks],
                }
                for p in member.publications.values()
            ],
            "plays": [
                {
                    "stream_id": play.stream_id,
                    "slot": play.ok.slot if play.ok else None,
                    "resource_mode": play.ok.resource_mode if play.ok else None,
                    "flowing": play.flowing,
                }
                for play in member.plays.values()
            ],
        }

    def _now_ms(self) -> int:
        return int(self._context.clock() * 1000)
