"""The client's half of the signalling protocol as a state machine without input, output or a clock.

Use: ``login()`` once, any of the other commands at any time, ``receive()`` for every message, ``handle_timeout()``
when ``wake_at()`` has passed, ``disconnected()`` when the connection is gone. After each of them drain
``take_outgoing()`` and ``take_events()``. Times are seconds of one monotonic clock that the caller reads.

Commands given before ``login()`` wait for it; those given after it follow it at once, without waiting for the reply,
since the server handles the messages of a connection in order. Every command that returned a ``seq`` ends in exactly
one :class:`Replied` or :class:`Failed`; the session ends in exactly one :class:`Ended`, after which nothing follows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from sanderling.errors import ErrorCode, RateLimited, RoomError, SanderlingError, error_for
from sanderling.signaling import codec, messages

__all__ = ["ClientEvent", "ClientState", "Ended", "Failed", "Noticed", "Replied", "SignalingClient"]

REQUEST_TIMEOUT = 10.0
"""Seconds a reply may take. A node answers in milliseconds; a publish waits for the engine's answer to an offer."""

SILENT_HEARTBEATS = 3
"""Heartbeat intervals without any message after which the server is taken for gone."""

Reply = (
    messages.LoginOk
    | messages.Ok
    | messages.PublishOk
    | messages.PlayOk
    | messages.ViewerAnswer
    | messages.HeartbeatOk
)
Notice = (
    messages.UserNotice
    | messages.StreamNotice
    | messages.PublisherStateNotice
    | messages.PlayerStateNotice
    | messages.SlotBound
)


class ClientState(Enum):
    """Where the session stands."""

    NEW = "new"
    LOGGING_IN = "logging_in"
    LOGGED_IN = "logged_in"
    LOGGING_OUT = "logging_out"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Replied:
    """The request ``seq`` was carried out."""

    seq: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Failed:
    """The request ``seq`` failed."""

    seq: int
    error: SanderlingError


@dataclass(frozen=True, slots=True)
class Noticed:
    """The server reports a change."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over: ``error`` is None after a logout; ``kicked`` when the server ended it."""

    error: SanderlingError | None
    kicked: bool = False


ClientEvent = Replied | Failed | Noticed | Ended


@dataclass(slots=True)
class _Pending:
    timeout_code: ErrorCode
    what: str
    deadline: float


class SignalingClient:
    """One session with one server; see the module's text for the contract."""

    def __init__(self, *, request_timeout: float = REQUEST_TIMEOUT) -> None:
        self._request_timeout = request_timeout
        self._state = ClientState.NEW
        self._seq = 0
        self._login_seq = 0
        self._pending: dict[int, _Pending] = {}
        self._waiting: list[messages.ClientMessage] = []
        self._outgoing: deque[bytes] = deque()
        self._events: deque[ClientEvent] = deque()
        self._heartbeat_interval = 0.0
        self._heartbeat_due = 0.0
        self._last_received = 0.0
        self._round_trip_ms: float | None = None
        self._heartbeat_sent: dict[int, float] = {}

    @property
    def state(self) -> ClientState:
        """Where the session stands."""
        return self._state

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
    ) -> int:
        """Send the login, then everything that waited for it. 1002001 when called twice."""
        if self._state is not ClientState.NEW:
            raise RoomError(ErrorCode.ROOM_COUNT_EXCEEDED, "this session was logged in before")
        self._state = ClientState.LOGGING_IN
        self._last_received = now
        seq = self._login_seq = self._next(ErrorCode.LOGIN_TIMEOUT, "login", now)
        self._emit(
            messages.Login(
                seq=seq,
                app_id=app_id,
                room_id=room_id,
                user=user,
                token=token,
                app_sign=app_sign,
                config=config or messages.RoomConfig(),
                viewer_offer=viewer_offer,
                client=client or messages.ClientInfo(),
            )
        )
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self._pending[message.seq].deadline = now + self._request_timeout
            self._emit(message)
        return seq

    def publish(
        self, stream_id: str, offer: str, *, now: float, channel: int = 0, extra_info: str = ""
    ) -> int:
        """Publish a stream; the reply is PublishOk."""
        return self._command(
            ErrorCode.PUBLISH_FAILED,
            "publish",
            now,
            lambda seq: messages.Publish(
                seq=seq, stream_id=stream_id, offer=offer, channel=channel, extra_info=extra_info
            ),
        )

    def stop_publish(self, stream_id: str, *, now: float) -> int:
        """End a published stream; the reply is Ok."""
        return self._command(
            ErrorCode.PUBLISH_FAILED,
            "stop_publish",
            now,
            lambda seq: messages.StopPublish(seq=seq, stream_id=stream_id),
        )

    def play(
        self, stream_id: str, *, now: float, resource_mode: int = 0, audio: bool = True, video: bool = True
    ) -> int:
        """Play a stream; the reply is PlayOk."""
        return self._command(
            ErrorCode.PLAY_FAILED,
            "play",
            now,
            lambda seq: messages.Play(
                seq=seq, stream_id=stream_id, resource_mode=resource_mode, audio=audio, video=video
            ),
        )

    def stop_play(self, stream_id: str, *, now: float) -> int:
        """Free the slot of a played stream; the reply is Ok."""
        return self._command(
            ErrorCode.PLAY_FAILED,
            "stop_play",
            now,
            lambda seq: messages.StopPlay(seq=seq, stream_id=stream_id),
        )

    def viewer_offer(self, offer: str, *, now: float) -> int:
        """Make or grow the viewer transport; the reply is ViewerAnswer."""
        return self._command(
            ErrorCode.PLAY_FAILED, "viewer_offer", now, lambda seq: messages.ViewerOffer(seq=seq, offer=offer)
        )

    def logout(self, *, now: float) -> int:
        """Leave the room; the reply is Ok, then :class:`Ended` without an error."""
        if self._state in (ClientState.LOGGING_IN, ClientState.LOGGED_IN):
            self._state = ClientState.LOGGING_OUT
            seq = self._next(ErrorCode.LOGIN_TIMEOUT, "logout", now)
            self._emit(messages.Logout(seq=seq))
            return seq
        seq = self._next(ErrorCode.LOGIN_TIMEOUT, "logout", now)
        if self._state is ClientState.NEW:
            self._fail_all(SanderlingError(ErrorCode.NOT_LOGGED_IN, "logged out before the login was sent"))
            self._end(None)
        else:
            self._fail(seq, SanderlingError(ErrorCode.NOT_LOGGED_IN, "there is no login to end"))
        return seq

    # ------------------------------------------------------------------------------------------ input

    def receive(self, data: bytes | str, *, now: float) -> None:
        """Take one message. One that cannot be decoded ends the session with 1002057."""
        if self._state in (ClientState.NEW, ClientState.ENDED):
            return
        self._last_received = now
        try:
            message = codec.decode_server(data)
        except SanderlingError as error:
            self._end(
                RoomError(
                    ErrorCode.SESSION_ERROR,
                    f"the server sent something that is {error.message}",
                    hint="check that the URL names a Sanderling server of this protocol version",
                )
            )
            return
        self._handle(message, now)

    def disconnected(self, detail: str = "", *, error: SanderlingError | None = None) -> None:
        """The connection is gone. ``error`` says why it could not be made; else 1002052, or none after a logout."""
        if self._state is ClientState.ENDED:
            return
        if self._state is ClientState.LOGGING_OUT:
            self._end(None)
        elif self._state is ClientState.LOGGED_IN:
            text = f"the connection to the server was lost{': ' + detail if detail else ''}"
            self._end(error or RoomError(ErrorCode.CONNECTION_LOST, text))
        else:
            text = f"the server closed the connection before the login was answered{': ' + detail if detail else ''}"
            self._end(error or RoomError(ErrorCode.LOGIN_FAILED, text))

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due: heartbeats, overdue replies, a silent server."""
        overdue = [(seq, request) for seq, request in self._pending.items() if request.deadline <= now]
        for seq, request in overdue:
            if seq == self._login_seq:
                self._end(RoomError(ErrorCode.LOGIN_TIMEOUT, "the server did not answer the login in time"))
                return
            if request.what == "logout":
                self._end(None)
                return
            self._fail(
                seq, error_for(request.timeout_code, f"the server did not answer {request.what} in time")
            )
        if self._state is not ClientState.LOGGED_IN or not self._heartbeat_interval:
            return
        if now - self._last_received >= SILENT_HEARTBEATS * self._heartbeat_interval:
            self._end(RoomError(ErrorCode.CONNECTION_LOST, "the server sent no sign of life"))
        elif now >= self._heartbeat_due:
            self._heartbeat_due = now + self._heartbeat_interval
            self._seq += 1
            self._heartbeat_sent = {self._seq: now}
            self._emit(messages.Heartbeat(seq=self._seq))

    def wake_at(self) -> float | None:
        """When ``handle_timeout`` is due next; None = not before something else happens."""
        if self._state in (ClientState.NEW, ClientState.ENDED):
            return None
        due = [request.deadline for request in self._pending.values()]
        if self._state is ClientState.LOGGED_IN and self._heartbeat_interval:
            due.append(self._heartbeat_due)
            due.append(self._last_received + SILENT_HEARTBEATS * self._heartbeat_interval)
        return min(due, default=None)

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

    def _next(self, timeout_code: ErrorCode, what: str, now: float) -> int:
        self._seq += 1
        self._pending[self._seq] = _Pending(timeout_code, what, now + self._request_timeout)
        return self._seq

    def _command(
        self, timeout_code: ErrorCode, what: str, now: float, build: Callable[[int], messages.ClientMessage]
    ) -> int:
        seq = self._next(timeout_code, what, now)
        if self._state is ClientState.NEW:
            self._pending[seq].deadline = float("inf")
            self._waiting.append(build(seq))
        elif self._state in (ClientState.LOGGING_IN, ClientState.LOGGED_IN):
            try:
                self._emit(build(seq))
            except SanderlingError as error:
                self._fail(seq, error)
        else:
            self._fail(seq, SanderlingError(ErrorCode.NOT_LOGGED_IN, f"{what} without a login"))
        return seq

    def _emit(self, message: messages.ClientMessage) -> None:
        self._outgoing.append(codec.encode(message))

    def _handle(self, message: messages.ServerMessage, now: float) -> None:
        if isinstance(message, messages.Error):
            self._handle_error(message)
        elif isinstance(message, messages.Kicked):
            where = f" (from {message.origin})" if message.origin else ""
            self._end(error_for(message.code, message.message + where), kicked=True)
        elif isinstance(message, messages.HeartbeatOk):
            sent = self._heartbeat_sent.pop(message.seq, None)
            if sent is not None:
                self._round_trip_ms = (now - sent) * 1000
        elif isinstance(
            message,
            messages.UserNotice
            | messages.StreamNotice
            | messages.PublisherStateNotice
            | messages.PlayerStateNotice
            | messages.SlotBound,
        ):
            self._events.append(Noticed(message))
        else:
            self._handle_reply(message, now)

    def _handle_reply(
        self,
        reply: messages.LoginOk | messages.Ok | messages.PublishOk | messages.PlayOk | messages.ViewerAnswer,
        now: float,
    ) -> None:
        request = self._pending.pop(reply.seq, None)
        if request is None:
            return  # answered after its time was up
        if isinstance(reply, messages.LoginOk):
            if self._state is ClientState.LOGGING_IN:
                self._state = ClientState.LOGGED_IN
            self._heartbeat_interval = max(reply.heartbeat_ms, 0) / 1000
            self._heartbeat_due = now + self._heartbeat_interval
        self._events.append(Replied(reply.seq, reply))
        if request.what == "logout":
            self._end(None)

    def _handle_error(self, message: messages.Error) -> None:
        error = error_for(message.code, message.message, hint=message.hint)
        if isinstance(error, RateLimited) and message.retry_after_ms:
            error.retry_after = message.retry_after_ms / 1000
        if message.seq == 0 or message.seq == self._login_seq:
            self._end(error, kicked=message.seq == 0)
        else:
            self._fail(message.seq, error)

    def _fail(self, seq: int, error: SanderlingError) -> None:
        if self._pending.pop(seq, None) is not None:
            self._events.append(Failed(seq, error))

    def _fail_all(self, error: SanderlingError) -> None:
        for seq in list(self._pending):
            self._fail(seq, error)

    def _end(self, error: SanderlingError | None, *, kicked: bool = False) -> None:
        if self._state is ClientState.ENDED:
            return
        self._state = ClientState.ENDED
        self._waiting.clear()
        self._fail_all(error or SanderlingError(ErrorCode.NOT_LOGGED_IN, "the session was logged out"))
        self._events.append(Ended(error, kicked))
