"""The bounded queue between the rooms and one socket. Overflow means a reader too slow to be kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["QueueOutbox"]


class QueueOutbox:
    """See ``rooms.Outbox``. At most ``limit_messages`` and ``limit_bytes`` wait; then ``overflowed`` is set."""

    def __init__(self, *, limit_messages: int, limit_bytes: int) -> None:
        self._limit_messages = limit_messages
        self._limit_bytes = limit_bytes
        self._queue: list[bytes] = []
        self._bytes = 0
        self._ready: asyncio.Future[None] | None = None
        self._closing = False
        self._taken = False
        """Whether a message was taken that may not have been written yet."""
        self.on_waiting: Callable[[], None] | None = None
        """Called when there is something to take, or the end, and nobody is in ``next``."""
        self.write_now: Callable[[bytes], bool] | None = None
        """Writes a message at once, when nothing is before it; False when it cannot."""
        self.reason = ""
        self.overflowed = False
        self.on_overflow: Callable[[], None] | None = None
        """Called once, when the reader is too slow to be kept."""

    @property
    def closing(self) -> bool:
        """Whether ``close`` was called."""
        return self._closing

    @property
    def waiting(self) -> int:
        """Messages queued."""
        return len(self._queue)

    def send(self, data: bytes) -> None:
        """Queue one message; dropped when the connection is closing or has overflowed."""
        if self._closing or self.overflowed:
            return
        if self.write_now is not None and not self._queue and not self._taken and self.write_now(data):
            return
        if len(self._queue) >= self._limit_messages or self._bytes + len(data) > self._limit_bytes:
            self.overflowed = True
            if self.on_overflow is not None:
                self.on_overflow()
            return
        self._queue.append(data)
        self._bytes += len(data)
        self._wake()

    def close(self, reason: str) -> None:
        """End after what is queued; the first reason stands."""
        if not self._closing:
            self._closing = True
            self.reason = reason
            self._wake()

    def _wake(self) -> None:
        if self._ready is None:
            if self.on_waiting is not None:
                self.on_waiting()
        elif not self._ready.done():
            self._ready.set_result(None)

    def written(self) -> None:
        """What was taken last is written, and nobody will call ``next`` until ``on_waiting``."""
        self._taken = False

    async def next(self) -> bytes | None:
        """The next message, None when everything has gone out and the connection is to close. To be called again when
        it was written.
        """
        self._taken = False
        while not self._queue:
            if self._closing:
                return None
            self._ready = asyncio.get_running_loop().create_future()
            try:
                await self._ready
            finally:
                self._ready = None
        data = self._queue.pop(0)
        self._bytes -= len(data)
        self._taken = True
        return data
