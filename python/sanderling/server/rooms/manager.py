"""The rooms of this node: dispatches a connection's messages, routes media events, and shows what is held.

Requests of one session are carried out one after the other; those of different sessions interleave at awaits. After
each await a member may have left: what was begun is then undone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from sanderling.bridge.events import Connected, Flowing, MediaEvent, SessionClosed, Stats, TrackStarted
from sanderling.enums import StreamDeleteReason
from sanderling.errors import ErrorCode, RateLimited, RoomError, SanderlingError
from sanderling.server.rooms.administration import Administration
from sanderling.server.rooms.admission import Admission
from sanderling.server.rooms.agenda import Appointment
from sanderling.server.rooms.context import RoomContext
from sanderling.server.rooms.credentials import Credentials
from sanderling.server.rooms.member import Connection, Member, MemberState, Outbox
from sanderling.server.rooms.messaging import Messaging
from sanderling.server.rooms.playing import Playing
from sanderling.server.rooms.presence import Presence
from sanderling.server.rooms.publishing import Publishing
from sanderling.server.rooms.rates import Rates
from sanderling.server.rooms.snapshot import describe_room
from sanderling.server.rooms.stream_details import StreamDetails
from sanderling.signaling import messages
from sanderling.signaling.messages import (
    ClientMessage,
    Error,
    Heartbeat,
    HeartbeatOk,
    Login,
    Logout,
    Ok,
    Resume,
)

__all__ = ["RoomManager"]

log = structlog.get_logger("rooms")

LARGEST_NUMBER = 2**53 - 1
"""Largest whole number every JSON implementation keeps exact."""
LONGEST_TEXT = 1000
"""Characters of an error's sentence."""

Handler = Callable[[Member, Any], Awaitable[None] | None]
"""Carries out one kind of request of a logged-in member."""

_INTERNAL_ERRORS: dict[type[ClientMessage], ErrorCode] = {
    messages.Publish: ErrorCode.PUBLISHER_INTERNAL_ERROR,
    messages.StopPublish: ErrorCode.PUBLISHER_INTERNAL_ERROR,
    messages.Play: ErrorCode.PLAYER_INTERNAL_ERROR,
    messages.StopPlay: ErrorCode.PLAYER_INTERNAL_ERROR,
    messages.ViewerOffer: ErrorCode.PLAYER_INTERNAL_ERROR,
}
"""What a request that fails by a fault of the server is answered with; others get the room's or the common code."""


class RoomManager:
    """See the module. ``errors`` counts what was replied, by code; ``administration`` is for the operator."""

    def __init__(self, context: RoomContext) -> None:
        self._context = context
        rates = Rates(context.steady)
        self._playing = Playing(context)
        self._publishing = Publishing(context, self._playing.stage_changed)
        self._presence = Presence(context, self._publishing, self._playing)
        self._credentials = Credentials(context)
        self._admission = Admission(context, self._presence, self._playing, self._credentials, rates)
        talk = Messaging(context, rates)
        self.administration = Administration(context, talk.stamp)
        details = StreamDetails(context, self._publishing, rates)
        self._handlers: dict[type[ClientMessage], Handler] = {
            messages.Publish: self._publishing.publish,
            messages.StopPublish: self._publishing.stop,
            messages.Play: self._playing.play,
            messages.StopPlay: self._playing.stop,
            messages.SwitchResource: self._playing.switch_resource,
            messages.SetVideoType: self._playing.set_video_type,
            messages.ViewerOffer: self._playing.viewer_offer,
            messages.RenewToken: self._credentials.renew,
            messages.SetStreamExtraInfo: details.set_extra_info,
            messages.SetDeviceState: details.set_device_state,
            messages.StreamList: details.list,
            messages.ReportQuality: details.report_quality,
            messages.SubscribeData: details.subscribe,
            messages.StreamData: details.send_data,
            messages.SetRoomExtraInfo: talk.set_room_info,
            messages.Broadcast: talk.broadcast,
            messages.Barrage: talk.barrage,
            messages.Command: talk.command,
            messages.Transparent: talk.transparent,
        }
        self._connections: set[Connection] = set()
        self._draining = False
        self.errors: Counter[int] = Counter()
        context.engine.listen(self.on_media_event)

    # -------------------------------------------------------------------------------------- connections

    def connect(self, outbox: Outbox, origin: str) -> Connection:
        """Begin a connection; ``origin`` says where it comes from, e.g. "192.0.2.7:51000"."""
        connection = Connection(outbox, origin)
        self._connections.add(connection)
        return connection

    async def disconnect(
        self, connection: Connection, reason: StreamDeleteReason, *, over: bool = False
    ) -> None:
        """The connection is over. Its session is kept for a while when it can be resumed, unless it is ``over`` too;
        else everything it holds is released. Idempotent.
        """
        connection.closed = True
        self._connections.discard(connection)
        member, connection.member = connection.member, None
        if member is None or member.left:
            return
        keep = member.resumable and member.state is MemberState.JOINED
        if keep and not over and not self._draining:
            connection.kept = True
            self._presence.lost(member, silent=reason is StreamDeleteReason.HEARTBEAT_TIMEOUT)
        else:
            await self._presence.leave(member, reason)

    def disconnect_soon(self, connection: Connection, reason: StreamDeleteReason) -> None:
        """``disconnect`` without waiting; ``settle`` waits for it."""
        self._context.background.spawn(self.disconnect(connection, reason))

    def heard(self, connection: Connection) -> None:
        """Something arrived on the connection."""
        if connection.member is not None:
            connection.member.heard = self._context.steady()

    def patience(self, connection: Connection) -> float:
        """Seconds that a logged-in connection's session may still be silent; 0.0 when it has gone."""
        return self._presence.patience(connection.member) if connection.member is not None else 0.0

    def later(self, seconds: float, call: Callable[[], None]) -> Appointment:
        """Have ``call`` made so many seconds from now, to a tick exactly."""
        return self._context.agenda.at(self._context.steady() + seconds, call)

    async def handle(self, connection: Connection, message: ClientMessage) -> None:
        """Carry out one request; its reply, or an Error with its code, goes to the outbox."""
        member = connection.member
        try:
            await self.request(connection, message)
        except SanderlingError as error:
            seq = message.seq if 0 < message.seq <= LARGEST_NUMBER else 0
            # The session may have lost this connection meanwhile: the reply is kept for the next one.
            self.refuse(connection, error, seq=seq, member=connection.member or member)

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
            code = ErrorCode.ROOM_INTERNAL_ERROR if connection.logged_in else ErrorCode.INTERNAL_ERROR
            text = "the server failed to carry out the request; it was logged"
            raise SanderlingError(_INTERNAL_ERRORS.get(type(message), code), text) from None

    async def renegotiate_publisher(self, connection: Connection, stream_id: str, offer: str) -> str:
        """Answer a later offer of a stream that this connection publishes, e.g. one with new ICE credentials."""
        return await self._publishing.renegotiate(self._member_of(connection), stream_id, offer)

    async def offer_stream(self, connection: Connection, stream_id: str) -> str:
        """Offer a stream to this connection, whose own offer does not suit it; see :meth:`Playing.offer_stream`."""
        return await self._playing.offer_stream(self._member_of(connection), stream_id)

    async def accept(self, connection: Connection, answer: str) -> None:
        """Take the answer to the offer of :meth:`offer_stream`."""
        await self._playing.accept(self._member_of(connection), answer)

    async def check_stream(self, app_id: int, stream_id: str) -> None:
        """1004002 when there is no such stream to play, before anything is made for a viewer."""
        await self._playing.entry(app_id, stream_id)

    def refuse(
        self,
        connection: Connection,
        error: SanderlingError,
        *,
        seq: int = 0,
        member: Member | None = None,
    ) -> None:
        """Reply with an error (``seq`` 0: not to a request) to a connection, or to the session it belongs to."""
        self.errors[int(error.code)] += 1
        wait = int(error.retry_after * 1000) if isinstance(error, RateLimited) else 0
        text = error.message
        if len(text) > LONGEST_TEXT:
            # It quotes what the client sent, which may be as long as a message: the reply must not become too long.
            text = text[:LONGEST_TEXT] + "…"
        reply = Error(int(error.code), text, seq=seq, hint=error.hint, retry_after_ms=wait)
        member = member or connection.member
        if seq and member is not None and member.state is MemberState.JOINED:
            member.send(reply)  # A reply of the session, counted as one.
        else:
            connection.send(reply)

    async def _dispatch(self, connection: Connection, message: ClientMessage) -> None:
        if isinstance(message, Login):
            await self._admission.login(connection, message)
            return
        if isinstance(message, Resume):
            await self._admission.resume(connection, message)
            return
        if isinstance(message, Heartbeat):
            self._heartbeat(connection, message)
            return
        member = self._member_of(connection)
        async with member.turn:
            if member.resumable and message.seq <= member.taken:
                raise SanderlingError(
                    ErrorCode.ILLEGAL_PARAMETER,
                    f"seq {message.seq} was used before in this session",
                    hint="send again only what is above `taken` of resume_ok",
                )
            member.taken = max(member.taken, message.seq)
            if isinstance(message, Logout):
                await self._presence.leave(member, StreamDeleteReason.PUBLISHER_STOPPED)
                connection.send(Ok(message.seq))
                connection.outbox.close("logged out")
            elif isinstance(message, messages.SwitchRoom):
                await self._admission.switch(connection, member, message)
            else:
                done = self._handlers[type(message)](member, message)
                if done is not None:
                    await done

    def _member_of(self, connection: Connection) -> Member:
        if connection.member is None or not connection.logged_in:
            raise SanderlingError(
                ErrorCode.NOT_LOGGED_IN, "this connection is not logged in to a room", hint="send login first"
            )
        return connection.member

    def _heartbeat(self, connection: Connection, message: Heartbeat) -> None:
        if abs(message.client_ms) > LARGEST_NUMBER:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, "client_ms is out of range")
        if connection.member is not None and connection.logged_in:
            connection.member.mailbox.confirm(message.received)
        connection.send(HeartbeatOk(message.seq, message.client_ms, int(self._context.clock() * 1000)))

    # ------------------------------------------------------------------------------------ media events

    def on_media_event(self, event: MediaEvent) -> None:
        """Take one event of the engine; called on the loop, in order."""
        if isinstance(event, Stats):
            self._presence.media_heard(event)
        elif isinstance(event, Connected):
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

    def tick(self) -> None:
        """Carry out what is due; called a few times a second."""
        self._context.agenda.run(self._context.steady())

    def drain(self) -> None:
        """The server goes down: tell every connection and ask for its end. No session is kept from now on."""
        self._draining = True
        for connection in tuple(self._connections):
            going = RoomError(
                ErrorCode.CONNECTION_LOST, "the server is shutting down", hint="connect again later"
            )
            self.refuse(connection, going)
            connection.outbox.close("shutting down")
        for member in tuple(self._context.members.values()):
            if member.lost_at is not None:
                self._presence.leave_soon(member, StreamDeleteReason.CONNECTION_LOST)

    async def settle(self) -> None:
        """Wait for releases under way."""
        await self._context.background.settle()

    def counts(self) -> dict[str, int]:
        """How much of everything is held; all 0 when nobody is connected."""
        members = self._context.members.values()
        return {
            "rooms": len(self._context.rooms),
            "users": len(members),
            "streams": len(self._context.publishers),
            "viewers": len(self._context.viewers),
            "plays": sum(len(member.plays) for member in members),
            "connections": len(self._connections),
        }

    def describe(self) -> list[dict[str, Any]]:
        """Every room in plain values, without tokens or SDP, for the debug snapshot."""
        return [describe_room(room) for room in self._context.rooms.values()]
