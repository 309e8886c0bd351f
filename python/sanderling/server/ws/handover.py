"""A queue between two tasks of one connection, as light as thousands of idle connections need it.

asyncio's own holds five deques, some 3.5 KB, each time, nearly always empty.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

__all__ = ["Handover"]

T = TypeVar("T")


class Handover(Generic[T]):
    """First in, first out, for one task that puts and one that gets. ``limit``: items that may wait, 0 = any number."""

    __slots__ = ("_items", "_limit", "_room", "_wake")

    def __init__(self, limit: int = 0) -> None:
        self._items: list[T] = []
        self._limit = limit
        self._wake: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._items

    def put_nowait(self, item: T) -> None:
        """Add an item, whatever the limit."""
        self._items.append(item)
        _wake(self._wake)

    async def put(self, item: T) -> None:
        """Add an item once there is room for it."""
        while self._limit and len(self._items) >= self._limit:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None
        self.put_nowait(item)

    def open(self) -> None:
        """From now on there is room for whoever waits for it: nobody takes items out any more."""
        self._limit = 0
        _wake(self._room)

    def get_nowait(self) -> T:
        """The next item; asyncio.QueueEmpty without one."""
        if not self._items:
            raise asyncio.QueueEmpty
        _wake(self._room)
        return self._items.pop(0)

    async def get(self) -> T:
        """The next item, once there is one."""
        while not self._items:
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        return self.get_nowait()


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
