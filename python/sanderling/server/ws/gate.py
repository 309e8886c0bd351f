"""Open or shut, for one connection: as light as thousands of them need it that are nearly always open."""

from __future__ import annotations

import asyncio

__all__ = ["Gate"]


class Gate:
    """Like asyncio's Event, which holds a deque, 0.7 KB, for those who wait even while nobody does. Open at first."""

    __slots__ = ("_open", "_waiting")

    def __init__(self) -> None:
        self._open = True
        self._waiting: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        """Whether it is open."""
        return self._open

    def set(self) -> None:
        """Open it: those who wait go on."""
        self._open = True
        waiting, self._waiting = self._waiting, None
        for each in waiting or ():
            if not each.done():
                each.set_result(None)

    def clear(self) -> None:
        """Shut it."""
        self._open = False

    async def wait(self) -> None:
        """Return once it is, or was, open."""
        if self._open:
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(mine)
        await mine
