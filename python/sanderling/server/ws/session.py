"""One signalling connection: reads, checks limits, hands requests to the rooms in order, writes what comes back.

The reader fills a short queue; a worker carries requests out one after the other (a slow one holds up only its own
connection), a writer drains the outbox. Those two are tasks only while there is something to do, and times are looked
at by the node's agenda: an idle connection is one task that waits, and no timer. Whatever ends ends the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from sanderling.enums import StreamDeleteReason
from sanderling.errors import ErrorCode, RateLimited, RoomError, SanderlingError
from sanderling.server.proxy import origin_of
from sanderling.server.rooms import Connection, RoomManager
from sanderling.server.rooms.agenda import Appointment
from sanderling.server.source_limits import SourceLimiter, source_of
from sanderling.server.token_bucket import TokenBucket
from sanderling.server.ws.handover import Handover
from sanderling.server.ws.outbox import QueueOutbox
from sanderling.server.ws.protocol import SHORT, SHORT_TEXT
from sanderling.signaling.codec import decode_client
from sanderling.signaling.messages import ClientMessage, Login, Logout, StopPublish

__all__ = ["SessionLimits", "SessionObserver", "SignallingSession"]

log = structlog.get_logger("ws")

POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013
NORMAL = 1000


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What one connection may do. Times in seconds."""

    login_timeout_s: float = 10.0
    messages_per_s: float = 50.0
    messages_burst: float = 100.0
    requests_waiting: int = 64
    """Requests read ahead of the one being carried out; then reading stops until there is room."""
    outgoing_messages: int = 1024
    outgoing_bytes: int = 2 * 1024 * 1024
    junk_messages: int = 3
    """The connection is closed with this many messages that are none."""
    refused_messages: int = 200
    """The connection is closed after this many messages over the rate."""
    flush_s: float = 2.0
    """How long a last error may take to go out."""


class SessionObserver:
    """Counts what sessions do; the metrics read it."""

    def __init__(self) -> None:
        self.received: dict[str, int] = {}
        self.sent = 0
        self.junk = 0
        self.closed: dict[str, int] = {}

    def message(self, kind: str) -> None:
        """One valid message arrived."""
        self.received[kind] = self.received.get(kind, 0) + 1

    def ended(self, why: str) -> None:
        """One connection ended."""
        self.closed[why] = self.closed.get(why, 0) + 1


class _Sequence(msgspec.Struct):
    seq: int = 0


_sequence_decoder = msgspec.json.Decoder(_Sequence)


def _sequence_of(text: str) -> int:
    """The seq of a message that could not be decoded otherwise, 0 when there is none."""
    try:
        seq = _sequence_decoder.decode(text).seq
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return 0
    return seq if 0 < seq < 2**53 else 0


class SignallingSession:
    """Runs one accepted WebSocket until it ends; ``run`` never raises for what the peer does."""

    def __init__(
        self,
        socket: WebSocket,
        rooms: RoomManager,
        limits: SessionLimits,
        observer: SessionObserver,
        logins: SourceLimiter,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = socket
        self._rooms = rooms
        self._limits = limits
        self._observer = observer
        self._logins = logins
        self._monotonic = monotonic
        self._outbox = QueueOutbox(limit_messages=limits.outgoing_messages, limit_bytes=limits.outgoing_bytes)
        self._outbox.on_overflow = self._overflowed
        self._bucket = TokenBucket(limits.messages_per_s, limits.messages_burst)
        self._requests: Handover[ClientMessage] = Handover(limits.requests_waiting)
        self._connection: Connection | None = None
        self._worker: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._waiting: asyncio.Timeout | None = None
        """Around the wait for the next message."""
        self._watch: Appointment | None = None
        """The next look at how long the client has been silent."""
        self._started = 0.0
        self._heard = False
        """Whether something came behind the login."""
        self._stopped = False
        """Whether nothing is read any more."""
        self._junk = 0
        self._refused = 0
        self._working = False
        """Whether a request is being carried out."""
        self._over = False
        """Whether the client has logged out, though the request was not carried out any more."""
        self._ended = ""
        self._reason = StreamDeleteReason.CONNECTION_LOST

    async def run(self) -> None:
        """Serve the connection."""
        connection = self._rooms.connect(self._outbox, origin_of(self._socket.scope.get("client")))
        self._connection = connection
        self._outbox.write_now = self._short_writer()
        self._outbox.on_waiting = self._write_soon
        self._started = self._monotonic()
        self._look()
        try:
            await self._read(connection)
            if self._outbox.closing and (writer := self._writer) is not None:
                # A last error is on its way: let it go out, but do not wait for somebody who does not read.
                await asyncio.wait([writer], timeout=self._limits.flush_s)
        except Exception:
            log.exception("session_task_failed")
        finally:
            self._stop()
            if self._watch is not None:
                self._watch.cancel()
            await self._rooms.disconnect(connection, self._reason, over=self._over)
            # A request of a session that goes on is carried out to its end: its client will ask for the reply.
            if self._worker is not None and not (self._working and connection.kept):
                self._worker.cancel()
            if self._writer is not None:
                self._writer.cancel()
            await asyncio.gather(*filter(None, (self._worker, self._writer)), return_exceptions=True)
            self._observer.ended(self._ended or self._outbox.reason or "connection lost")

    def _stop(self) -> None:
        """Read nothing any more. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        self._requests.open()
        if self._waiting is not None:
            self._waiting.reschedule(0.0)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("session_task_failed", exc_info=error)
            self._stop()

    # ---------------------------------------------------------------------------------------- reading

    async def _read(self, connection: Connection) -> None:
        while not self._outbox.closing and not self._stopped:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    event = await self._socket.receive()
            except (TimeoutError, WebSocketDisconnect, RuntimeError):
                return
            finally:
                self._waiting = None
            if event["type"] == "websocket.disconnect":
                self._disconnected(event.get("code"))
                return
            text, binary = event.get("text"), event.get("bytes")
            # Nor is what was read kept until the next message comes: an offer with many slots weighs as much.
            del event
            going_on = await self._received(connection, text, binary)
            del text, binary
            if not going_on:
                return

    def _look(self) -> None:
        """End the connection if nothing was heard for too long; otherwise look again when that could be.

        Media counts as a sign of life too. Junk and refused logins do not extend the time for a good one.
        """
        connection = self._connection
        if connection is None or self._stopped:
            return
        if connection.logged_in:
            left = self._rooms.patience(connection)
        else:
            left = self._limits.login_timeout_s - (self._monotonic() - self._started)
        if left > 0:
            if self._watch is not None:
                self._watch.cancel()
            self._watch = self._rooms.later(left, self._look)
        else:
            self._timed_out(connection)
            self._stop()

    async def _received(self, connection: Connection, text: str | None, binary: bytes | None) -> bool:
        """Take one message; False ends the connection."""
        now = self._monotonic()
        self._rooms.heard(connection)
        if connection.logged_in and not self._heard:
            # From the first sign of life on silence has the session's limit, which may be nearer than a login's.
            self._heard = True
            self._look()
        wait = self._bucket.take(now)
        if text is None:
            size = len(binary or b"")
            return self._junk_received(
                connection,
                SanderlingError(
                    ErrorCode.ILLEGAL_PARAMETER,
                    f"a binary message of {size} bytes is not a signalling message",
                    hint="send JSON as text; see docs/protocol.md",
                ),
                seq=0,
            )
        try:
            message = decode_client(text)
        except SanderlingError as error:
            return self._junk_received(connection, error, seq=_sequence_of(text))
        self._observer.message(str(type(message).__struct_config__.tag))
        if wait > 0:
            allowed = f"more than {self._limits.messages_per_s:g} messages a second"
            return self._over_rate(connection, allowed, wait, seq=message.seq)
        if isinstance(message, Login):
            wait = self._logins.take(source_of(self._socket.scope.get("client")), now)
            if wait > 0:
                allowed = f"more than {self._logins.rate:g} logins a second from this address"
                return self._over_rate(connection, allowed, wait, seq=message.seq)
        await self._requests.put(message)
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work(connection))
            self._worker.add_done_callback(self._task_ended)
        return True

    def _junk_received(self, connection: Connection, error: SanderlingError, *, seq: int) -> bool:
        self._junk += 1
        self._observer.junk += 1
        self._rooms.refuse(connection, error, seq=seq)
        if self._junk >= self._limits.junk_messages:
            return self._end("too many messages that are none")
        return True

    def _over_rate(self, connection: Connection, allowed: str, wait: float, *, seq: int) -> bool:
        self._refused += 1
        error = RateLimited(
            ErrorCode.RATE_LIMITED_SIGNALLING,
            allowed,
            retry_after=wait,
            hint="wait retry_after_ms before the next message",
        )
        self._rooms.refuse(connection, error, seq=seq if 0 < seq < 2**53 else 0)
        if self._refused >= self._limits.refused_messages:
            return self._end("too many messages over the rate")
        return True

    def _timed_out(self, connection: Connection) -> None:
        if connection.logged_in:
            self._reason = StreamDeleteReason.HEARTBEAT_TIMEOUT
            error = RoomError(
                ErrorCode.CONNECTION_LOST,
                "nothing was heard for too long",
                hint="send heartbeat every LoginOk.heartbeat_ms",
            )
            self._rooms.refuse(connection, error)
            self._end("heartbeat timeout")
        else:
            error = RoomError(
                ErrorCode.LOGIN_TIMEOUT, f"no login within {self._limits.login_timeout_s:g} s of connecting"
            )
            self._rooms.refuse(connection, error)
            self._end("login timeout")

    def _disconnected(self, code: int | None) -> None:
        self._ended = "closed by client" if code in (1000, 1001, 1005) else "connection lost"
        # A client that said goodbye and closed at once must not look like one that was lost.
        waiting: list[ClientMessage] = []
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                waiting.append(self._requests.get_nowait())
        if any(isinstance(message, Logout | StopPublish) for message in waiting):
            self._reason = StreamDeleteReason.PUBLISHER_STOPPED
        self._over = any(isinstance(message, Logout) for message in waiting)

    def _end(self, why: str) -> bool:
        self._ended = why
        self._outbox.close(why)
        return False

    # ------------------------------------------------------------------------------- working, writing

    async def _work(self, connection: Connection) -> None:
        """Carry out what waits."""
        while not self._requests.empty():
            message = self._requests.get_nowait()
            self._working = True
            await self._rooms.handle(connection, message)
            self._working = False
            del message
            if connection.closed:
                self._stop()
                return
        self._worker = None

    def _short_writer(self) -> Callable[[bytes], bool] | None:
        """What writes a short message past the library and at once, where the server has that."""
        write_short = self._socket.scope.get("extensions", {}).get(SHORT_TEXT)
        if write_short is None:
            return None

        def write_now(data: bytes) -> bool:
            written = len(data) <= SHORT and write_short(data)
            self._observer.sent += bool(written)
            return bool(written)

        return write_now

    def _write_soon(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())
            self._writer.add_done_callback(self._task_ended)

    async def _write(self) -> None:
        """Write what waits, and the end behind it."""
        while self._outbox.waiting or self._outbox.closing:
            data = await self._outbox.next()
            if data is None:
                await self._say_goodbye()
                self._stop()
                return
            try:
                await self._socket.send({"type": "websocket.send", "text": data.decode()})
            except (WebSocketDisconnect, RuntimeError):
                self._stop()
                return
            finally:
                # Until the next long message, which may never come: an answer with many slots weighs 60 KB.
                del data
            self._observer.sent += 1
        self._outbox.written()
        self._writer = None

    async def _say_goodbye(self) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            graceful = self._outbox.reason in {"logged out", "kicked"}
            code = NORMAL if graceful else POLICY_VIOLATION
            if self._outbox.reason == "shutting down":
                code = TRY_AGAIN_LATER
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.close(code, self._outbox.reason)

    def _overflowed(self) -> None:
        """The client does not read: its connection ends with what writes to it."""
        self._ended = "slow reader"
        log.warning("slow_reader_closed", waiting=self._limits.outgoing_messages)
        if self._writer is not None:
            self._writer.cancel()
        self._stop()
