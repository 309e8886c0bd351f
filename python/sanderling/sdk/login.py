"""A login under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from sanderling.sdk.action import Action

if TYPE_CHECKING:
    from sanderling.sdk.room import Room

__all__ = ["Login"]


class Login(Action["Room"]):
    """A login that has begun; awaited, it gives the :class:`Room`; ``async with`` logs out at the end.

    ``room`` is there at once, for publishing and playing without waiting (None when the call was refused).
    """

    def __init__(self, room: Room | None, future: asyncio.Future[Room], undo: Callable[[], None]) -> None:
        super().__init__(future, undo)
        self.room = room

    async def __aenter__(self) -> Room:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.room is not None:
            await self.room.logout()
