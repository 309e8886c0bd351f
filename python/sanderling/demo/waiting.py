"""Wait for the first of several things, or for one unless told to stop; nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

__all__ = ["Stopped", "first_of", "unless"]

T = TypeVar("T")


class Stopped(Exception):
    """What was waited for was given up because the process is to end."""


async def first_of(
    *things: Coroutine[Any, Any, object] | asyncio.Future[Any], within: float | None = None
) -> bool:
    """Wait until one of ``things`` is done or ``within`` seconds passed; False when none was done in time.

    Coroutines are cancelled at the end. Futures and tasks are left as they are, since they belong to the caller.
    An exception of one that is done is raised.
    """
    own = [asyncio.ensure_future(thing) for thing in things if not isinstance(thing, asyncio.Future)]
    others = [thing for thing in things if isinstance(thing, asyncio.Future)]
    try:
        done, _ = await asyncio.wait([*own, *others], timeout=within, return_when=asyncio.FIRST_COMPLETED)
        for thing in done:
            thing.result()
        return bool(done)
    finally:
        for task in own:
            task.cancel()
        await asyncio.gather(*own, return_exceptions=True)


async def unless(stop: asyncio.Event, thing: Awaitable[T]) -> T:
    """Return what ``thing`` gives; when ``stop`` is set first, cancel it, which undoes it, and raise Stopped."""

    async def wait() -> T:
        return await thing

    task = asyncio.create_task(wait(), name="demo-unless-stopped")
    try:
        await first_of(stop.wait(), task)
        if task.done():
            return task.result()
        raise Stopped
    finally:
        task.cancel()
        await asyncio.wait([task])
