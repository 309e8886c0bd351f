"""The media engine as asyncio sees it: awaitable commands, events handed to one listener.

Owns the extension's engine, the numbers of its sessions and their placement on workers. Knows nothing of rooms.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import structlog

from sanderling.bridge.events import (
    Answered,
    Bound,
    Done,
    Failed,
    LogLine,
    MediaEvent,
    SessionClosed,
    Snapshot,
    TicketEvent,
    TrackInfo,
    WorkerFailed,
)
from sanderling.bridge.pump import Pump
from sanderling.errors import ErrorCode, ForkedProcessError, MediaUnavailable

if TYPE_CHECKING:
    from sanderling._engine import Engine

__all__ = [
    "API",
    "Answer",
    "Binding",
    "MediaEngine",
    "MediaFailed",
    "NativeModule",
    "SessionHandle",
]

API = 1
"""Number of the extension's interface this bridge speaks."""

CLOSE_AGAIN_S = 0.02
"""Pause before a close that met a full command queue is asked for again. Higher: a stream sends longer after
its end; lower: more turns of the loop spent on a worker that is behind."""

log = structlog.get_logger("bridge")


class NativeModule(Protocol):
    """The extension module (``_engine.pyi``), or a stand-in with the same surface."""

    @property
    def API(self) -> int:  # noqa: N802 - the extension's name
        """Number of its interface."""

    @property
    def EngineBusy(self) -> type[Exception]:  # noqa: N802 - the extension's name
        """Raised when a command queue is full."""

    @property
    def EngineClosed(self) -> type[Exception]:  # noqa: N802 - the extension's name
        """Raised after ``close``."""

    @property
    def Engine(self) -> Callable[..., Engine]:  # noqa: N802 - the extension's name
        """Makes an engine."""


class MediaFailed(Exception):
    """A command failed. ``reason``: those of ``_engine.pyi`` and "busy", "closed", "worker_failed"."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class SessionHandle:
    """A transport in the engine: its number and the worker that holds it."""

    session: int
    worker: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What an offer came to."""

    handle: SessionHandle
    sdp: str
    tracks: tuple[TrackInfo, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a stream was bound; a mid is "" where there is no such track."""

    slot: int
    audio_mid: str
    video_mid: str
    tracks: tuple[TrackInfo, ...]


@dataclass(slots=True)
class _Pending:
    worker: int
    future: asyncio.Future[TicketEvent]


def load_extension() -> NativeModule:
    """Import the extension; MediaUnavailable says what to do when it is missing or of another version."""
    try:
        from sanderling import _engine
    except ImportError as error:
        raise MediaUnavailable(
            ErrorCode.NOT_INSTALLED,
            f"the media extension cannot be loaded: {error}",
            hint="build it with `make build`, or install the wheel",
        ) from None
    return _engine


class MediaEngine:
    """Worker threads behind awaitable methods. Make it inside the loop that uses it; ``aclose`` joins the threads.

    Parameters: ``workers`` threads; ``listen`` and ``advertise`` IP addresses and ``ports`` an inclusive range,
    all as in ``_engine.pyi``; ``native`` the extension module (another one only in tests).
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        listen: Sequence[str] = (),
        ports: tuple[int, int] = (0, 0),
        advertise: Sequence[str] = (),
        max_sessions: int = 20_000,
        native: NativeModule | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._native = native if native is not None else load_extension()
        if self._native.API != API:
            raise MediaUnavailable(
                ErrorCode.NOT_INSTALLED,
                f"the media extension has interface {self._native.API}, this package needs {API}",
                hint="build it again with `make build`",
            )
        self._engine = self._native.Engine(
            workers=workers,
            listen=list(listen),
            ports=ports,
            advertise=list(advertise),
            max_sessions=max_sessions,
        )
        self._pid = os.getpid()
        self._tickets = itertools.count(1)
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._sessions: dict[int, int] = {}
        self._listener: Callable[[MediaEvent], None] | None = None
        self._closed = False
        self._close_timers: set[asyncio.TimerHandle] = set()
        self._pump = Pump(self._engine, self._route)
        self._pump.attach(self._loop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # ------------------------------------------------------------------------------------------- state

    @property
    def closed(self) -> bool:
        """Whether the engine was closed."""
        return self._closed

    @property
    def candidates(self) -> list[list[str]]:
        """Per worker, its host candidates (``"udp 192.0.2.1 40000"``)."""
        return self._engine.candidates

    @property
    def open_sessions(self) -> int:
        """Sessions this bridge believes to be open; 0 once everything was released."""
        return len(self._sessions)

    @property
    def pending_commands(self) -> int:
        """Commands still without an answer."""
        return len(self._pending)

    def counters(self) -> dict[str, int]:
        """The engine's totals and the pump's."""
        totals = {} if self._closed else dict(self._engine.counters())
        totals["pump_events"] = self._pump.events_total
        totals["pump_wakeups"] = self._pump.wakeups_total
        totals["pump_errors"] = self._pump.errors_total
        return totals

    def added_delay(self) -> dict[str, Any]:
        """How long the workers held datagrams, since start: ``bounds_us`` and ``counts`` as in ``_engine.pyi``."""
        return {"bounds_us": [], "counts": []} if self._closed else self._engine.added_delay()

    def listen(self, listener: Callable[[MediaEvent], None] | None) -> None:
        """Hand every event without a ticket to ``listener``, on the loop, in order."""
        self._listener = listener

    def place(self) -> int:
        """Return the worker with the fewest sessions (the lowest number among equals)."""
        held = list(self._sessions.values())
        load = [held.count(worker) for worker in range(self._engine.workers)]
        return load.index(min(load))

    # ---------------------------------------------------------------------------------------- commands

    def reserve(self, worker: int | None = None) -> SessionHandle:
        """Choose number and worker of a session to be opened, so that its events find their owner from the start.

        ``worker``: where it has to be; by default where the fewest are.
        """
        handle = SessionHandle(next(self._numbers), self.place() if worker is None else worker)
        self._sessions[handle.session] = handle.worker
        return handle

    async def open_publisher(self, handle: SessionHandle, offer: str, codecs: Sequence[str] = ()) -> Answer:
        """Answer a send-only offer; MediaFailed when it cannot be used, the reservation is void then.

        ``codecs``: video codecs to choose, best first; the offer's order decides when none of them is offered.
        """
        return await self._open(self._engine.open_publisher, handle, offer, list(codecs))

    async def open_viewer(self, handle: SessionHandle, offer: str) -> Answer:
        """Answer a receive-only offer; MediaFailed when it cannot be used, the reservation is void then."""
        return await self._open(self._engine.open_viewer, handle, offer)

    async def offer_viewer(self, handle: SessionHandle, publisher: SessionHandle) -> Answer:
        """Make a viewer by an offer of the engine's own, of a stream on the same worker; ``sdp`` is the offer.

        It waits for :meth:`accept` as long as for a handshake, 15 s. MediaFailed voids the reservation.
        """
        return await self._open(self._engine.offer_viewer, handle, publisher.session)

    async def accept(self, handle: SessionHandle, answer: str) -> None:
        """Take the answer to the engine's own offer; MediaFailed when it cannot be used, the viewer waits on then."""
        await self._command(self._engine.accept, handle.worker, handle.session, answer)

    async def offer(self, handle: SessionHandle, offer: str) -> Answer:
        """Answer a later offer of an open session (more slots, ICE restart)."""
        event = await self._command(self._engine.offer, handle.worker, handle.session, offer)
        assert isinstance(event, Answered)
        return Answer(handle, event.sdp, event.tracks)

    async def bind(
        self, viewer: SessionHandle, publisher: SessionHandle, *, audio: bool = True, video: bool = True
    ) -> Binding:
        """Bind a publisher's stream to a free slot of a viewer."""
        try:
            event = await self._command(
                self._engine.bind,
                viewer.worker,
                viewer.session,
                publisher.session,
                publisher.worker,
                audio,
                video,
            )
        except asyncio.CancelledError:
            self.unbind_soon(viewer, publisher)
            raise
        assert isinstance(event, Bound)
        return Binding(event.slot, event.audio_mid, event.video_mid, event.tracks)

    async def unbind(self, viewer: SessionHandle, publisher: SessionHandle) -> None:
        """Free the slot; sending has stopped when this returns."""
        await self._command(self._engine.unbind, viewer.worker, viewer.session, publisher.session)

    async def set_layer(self, viewer: SessionHandle, publisher: SessionHandle, choice: int) -> None:
        """Choose the simulcast layer that a viewer gets of a stream it is bound to.

        The change is made at the next clean key frame of that layer; until then the former layer goes on.

        Args:
            viewer: The viewer.
            publisher: The publisher of the stream.
            choice: 0 automatic, 1 the lowest layer, 2 the highest (`set_play_stream_video_type`).

        """
        await self._command(self._engine.set_layer, viewer.worker, viewer.session, publisher.session, choice)

    def set_delay(self, viewer: SessionHandle, publisher: SessionHandle, most_ms: int) -> None:
        """Ask a viewer to show a stream's pictures at most this late, without waiting. One that has gone is fine.

        Args:
            viewer: The viewer.
            publisher: The publisher of the stream.
            most_ms: 0 = as soon as they are complete; more lets it even out what the network does to them.

        """
        self._send_until_taken(
            self._engine.set_delay, viewer.worker, viewer.session, publisher.session, most_ms
        )

    def unbind_soon(self, viewer: SessionHandle, publisher: SessionHandle) -> None:
        """Free the slot without waiting; one that is free already is fine."""
        self._send_until_taken(self._engine.unbind, viewer.worker, viewer.session, publisher.session)

    def close_session(self, handle: SessionHandle) -> None:
        """Close a session without waiting. It is carried out even when the command queue is full now."""
        if self._sessions.pop(handle.session, None) is not None:
            self._send_until_taken(self._engine.close_session, handle.worker, handle.session)

    async def snapshot(self) -> list[Any]:
        """Return the debug snapshot of every worker."""
        events = await asyncio.gather(
            *(self._command(self._engine.snapshot, worker) for worker in range(self._engine.workers))
        )
        return [json.loads(event.json) for event in events if isinstance(event, Snapshot)]

    async def aclose(self) -> None:
        """Stop the threads and close the sockets; what waits for an answer fails with "closed". Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._pump.detach()
        for timer in self._close_timers:
            timer.cancel()
        self._close_timers.clear()
        self._sessions.clear()
        self._fail(self._pending.copy(), "closed", "the media engine was closed")
        # Joining threads blocks; the loop goes on meanwhile.
        await self._loop.run_in_executor(None, self._engine.close)

    # ---------------------------------------------------------------------------------------- internals

    async def _open(self, command: Callable[..., None], handle: SessionHandle, *arguments: Any) -> Answer:
        try:
            event = await self._command(command, handle.worker, handle.session, *arguments)
        except MediaFailed:
            self._sessions.pop(handle.session, None)
            raise
        except asyncio.CancelledError:
            # Commands of a worker are carried out in order, so this close comes after the open.
            self.close_session(handle)
            raise
        assert isinstance(event, Answered)
        return Answer(handle, event.sdp, event.tracks)

    async def _command(self, command: Callable[..., None], worker: int, *arguments: Any) -> TicketEvent:
        self._check_usable()
        ticket = next(self._tickets)
        future: asyncio.Future[TicketEvent] = self._loop.create_future()
        self._pending[ticket] = _Pending(worker, future)
        try:
            self._call(command, ticket, worker, *arguments)
            event = await future
        finally:
            self._pending.pop(ticket, None)
        if isinstance(event, Failed):
            raise MediaFailed(event.reason, event.detail)
        return event

    def _call(self, command: Callable[..., None], ticket: int, worker: int, *arguments: Any) -> None:
        try:
            command(ticket, worker, *arguments)
        except self._native.EngineBusy:
            raise MediaFailed("busy", "the media worker has too many commands waiting") from None
        except self._native.EngineClosed:
            raise MediaFailed("closed", "the media engine was closed") from None

    def _send_until_taken(self, command: Callable[..., None], worker: int, *arguments: Any) -> None:
        if self._closed:
            return
        try:
            self._call(command, next(self._tickets), worker, *arguments)
        except MediaFailed as error:
            if error.reason != "busy":
                return

            def again() -> None:
                self._close_timers.discard(timer)
                self._send_until_taken(command, worker, *arguments)

            timer = self._loop.call_later(CLOSE_AGAIN_S, again)
            self._close_timers.add(timer)

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedProcessError(
                ErrorCode.INTERNAL_ERROR,
                "the media engine belongs to the parent process",
                hint="use spawn, not fork",
            )
        if self._closed:
            raise MediaFailed("closed", "the media engine was closed")
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the media engine belongs to another event loop")

    def _route(self, event: TicketEvent | MediaEvent) -> None:
        if isinstance(event, Answered | Bound | Done | Failed | Snapshot):
            pending = self._pending.get(event.ticket)
            if pending is not None and not pending.future.done():
                pending.future.set_result(event)
            return
        if isinstance(event, LogLine):
            write = log.error if event.level == "error" else log.warning
            write("media_log", target=event.target, message=event.message)
            return
        if isinstance(event, SessionClosed):
            self._sessions.pop(event.session, None)
        elif isinstance(event, WorkerFailed):
            self._worker_failed(event)
        if self._listener is not None:
            self._listener(event)

    def _worker_failed(self, event: WorkerFailed) -> None:
        log.error("worker_failed", worker=event.worker, detail=event.detail)
        lost = [session for session, worker in self._sessions.items() if worker == event.worker]
        self._fail(
            {t: p for t, p in self._pending.items() if p.worker == event.worker},
            "worker_failed",
            f"media worker {event.worker} failed and was restarted",
        )
        for session in lost:
            self._sessions.pop(session, None)
            if self._listener is not None:
                self._listener(SessionClosed(session, "worker_failed"))

    def _fail(self, pending: dict[int, _Pending], reason: str, detail: str) -> None:
        for ticket, entry in pending.items():
            if not entry.future.done():
                entry.future.set_result(Failed(ticket, reason, detail))
