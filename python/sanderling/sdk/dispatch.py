"""Delivery of events: in order, on one loop, to one handler and any number of readers."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.events import DebugError, Event, EventsLost
from sanderling.sdk.handler import EventHandler, call_handler
from sanderling.sdk.log_file import note_event

__all__ = ["Dispatcher", "EventQueue"]

log = logging.getLogger("sanderling.sdk")

REPLAY_LIMIT = 1024
"""Events kept while no handler was ever set."""

SLOW_HANDLER_SECONDS = 0.1
"""A handler that keeps the loop longer than this is named in the log."""

E = TypeVar("E", bound=Event)


class EventQueue(Generic[E]):
    """What one ``async for`` over events reads. Ends when closed; raises :class:`EventsLost` when it ran over."""

    def __init__(self, types: tuple[type[E], ...], limit: int) -> None:
        self._types = types
        self._limit = limit
        self._items: deque[E] = deque()
        self._lost = 0
        self._closed = False
        self._wake = asyncio.Event()

    def put(self, event: Event) -> None:
        """Take ``event`` when it is of a wanted type."""
        if not isinstance(event, self._types) or self._closed:
            return
        if len(self._items) >= self._limit:
            self._lost += 1
        else:
            self._items.append(event)
        self._wake.set()

    def close(self) -> None:
        """End the iteration once what is there was read."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        while True:
            if self._items:
                return self._items.popleft()
            if self._lost:
                lost, self._lost = self._lost, 0
                raise EventsLost(lost)
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()


class Dispatcher:
    """Queues events and calls the handler from one task, so that handlers never overlap or overtake."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: EventHandler | None = None) -> None:
        self._loop = loop
        self._handler = handler
        self._had_handler = handler is not None
        self._queue: deque[Event | str] = deque()
        self._newest: dict[str, Event] = {}
        self._lost = 0
        self._readers: list[EventQueue[Event]] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def set_handler(self, handler: EventHandler | None) -> None:
        """Replace the handler. What happened before the first one is delivered to it now."""
        self._handler = handler
        if handler is not None:
            self._had_handler = True
            if self._lost:
                lost, self._lost = self._lost, 0
                error = EventsLost(lost)
                self._queue.append(DebugError(int(error.code), "set_event_handler", error.message))
            self._start()

    def subscribe(self, types: tuple[type[E], ...], limit: int) -> EventQueue[E]:
        """A reader of events of ``types``, from now on."""
        queue: EventQueue[E] = EventQueue(types, limit)
        self._readers.append(queue)  # type: ignore[arg-type]  # put() takes any event
        if self._closed:
            queue.close()
        return queue

    def unsubscribe(self, queue: EventQueue[E]) -> None:
        """End and forget a reader."""
        queue.close()
        self._readers = [reader for reader in self._readers if reader is not queue]

    def emit(self, event: Event) -> None:
        """Deliver ``event``; never dropped once there is a handler."""
        if self._closed:
            return
        note_event(event)
        for reader in self._readers:
            reader.put(event)
        if self._handler is None and self._had_handler:
            return
        if self._handler is None and len(self._queue) >= REPLAY_LIMIT:
            self._lost += 1
            return
        self._queue.append(event)
        self._start()

    def emit_newest(self, key: str, event: Event, *, readers: bool = True) -> None:
        """Deliver ``event`` in place of an undelivered one of the same ``key`` (pictures, figures)."""
        if self._closed:
            return
        if readers:
            for reader in self._readers:
                reader.put(event)
        if self._handler is None:
            return
        if key not in self._newest:
            self._queue.append(key)
        self._newest[key] = event
        self._start()

    def report(self, error: SanderlingError, function: str) -> None:
        """Deliver a failed call to ``on_debug_error``."""
        self.emit(DebugError(int(error.code), function, str(error)))

    def in_handler(self) -> bool:
        """Whether the caller runs inside a handler."""
        return self._task is not None and self._task is _current_task()

    async def drain(self) -> None:
        """Wait until everything emitted so far was delivered (when there is a handler)."""
        # Asks the task itself: one that is cancelled before its first step never clears a mark of its own.
        while self._task is not None and not self._task.done() and not self.in_handler():
            await asyncio.wait([self._task])

    def close(self, *, interrupt: bool = True) -> None:
        """Deliver nothing more; readers end. ``interrupt``: a handler that is being awaited is cancelled."""
        self._closed = True
        for reader in self._readers:
            reader.close()
        self._queue.clear()
        self._newest.clear()
        if interrupt and self._task is not None and self._task is not _current_task():
            self._task.cancel()

    def _start(self) -> None:
        idle = self._task is None or self._task.done()
        if idle and self._queue and self._handler is not None and not self._loop.is_closed():
            self._task = self._loop.create_task(self._run(), name="sanderling-events")

    async def _run(self) -> None:
        while self._queue and self._handler is not None:
            item = self._queue.popleft()
            event = self._newest.pop(item) if isinstance(item, str) else item
            await self._deliver(self._handler, event)

    async def _deliver(self, handler: EventHandler, event: Event) -> None:
        started = self._loop.time()
        try:
            result = call_handler(handler, event)
            spent = self._loop.time() - started
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            log.exception("a handler of %s raised", type(event).__name__)
            if not isinstance(event, DebugError):
                code = error.code if isinstance(error, SanderlingError) else ErrorCode.INTERNAL_ERROR
                self.emit(DebugError(int(code), f"handler of {type(event).__name__}", repr(error)))
            return
        if spent > SLOW_HANDLER_SECONDS:
            log.warning("the handler of %s kept the loop for %.0f ms", type(event).__name__, spent * 1000)


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
