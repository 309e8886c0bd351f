"""first_of and unless: whichever is first, and nothing left behind."""

from __future__ import annotations

import asyncio

import pytest

from sanderling.demo.waiting import Stopped, first_of, unless


async def test_the_first_one_ends_the_wait_and_coroutines_are_cancelled() -> None:
    never, soon = asyncio.Event(), asyncio.Event()
    soon.set()
    assert await first_of(never.wait(), soon.wait())
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_futures_of_the_caller_stay_as_they_are() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    assert not await first_of(future, within=0)
    assert not future.cancelled()
    future.set_result(None)
    assert await first_of(future)


async def test_an_exception_is_raised() -> None:
    async def fails() -> None:
        raise ValueError("the reason")

    with pytest.raises(ValueError, match="the reason"):
        await first_of(fails(), asyncio.Event().wait())
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_unless_gives_the_result_or_the_error() -> None:
    async def five() -> int:
        return 5

    async def fails() -> None:
        raise ValueError("the reason")

    stop = asyncio.Event()
    assert await unless(stop, five()) == 5
    with pytest.raises(ValueError, match="the reason"):
        await unless(stop, fails())


async def test_stopping_cancels_what_was_waited_for() -> None:
    stop, cancelled, never = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def forever() -> None:
        try:
            await never.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    asyncio.get_running_loop().call_soon(stop.set)
    with pytest.raises(Stopped):
        await unless(stop, forever())
    assert cancelled.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}
