"""Between a reader of frames and the loop: bounded, newest kept, drops counted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from sanderling.errors import SanderlingError

__all__ = ["FrameQueue"]

T = TypeVar("T")


class FrameQueue(Generic[T]):
    """What one ``async for`` over frames reads. ``dropped`` counts frames that a slow reader missed.

    Ends normally, or raises the error it was closed with once.
    """

    def __init__(self, keep: int, convert: Callable[[T], Awaitable[T]] | None = None) -> None:
        self._items: deque[T] = deque(maxlen=keep or None)
        self._convert = convert
        self._closed = False
        self._error: SanderlingError | None = None
        self._wake = asyncio.Event()
        self.dropped = 0

    def put(self, item: T) -> None:
        """Take a frame; the oldest goes when there are too many."""
        if self._closed:
            return
        if self._items.maxlen is not None and len(self._items) == self._items.maxlen:
            self.dropped += 1
        self._items.append(item)
        self._wake.set()

    def close(self, error: SanderlingError | None = None) -> None:
        """End the iteration after what is there."""
        if not self._closed:
            self._closed = True
            self._error = error
            self._wake.set()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._closed:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        item = self._items.popleft()
        return item if self._convert is None else await self._convert(item)
