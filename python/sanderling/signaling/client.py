"""The client's half of the signalling protocol as a state machine without input, output or a clock.

Use: ``login()`` once, any of the other commands at any time, ``receive()`` for every message, ``handle_timeout()``
when ``wake_at()`` has passed, ``disconnected()`` when the connection is gone. After each of them drain
``take_outgoing()`` and ``take_events()``. Times are seconds of one monotonic clock that the caller reads.

Commands given before ``login()`` wait for it; those given after it follow it at once, without waiting for the reply,
since the server handles the messages of a connection in order. Every command that returned a ``seq`` ends in exactly
one :class:`Replied` or :class:`Failed`; the session ends in exactly one :class:`Ended`, after which nothing follows.

A lost connection does not end a session that the server lets resume: :class:`Interrupted`, then ``resume()`` once
there is a new connection, then :class:`Resumed`. Requests wait meanwhile. The server says which of them it has; the
others go out again under the number they had, so that none is carried out twice. What the server had sent into the
lost connection follows its answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sanderling.errors import ErrorCode, RateLimited, RoomError, SanderlingError, error_for
from sanderling.signaling import codec, messages
from sanderling.signaling.outcomes import (
    ClientEvent,
    ClientState,
    Ended,
    Failed,
    Interrupted,
    Notice,
    Noticed,
    Replied,
    Reply,
    Resumed,
    timeout_code,
)

__all__ = [
    "ClientEvent",
    "ClientState",
    "Ended",
    "Failed",
    "Interrupted",
    "Notice",
    "Noticed",
    "Replied",
    "Reply",
    "Resumed",
    "SignalingClient",
]

REQUEST_TIMEOUT = 10.0
"""Seconds a reply may take. A node answers in milliseconds; a publish waits for the engine's answer to an offer."""

SILENT_HEARTBEATS = 3
"""Heartbeat intervals without any message after which the server is taken for gone."""

LOGIN_SEQ = 1
"""Number of the login: lower than those of the requests that waited for it, since numbers rise on the wire."""

PROBE_TIME = 2.0
"""Seconds for an answer to ``probe``."""


@dataclass(slots=True)
class _Pending:
    message: messages.ClientMessage
    deadline: float

    @property
    def what(self) -> str:
        return str(type(self.message).__struct_config__.tag)


class SignalingClient:
    """One session with one server; see the module's text for the contract."""

    def __init__(self, *, request_timeout: float = REQUEST_TIMEOUT) -> None:
        self._request_timeout = request_timeout
        self._state = ClientState.NEW
        self._seq = LOGIN_SEQ
        self._pending: dict[int, _Pending] = {}
        self._outgoing: deque[bytes] = deque()
        self._events: deque[ClientEvent] = deque()
        self._heartbeat_interval = float("inf")
        self._heartbeat_due = 0.0
        self._last_received = 0.0
        self._round_trip_ms: float | None = None
        self._heartbeat_sent: dict[int, float] = {}
        self._probe_deadline = float("inf")
        self._key = messages.SessionKey()
        self._resume_time = 0.0
        self._received = 0
        self._resume_seq = 0
        self._resume_deadline = 0.0

    @property
    def state(self) -> ClientState:
        """Where the session stands."""
        return self._state

    @property
    def key(self) -> messages.SessionKey:
        """Proof of this session for the server; empty before the login."""
        return self._key

    @property
    def round_trip_ms(self) -> float | None:
        """Round trip of the newest heartbeat in milliseconds."""
        return self._round_trip_ms

    # ------------------------------------------------------------------------------------------ commands

    def login(
        self,
        *,
        app_id: int,
        room_id: str,
        user: messages.User,
        now: float,
        token: str = "",
        app_sign: str = "",
        config: messages.RoomConfig | None = None,
        viewer_offer: str = "",
        client: messages.ClientInfo | None = None,
        beside: messages.SessionKey | None = None,
    ) -> int:
        """Send the login, then everything that waited for it. 1002001 when called twice.

        ``beside``: a live session of the same user in another room, which goes on.
        """
        if self._state is not ClientState.NEW:
            raise RoomError(ErrorCode.ROOM_COUNT_EXCEEDED, "this session was logged in before")
        self._state = ClientState.LOGGING_IN
        self._last_received = now
        waiting = dict(self._pending)
        self._post(
            messages.Login(
                seq=LOGIN_SEQ,
                app_id=app_id,
                room_id=room_id,
                user=user,
                token=token,
                app_sign=app_sign,
                config=config or messages.RoomConfig(),
                viewer_offer=viewer_offer,
                client=client or messages.ClientInfo(),
                resumable=True,
                beside=beside or messages.SessionKey(),
            ),
            now,
        )
        for request in waiting.values():
            request.deadline = now + self._request_timeout
            self._emit(request.message)
        return LOGIN_SEQ

    def resume(self, *, now: float) -> None:
        """Ask for the interrupted session on a new connection; :class:`Resumed`, or :class:`Ended` with 1002057."""
        if self._state is not ClientState.INTERRUPTED:
            raise RoomError(ErrorCode.SESSION_ERROR, "this session is not interrupted")
        self._state = ClientState.RESUMING
        self._last_received = now
        self._resume_deadline = now + self._request_timeout
        self._resume_seq = self._next()
        self._emit(
            messages.Resume(
                seq=self._resume_seq,
                session_id=self._key.session_id,
                secret=self._key.secret,
                received=self._received,
            )
        )

    def request(self, build: Callable[[int], messages.ClientMessage], *, now: float) -> int:
        """Send the request that ``build`` makes of its number; the reply is the one that its class names."""
        seq = self._next()
        message = build(seq)
        if self._state in (ClientState.LOGGING_OUT, ClientState.ENDED):
            what = str(type(message).__struct_config__.tag)
            self._events.append(
                Failed(seq, SanderlingError(ErrorCode.NOT_LOGGED_IN, f"{what} without a login"))
            )
        else:
            self._post(message, now)
        return seq

    def publish(
        self, stream_id: str, offer: str, *, now: float, channel: int = 0, extra_info: str = ""
    ) -> int:
        """Publish a stream; the reply is PublishOk."""
        return self.request(
            lambda seq: messages.Publish(
                seq=seq, stream_id=stream_id, offer=offer, channel=channel, extra_info=extra_info
            ),
            now=now,
        )

    def stop_publish(self, stream_id: str, *, now: float) -> int:
        """End a published stream; the reply is Ok."""
        return self.request(lambda seq: messages.StopPublish(seq=seq, stream_id=stream_id), now=now)

    def play(
        self, stream_id: str, *, now: float, resource_mode: int = 0, audio: bool = True, video: bool = True
    ) -> int:
        """Play a stream; the reply is PlayOk."""
        return self.request(
            lambda seq: messages.Play(
                seq=seq, stream_id=stream_id, resource_mode=resource_mode, audio=audio, video=video
            ),
            now=now,
        )

    def stop_play(self, stream_id: str, *, now: float) -> int:
        """Free the slot of a played stream; the reply is Ok."""
        return self.request(lambda seq: messages.StopPlay(seq=seq, stream_id=stream_id), now=now)

    def viewer_offer(self, offer: str, *, now: float) -> int:
        """Make or grow the viewer transport; the reply is ViewerAnswer."""
        return self.request(lambda seq: messages.ViewerOffer(seq=seq, offer=offer), now=now)

    def logout(self, *, now: float, timeout: float | None = None) -> int:
        """Leave the room; the reply is Ok, then :class:`Ended` without an error, or with 1002052 when the server did
        not confirm it within ``timeout`` seconds.
        """
        seq = self._next()
        if self._state in (ClientState.LOGGING_IN, ClientState.LOGGED_IN):
            self._state = ClientState.LOGGING_OUT
            message = messages.Logout(seq=seq)
            self._pending[seq] = _Pending(message, now + (timeout or self._request_timeout))
            self._emit(message)
            return seq
        self._pending[seq] = _Pending(messages.Logout(seq=seq), now)
        if self._state is ClientState.NEW:
            self._fail_all(SanderlingError(ErrorCode.NOT_LOGGED_IN, "logged out before the login was sent"))
            self._end(None)
        elif self._state in (ClientState.INTERRUPTED, ClientState.RESUMING):
            self._end(_unconfirmed("the connection to the server is away"))
        else:
            self._fail(seq, SanderlingError(ErrorCode.NOT_LOGGED_IN, "there is no login to end"))
        return seq

    def probe(self, *, now: float) -> None:
        """Something hints at a dead connection: it is one when nothing arrives within :data:`PROBE_TIME` seconds."""
        if self._state is ClientState.LOGGED_IN and self._probe_deadline == float("inf"):
            self._probe_deadline = now + PROBE_TIME
            self._heartbeat(now)

    # ------------------------------------------------------------------------------------------ input

    def receive(self, data: bytes | str, *, now: float) -> None:
        """Take one message. One that cannot be decoded ends the session with 1002057."""
        if self._state in (ClientState.NEW, ClientState.INTERRUPTED, ClientState.ENDED):
            return
        self._last_received = now
        self._probe_deadline = float("inf")
        try:
            message = codec.decode_server(data)
        except SanderlingError as error:
            self._end(
                RoomError(
                    ErrorCode.SESSION_ERROR,
                    f"the server sent something that is {error.message}",
                    hint="check that the URL names a Sanderling server of this protocol version",
                ),
                kicked=self._state is not ClientState.LOGGING_IN,
            )
            return
        self._handle(message, now)

    def disconnected(self, detail: str = "", *, error: SanderlingError | None = None) -> None:
        """The connection is gone. ``error`` says why it could not be made; else 1002052, or none after a logout."""
        if self._state in (ClientState.INTERRUPTED, ClientState.ENDED):
            return
        cause = f": {detail}" if detail else ""
        if self._state is ClientState.LOGGING_OUT:
            self._end(_unconfirmed(f"the connection to the server was lost{cause}"))
        elif self._state in (ClientState.LOGGED_IN, ClientState.RESUMING):
            text = f"the connection to the server was lost{cause}"
            self._lost(error or RoomError(ErrorCode.CONNECTION_LOST, text))
        else:
            text = f"the server closed the connection before the login was answered{cause}"
            self._end(error or RoomError(ErrorCode.LOGIN_FAILED, text))

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due: heartbeats, overdue replies, a silent server."""
        if self._state is ClientState.RESUMING:
            if now >= self._resume_deadline:
                self._lost(
                    RoomError(ErrorCode.LOGIN_TIMEOUT, "the server did not answer the resumption in time")
                )
            return
        overdue = [(seq, request) for seq, request in self._pending.items() if request.deadline <= now]
        for seq, request in overdue:
            if seq == LOGIN_SEQ:
                self._end(RoomError(ErrorCode.LOGIN_TIMEOUT, "the server did not answer the login in time"))
                return
            if isinstance(request.message, messages.Logout):
                self._end(_unconfirmed("the server did not confirm the logout in time"))
                return
            text = f"the server did not answer {request.what} in time"
            self._fail(seq, error_for(timeout_code(request.message), text))
        if self._state is not ClientState.LOGGED_IN:
            return
        if now >= min(
            self._probe_deadline, self._last_received + SILENT_HEARTBEATS * self._heartbeat_interval
        ):
            self._lost(RoomError(ErrorCode.CONNECTION_LOST, "the server sent no sign of life"))
        elif now >= self._heartbeat_due:
            self._heartbeat(now)

    def wake_at(self) -> float | None:
        """When ``handle_timeout`` is due next; None = not before something else happens."""
        if self._state in (ClientState.NEW, ClientState.INTERRUPTED, ClientState.ENDED):
            return None
        if self._state is ClientState.RESUMING:
            return self._resume_deadline
        due = [request.deadline for request in self._pending.values()]
        if self._state is ClientState.LOGGED_IN:
            due.append(self._heartbeat_due)
            due.append(self._last_received + SILENT_HEARTBEATS * self._heartbeat_interval)
            due.append(self._probe_deadline)
        at = min(due, default=float("inf"))
        return at if at != float("inf") else None

    # ------------------------------------------------------------------------------------------ output

    def take_outgoing(self) -> list[bytes]:
        """Messages to send now, oldest first."""
        outgoing = list(self._outgoing)
        self._outgoing.clear()
        return outgoing

    def take_events(self) -> list[ClientEvent]:
        """What happened since the last call, oldest first."""
        events = list(self._events)
        self._events.clear()
        return events

    # ------------------------------------------------------------------------------------------ inside

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _post(self, message: messages.ClientMessage, now: float) -> None:
        """Send a request, or keep it until it can be sent."""
        seq = message.seq
        sendable = self._state in (ClientState.LOGGING_IN, ClientState.LOGGED_IN)
        self._pending[seq] = _Pending(message, now + self._request_timeout if sendable else float("inf"))
        if sendable:
            try:
                self._emit(message)
            except SanderlingError as error:
                self._fail(seq, error)

    def _emit(self, message: messages.ClientMessage) -> None:
        self._outgoing.append(codec.encode(message))

    def _handle(self, message: messages.ServerMessage, now: float) -> None:
        if isinstance(message, messages.ResumeOk):
            self._resumed(message, now)
            return
        if isinstance(message, messages.Kicked):
            where = f" (from {message.origin})" if message.origin else ""
            self._end(
                error_for(message.code, message.message + where),
                kicked=True,
                origin=message.origin,
                custom_reason=message.custom_reason,
            )
        elif self._state is ClientState.RESUMING:
            if isinstance(message, messages.Error) and message.seq in (0, self._resume_seq):
                self._resume_refused(message)
            # Nothing else can come before the answer.
        elif isinstance(message, messages.HeartbeatOk):
            sent = self._heartbeat_sent.pop(message.seq, None)
            if sent is not None:
                self._round_trip_ms = (now - sent) * 1000
        elif isinstance(message, messages.Error) and message.seq == 0:
            self._handle_error(message)
        else:
            # The server keeps what is counted until it knows that it arrived (protocol.md section 3.4).
            self._received += self._state is ClientState.LOGGED_IN
            if isinstance(message, messages.Error):
                self._handle_error(message)
            elif isinstance(message, Notice):
                self._events.append(Noticed(message))
            else:
                self._handle_reply(message, now)

    def _handle_reply(self, reply: Reply, now: float) -> None:
        request = self._pending.pop(reply.seq, None)
        if request is None:
            return  # answered after its time was up
        if isinstance(reply, messages.LoginOk):
            if self._state is ClientState.LOGGING_IN:
                self._state = ClientState.LOGGED_IN
            self._key = messages.SessionKey(reply.session_id, reply.secret)
            self._resume_time = reply.resume_ms / 1000 if reply.secret else 0.0
            self._received = 0
            self._heartbeats(reply.heartbeat_ms, now)
        self._events.append(Replied(reply.seq, reply))
        if isinstance(request.message, messages.Logout):
            self._end(None)

    def _heartbeats(self, every_ms: int, now: float) -> None:
        self._heartbeat_interval = every_ms / 1000 if every_ms > 0 else float("inf")
        self._heartbeat_due = now + self._heartbeat_interval
        self._heartbeat_sent = {}
        self._probe_deadline = float("inf")

    def _heartbeat(self, now: float) -> None:
        self._heartbeat_due = now + self._heartbeat_interval
        seq = self._next()
        self._heartbeat_sent = {seq: now}
        self._emit(messages.Heartbeat(seq=seq, received=self._received))

    def _resumed(self, reply: messages.ResumeOk, now: float) -> None:
        if self._state is not ClientState.RESUMING:
            return
        self._state = ClientState.LOGGED_IN
        self._heartbeats(reply.heartbeat_ms, now)
        self._events.append(Resumed(reply))
        for seq, request in sorted(self._pending.items()):
            request.deadline = now + self._request_timeout
            if seq > reply.taken:
                try:
                    self._emit(request.message)
                except SanderlingError as error:
                    self._fail(seq, error)

    def _resume_refused(self, message: messages.Error) -> None:
        error = error_for(message.code, message.message, hint=message.hint)
        if isinstance(error, RateLimited):
            error.retry_after = message.retry_after_ms / 1000
            self._lost(error)
        else:
            self._end(error)

    def _handle_error(self, message: messages.Error) -> None:
        error = error_for(message.code, message.message, hint=message.hint)
        if isinstance(error, RateLimited) and message.retry_after_ms:
            error.retry_after = message.retry_after_ms / 1000
        if message.seq == 0 and self._state is ClientState.LOGGED_IN:
            self._lost(error)
        elif message.seq == 0 or message.seq == LOGIN_SEQ:
            self._end(error)
        else:
            self._fail(message.seq, error)

    def _lost(self, error: SanderlingError) -> None:
        """The connection cannot be used any more; the session may be."""
        if not self._resume_time:
            self._end(error)
            return
        self._state = ClientState.INTERRUPTED
        self._outgoing.clear()
        for request in self._pending.values():
            request.deadline = float("inf")
        self._events.append(Interrupted(error, self._resume_time))

    def _fail(self, seq: int, error: SanderlingError) -> None:
        if self._pending.pop(seq, None) is not None:
            self._events.append(Failed(seq, error))

    def _fail_all(self, error: SanderlingError) -> None:
        for seq in list(self._pending):
            self._fail(seq, error)

    def _end(
        self,
        error: SanderlingError | None,
        *,
        kicked: bool = False,
        origin: str = "",
        custom_reason: str = "",
    ) -> None:
        if self._state is ClientState.ENDED:
            return
        self._state = ClientState.ENDED
        self._fail_all(error or SanderlingError(ErrorCode.NOT_LOGGED_IN, "the session was logged out"))
        self._events.append(Ended(error, kicked, origin, custom_reason))


def _unconfirmed(why: str) -> RoomError:
    """A logout of which the server may not know."""
    return RoomError(
        ErrorCode.CONNECTION_LOST, why, hint="the room was left; the server finds out when its patience ends"
    )
