"""first_of: whichever is first, and nothing left behind."""

from __future__ import annotations

import asyncio

import pytest

from sanderling.demo.waiting import first_of


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
