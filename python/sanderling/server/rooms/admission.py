"""The ways into a room: login, resumption of a session, and the switch from one room to another."""

from __future__ import annotations

import hashlib
import hmac

import structlog

from sanderling.bridge import MediaFailed
from sanderling.enums import StreamDeleteReason, UpdateType
from sanderling.errors import ErrorCode, RoomError, SanderlingError
from sanderling.ids import RoomId, parse_app_id, parse_room_id, parse_user
from sanderling.server.bus.base import session_subject
from sanderling.server.registry import Admission as Claim
from sanderling.server.registry import Refusal, SessionEntry
from sanderling.server.rooms import access, policy
from sanderling.server.rooms.context import RoomContext, check_present
from sanderling.server.rooms.credentials import Credentials
from sanderling.server.rooms.events import Kick, encode_event
from sanderling.server.rooms.mailbox import Mailbox
from sanderling.server.rooms.member import Connection, Member, MemberState
from sanderling.server.rooms.playing import Playing
from sanderling.server.rooms.presence import Presence
from sanderling.server.rooms.rates import Rates
from sanderling.server.rooms.room import batches
from sanderling.server.storage import Project
from sanderling.signaling.codec import encode
from sanderling.signaling.messages import (
    Login,
    LoginOk,
    Resume,
    ResumeOk,
    RoomConfig,
    SessionKey,
    StreamNotice,
    SwitchRoom,
    User,
    UserNotice,
)
from sanderling.tokens import Token

__all__ = ["Admission"]

log = structlog.get_logger("rooms")

HEARTBEATS_IN_SILENCE = 3
"""Heartbeats that fit into the time a session may be silent: so many may be lost but one."""
LONGEST_HEARTBEAT_MS = 10_000
"""Where a project allows long silence: heartbeats also confirm what need not be kept."""

_REFUSALS = {
    Refusal.BESIDE_GONE: (
        ErrorCode.SESSION_ERROR,
        "the session to open a room beside is not there (any more)",
        "log in without `beside`, which replaces whatever sessions the user has",
    ),
    Refusal.BESIDE_OTHER_USER: (
        ErrorCode.MULTI_ROOM_USER_DIFFERS,
        "the session to open a room beside is another user's",
        "one client is the same user in all its rooms",
    ),
    Refusal.SAME_ROOM: (
        ErrorCode.ROOM_ID_IN_USE,
        "this user is in that room already",
        "use the session that is there",
    ),
    Refusal.ONE_ROOM_ONLY: (
        ErrorCode.MULTI_ROOM_NOT_ENABLED,
        "this project allows a user one room at a time",
        "raise max_rooms of the project",
    ),
    Refusal.TOO_MANY_ROOMS: (
        ErrorCode.TOO_MANY_ROOMS,
        "this user is in as many rooms as the project allows",
        "log out of one first, or raise max_rooms of the project",
    ),
}


def _key(secret: str) -> str:
    """What the registry keeps of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest() if secret else ""


class Admission:
    """See the module."""

    def __init__(
        self,
        context: RoomContext,
        presence: Presence,
        playing: Playing,
        credentials: Credentials,
        rates: Rates,
    ) -> None:
        self._context = context
        self._presence = presence
        self._playing = playing
        self._credentials = credentials
        self._rates = rates

    # --------------------------------------------------------------------------------------------- login

    async def login(self, connection: Connection, message: Login) -> None:
        """Let a connection in; the checks come in the order of docs/protocol.md section 3.1."""
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
        if not project.settings.online:
            raise SanderlingError(
                ErrorCode.PROJECT_OFFLINE,
                f"project {app_id} was taken out of service",
                hint="ask the operator of the server",
            )
        access.check_address(project.settings, connection.origin)
        token = policy.authenticate(project, message, now=context.clock())
        if message.beside.session_id:
            access.check_multi_room(project.settings, message.user.user_id)
        await self._check_entry(project, room_id, message.user, token)
        if connection.closed:
            return
        member = self._member(
            connection, project, room_id, message.user, token, message.config, message.resumable
        )
        await self._let_in(connection, member, message, message.beside, message.viewer_offer)

    async def _check_entry(self, project: Project, room_id: RoomId, user: User, token: Token | None) -> None:
        context = self._context
        required = project.settings.require_privileges
        policy.check_login_privilege(token, room_id, required=required)
        if await context.registry.banned(project.app_id, f"user:{user.user_id}", context.clock()):
            raise RoomError(
                ErrorCode.USER_BANNED,
                f"user {user.user_id!r} is shut out by the server",
                hint="ask its operator; it may end by itself",
            )
        self._rates.check_login(project, room_id)

    def _member(
        self,
        connection: Connection,
        project: Project,
        room_id: RoomId,
        user: User,
        token: Token | None,
        config: RoomConfig,
        resumable: bool,
    ) -> Member:
        context = self._context
        return Member(
            project=project,
            room_id=room_id,
            user=user,
            session_id=context.new_session_id(),
            secret=context.new_secret(),
            origin=connection.origin,
            mailbox=Mailbox(connection.outbox, keep=resumable),
            token=token,
            notify=config.is_user_status_notify,
            custom_data=config.custom_data,
            resumable=resumable,
            connection=connection,
            heard=context.steady(),
        )

    async def _let_in(
        self,
        connection: Connection,
        member: Member,
        message: Login | SwitchRoom,
        beside: SessionKey,
        viewer_offer: str,
    ) -> None:
        connection.member = member
        try:
            if connection.closed:
                raise self._unresumable("the connection ended before the session began")
            await self._join(member, message, beside, viewer_offer)
        except BaseException:
            await self._presence.leave(member, StreamDeleteReason.CONNECTION_LOST)
            if connection.member is member:
                connection.member = None
            raise

    async def _join(
        self, member: Member, message: Login | SwitchRoom, beside: SessionKey, viewer_offer: str
    ) -> None:
        context = self._context
        self._presence.enter(member)
        claim = await context.registry.claim_user(
            SessionEntry(
                member.app_id,
                member.user.user_id,
                member.session_id,
                member.room_id,
                member.origin,
                context.node,
                member.user.user_name,
                _key(member.secret),
                context.clock(),
            ),
            beside=(beside.session_id, _key(beside.secret)) if beside.session_id else None,
            max_rooms=member.project.settings.max_rooms,
            limit=message.config.max_member_count,
            room_limit=member.project.settings.room_limit,
        )
        self._check_claim(claim)
        for previous, departure in zip(claim.replaced, claim.departures, strict=True):
            kick = Kick(
                int(ErrorCode.KICKED_BY_SAME_USER),
                "the same userID has logged in elsewhere",
                member.origin,
                int(StreamDeleteReason.REPEATED_LOGIN),
            )
            context.bus.publish(session_subject(previous.session_id), encode_event(kick))
            # By whoever took its place, who alone can be sure to be there.
            self._presence.tell_departure(
                (previous.app_id, previous.room_id),
                previous.session_id,
                User(previous.user_id, previous.user_name),
                departure,
                StreamDeleteReason.REPEATED_LOGIN,
            )
        check_present(member)
        answer = ""
        if viewer_offer:
            try:
                answer = await self._playing.open_viewer(member, viewer_offer)
            except MediaFailed as error:
                raise policy.login_failure(error) from None
            check_present(member)
        await self._welcome(member, message.seq, answer)

    def _check_claim(self, claim: Claim) -> None:
        if claim.refused is None:
            return
        if claim.refused is Refusal.FULL:
            raise RoomError(
                ErrorCode.ROOM_FULL,
                f"the room is full: {claim.limit} members",
                hint="the first login of a room sets max_member_count",
            )
        if claim.refused is Refusal.PROJECT_FULL:
            raise RoomError(
                ErrorCode.TOO_MANY_ROOMS_OF_PROJECT,
                f"the project has {claim.limit} rooms, as many as it may have",
                hint="close a room, or raise room_limit of the project",
            )
        code, text, hint = _REFUSALS[claim.refused]
        raise RoomError(code, text, hint=hint)

    async def _welcome(self, member: Member, seq: int, answer: str) -> None:
        context = self._context
        view = await self._presence.arrive(member)
        check_present(member)
        if view is None or member.room is None:
            raise RoomError(ErrorCode.SESSION_ERROR, "the session was replaced while it logged in")
        users, *more_users = batches(view.users if member.notify else ())
        streams, *more_streams = batches(view.streams)
        settled = context.started + context.settle_s - context.steady()
        member.taken = seq
        welcome = LoginOk(
            seq=seq,
            session_id=member.session_id,
            server_ms=int(context.clock() * 1000),
            heartbeat_ms=self._heartbeat_ms(member),
            max_plays=member.project.max_plays,
            users=users,
            streams=streams,
            viewer_answer=answer,
            ice_servers=context.ice_servers(member.user.user_id, context.clock()),
            secret=member.secret,
            resume_ms=int(context.resume_s * 1000) if member.resumable else 0,
            online=view.online,
            room_extra_info=view.extra_info,
            settle_ms=max(0, int(settled * 1000)),
            token_expires_ms=member.token.expire * 1000 if member.token is not None else 0,
            switched_off=member.project.settings.switched_off(),
        )
        member.send_uncounted(welcome)
        for part in more_users:
            member.send(UserNotice(UpdateType.ADD, part))
        for rest in more_streams:
            member.send(StreamNotice(UpdateType.ADD, rest))
        member.state = MemberState.JOINED
        member.room.hear(member)
        self._credentials.watch(member)
        log.info("user_joined", app_id=member.app_id, room=member.room_id, user=member.user.user_id)
        self._presence.tell_arrival(member, view)

    def _heartbeat_ms(self, member: Member) -> int:
        silent_s = float(member.project.settings.silent_s)
        if not silent_s:
            return int(self._context.silent_s * 1000 / HEARTBEATS_IN_SILENCE)
        return min(int(silent_s * 1000 / HEARTBEATS_IN_SILENCE), LONGEST_HEARTBEAT_MS)

    # -------------------------------------------------------------------------------------------- resume

    async def resume(self, connection: Connection, message: Resume) -> None:
        """Give a session another connection and send what its client missed; 1002057 when that cannot be."""
        if connection.member is not None:
            raise RoomError(
                ErrorCode.ROOM_COUNT_EXCEEDED, "this connection is logged in already", hint="open another one"
            )
        if self._said_farewell(connection, message):
            return
        member = self._context.members.get(message.session_id)
        if (
            member is None
            or not member.resumable
            or member.state is not MemberState.JOINED
            or not hmac.compare_digest(member.secret.encode(), message.secret.encode())
        ):
            raise self._unresumable("there is no such session (any more)")
        project = await self._context.storage.project(member.app_id)
        if connection.closed or (member.left and self._said_farewell(connection, message)):
            return
        if member.left or project is None:
            raise self._unresumable("there is no such session (any more)")
        access.check_address(project.settings, connection.origin)
        former = member.connection
        member.connection = connection
        member.mailbox.detach()
        if former is not None:
            # Its client has given it up; whatever it still reads belongs to nobody. A request under way is the
            # session's: it is carried out to its end, and answered here.
            former.member = None
            former.kept = True
            former.outbox.close("resumed elsewhere")
        try:
            await self._take_over(connection, member, message)
        except BaseException:
            self._not_taken_over(connection, member)
            raise

    def _not_taken_over(self, connection: Connection, member: Member) -> None:
        """A connection that ended before it had the session it was to have: nobody else looks after that."""
        if member.connection is connection and connection.member is not member and not member.left:
            self._presence.lost(member)

    def _said_farewell(self, connection: Connection, message: Resume) -> bool:
        """Whether the session was ended by others: its client is told so, and the connection closed."""
        farewell = self._context.farewells.get(message.session_id)
        if farewell is None or not hmac.compare_digest(farewell.secret.encode(), message.secret.encode()):
            return False
        connection.send(farewell.kicked)
        connection.outbox.close("kicked")
        return True

    async def _take_over(self, connection: Connection, member: Member, message: Resume) -> None:
        async with member.turn:  # A request of the former connection may still be under way.
            if member.left and self._said_farewell(connection, message):
                return
            check_present(member)
            if member.connection is not connection or connection.closed:
                raise self._unresumable("the session was resumed elsewhere meanwhile")
            missed = member.mailbox.missed(message.received)
            if missed is None:
                await self._presence.leave(member, StreamDeleteReason.CONNECTION_LOST)
                raise self._unresumable("more was missed than is kept")
            connection.member = member
            member.origin = connection.origin
            member.heard = self._context.steady()
            welcome = ResumeOk(
                seq=message.seq,
                taken=member.taken,
                server_ms=int(self._context.clock() * 1000),
                heartbeat_ms=self._heartbeat_ms(member),
                missed=len(missed),
                ice_servers=self._context.ice_servers(member.user.user_id, self._context.clock()),
            )
            connection.outbox.send(encode(welcome))
            for data in missed:
                connection.outbox.send(data)
            member.mailbox.attach(connection.outbox)
            await self._presence.back(member)
            log.info("session_resumed", user=member.user.user_id, missed=len(missed))

    def _unresumable(self, why: str) -> SanderlingError:
        return RoomError(ErrorCode.SESSION_ERROR, why, hint="log in again")

    # -------------------------------------------------------------------------------------- another room

    async def switch(self, connection: Connection, member: Member, message: SwitchRoom) -> None:
        """Leave the room for another one, with the connection and the viewer transport."""
        context = self._context
        policy.check_custom_data(message.config.custom_data)
        if message.config.max_member_count < 0:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, "max_member_count must not be negative")
        room_id = parse_room_id(message.room_id)
        if room_id == member.room_id:
            raise RoomError(ErrorCode.ROOM_ID_IN_USE, "this session is in that room already")
        if len(await context.registry.sessions(member.app_id, member.user.user_id)) > 1:
            raise RoomError(
                ErrorCode.SWITCH_ROOM_IN_MULTI_ROOM,
                "the user is in several rooms: they cannot be switched",
                hint="log out of one and log in to the other",
            )
        project = await context.storage.project(member.app_id)
        check_present(member)
        if project is None:
            raise RoomError(ErrorCode.APP_ID_INCORRECT, "the project is not there any more")
        access.check_address(project.settings, connection.origin)
        token = member.token
        if message.token:
            token = self._credentials.read(project, member.user.user_id, message.token)
        elif token is not None:
            policy.check_unexpired(token, now=context.clock())
        await self._check_entry(project, room_id, member.user, token)
        check_present(member)
        if connection.closed or connection.member is not member:
            # Nobody would learn of the new session, and whoever comes back is to log in to the new room.
            await self._presence.leave(member, StreamDeleteReason.CONNECTION_LOST)
            raise self._unresumable("the connection ended while the room was switched")
        heir = self._member(
            connection, project, room_id, member.user, token, message.config, member.resumable
        )
        self._playing.hand_over(member, heir)
        await self._presence.leave(member, StreamDeleteReason.PUBLISHER_STOPPED)
        await self._let_in(connection, heir, message, SessionKey(), "")
