"""Calls that act at once and may be awaited: ``Login``, ``Publishing``, ``Playing``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

__all__ = ["Action"]

T = TypeVar("T")


class Action(Generic[T]):
    """The outcome of a call that has already begun.

    Dropping it is fine: its failure is reported to the event handler anyway. Cancelling an await of it undoes the
    call (a login is logged out, a publish or play stopped) without waiting for the network.
    """

    def __init__(self, future: asyncio.Future[T], undo: Callable[[], None]) -> None:
        self._future = future
        self._undo = undo
        future.add_done_callback(_retrieve)

    def done(self) -> bool:
        """Whether it succeeded or failed already."""
        return self._future.done()

    def __await__(self) -> Generator[object, None, T]:
        try:
            return (yield from asyncio.shield(self._future).__await__())
        except asyncio.CancelledError:
            if not self._future.done():
                self._undo()
            raise


def _retrieve(future: asyncio.Future[T]) -> None:
    if not future.cancelled():
        future.exception()
