"""The bus of a node alone: direct calls, in order, no copies kept."""

from __future__ import annotations

from collections import deque

import structlog

from sanderling.server.bus.base import Handler

__all__ = ["InProcessBus"]

log = structlog.get_logger("bus")


class _Registration:
    __slots__ = ("_bus", "active", "handler", "subject")

    def __init__(self, bus: InProcessBus, subject: str, handler: Handler) -> None:
        self._bus = bus
        self.subject = subject
        self.handler = handler
        self.active = True

    def cancel(self) -> None:
        if self.active:
            self.active = False
            self._bus._remove(self)


class InProcessBus:
    """See ``Bus``. A publish made by a handler is delivered after the one being delivered, so order holds."""

    def __init__(self) -> None:
        self._handlers: dict[str, dict[_Registration, None]] = {}
        """In the order in which they came. Many sessions hear the same subject, and go one by one."""
        self._queue: deque[tuple[str, bytes]] = deque()
        self._delivering = False
        self._closed = False

    @property
    def subscriptions(self) -> int:
        """Registrations in force; 0 once everything was released."""
        return sum(len(registrations) for registrations in self._handlers.values())

    def subscribe(self, subject: str, handler: Handler) -> _Registration:
        """See ``Bus.subscribe``."""
        registration = _Registration(self, subject, handler)
        self._handlers.setdefault(subject, {})[registration] = None
        return registration

    def publish(self, subject: str, payload: bytes) -> None:
        """See ``Bus.publish``."""
        if self._closed:
            return
        self._queue.append((subject, payload))
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._queue:
                self._deliver(*self._queue.popleft())
        finally:
            self._delivering = False

    def _deliver(self, subject: str, payload: bytes) -> None:
        for registration in tuple(self._handlers.get(subject, ())):
            if not registration.active:
                continue
            try:
                registration.handler(payload)
            except Exception:
                log.exception("handler_failed", subject=subject.partition(".")[0])

    def _remove(self, registration: _Registration) -> None:
        left = self._handlers.get(registration.subject)
        if left is not None:
            left.pop(registration, None)
            if not left:
                del self._handlers[registration.subject]

    async def aclose(self) -> None:
        """See ``Bus.aclose``."""
        self._closed = True
        self._queue.clear()
        for registrations in self._handlers.values():
            for registration in registrations:
                registration.active = False
        self._handlers.clear()
