"""The manager of a room's sequential data, in the product's shape."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sanderling import Engine, EngineProfile, SanderlingError, SequentialDataManager
from scenario.test_sdk_reconnect import pushing
from scenario.town import town
from unit.sdk.recorder import Recorder


async def code_of(call: Callable[[], object]) -> int:
    async def carry_out() -> None:
        result = call()
        if isinstance(result, Awaitable):
            await result

    with pytest.raises(SanderlingError) as caught:
        await carry_out()
    return int(caught.value.code)


async def test_data_goes_beside_a_stream_to_those_who_subscribed() -> None:
    async with town() as it, pushing() as source:
        (alice, _), (bob, bobs) = await it.join("alice"), await it.join("bob")
        host, guest = it.engines
        sending = host.create_real_time_sequential_data_manager("r")
        hearing = guest.create_real_time_sequential_data_manager("r")
        assert sending.index != hearing.index
        heard = Recorder()
        hearing.set_event_handler(heard)
        await alice.start_publishing_stream("film", source)
        sending.start_broadcasting("film")
        await hearing.start_subscribing("film")
        pieces = [bytes([number]) for number in range(20)]
        await asyncio.gather(*(sending.send_real_time_sequential_data(piece, "film") for piece in pieces))
        await heard.until(lambda: len(heard.of("data")) == 20)
        assert heard.of("data") == [("film", piece) for piece in pieces]
        await bobs.until(lambda: len(bobs.of("data")) == 20)
        # What the engine subscribes to besides is none of the manager's business.
        await hearing.stop_subscribing("film")
        await bob.subscribe_data("film")
        await sending.send_real_time_sequential_data(b"more", "film")
        await bobs.until_call("data", "film", b"more")
        assert len(heard.of("data")) == 20
        sending.stop_broadcasting("film")
        assert await code_of(lambda: sending.send_real_time_sequential_data(b"x", "film")) == 1009036


async def test_what_cannot_be_has_its_code() -> None:
    async with town() as it, pushing() as source:
        alice, heard = await it.join("alice")
        (engine,) = it.engines
        manager = engine.create_real_time_sequential_data_manager("r")
        for room_id in ("r", "another", ""):
            assert (
                await code_of(lambda name=room_id: engine.create_real_time_sequential_data_manager(name))
                == 1009031
            )  # type: ignore[misc]
        assert await code_of(lambda: manager.start_broadcasting("film")) == 1009033
        await alice.start_publishing_stream("film", source)
        manager.start_broadcasting("film")
        assert await code_of(lambda: manager.start_broadcasting("film")) == 1009035
        for data in (b"", b"x" * 4097):
            assert (
                await code_of(lambda piece=data: manager.send_real_time_sequential_data(piece, "film"))
                == 1009039
            )  # type: ignore[misc]
        for call in (manager.start_broadcasting, manager.stop_broadcasting, manager.start_subscribing):
            assert await code_of(lambda one=call: one("")) == 1009034  # type: ignore[misc]
        assert await code_of(lambda: manager.stop_broadcasting("other")) == 1009036
        assert await code_of(lambda: manager.stop_subscribing("film")) == 1009037
        assert await code_of(lambda: manager.start_subscribing("not-there")) == 1004002
        # A later stream of the same ID is another one.
        await engine.stop_publishing_stream()
        assert await code_of(lambda: manager.send_real_time_sequential_data(b"x", "film")) == 1009036
        await alice.start_publishing_stream("film", source)
        assert await code_of(lambda: manager.send_real_time_sequential_data(b"x", "film")) == 1009036
        await heard.until_call("error", 1009035, "start_broadcasting")


async def test_a_manager_that_is_no_more_says_so() -> None:
    async with town() as it:
        alice, _ = await it.join("alice")
        (engine,) = it.engines
        first = engine.create_real_time_sequential_data_manager("r")
        await engine.destroy_real_time_sequential_data_manager(first)
        second = engine.create_real_time_sequential_data_manager("r")
        await alice.logout()

        async def check(manager: SequentialDataManager) -> None:
            for call in (
                lambda: manager.start_broadcasting("film"),
                lambda: manager.send_real_time_sequential_data(b"x", "film"),
                lambda: manager.start_subscribing("film"),
                lambda: manager.set_event_handler(None),
                lambda: engine.destroy_real_time_sequential_data_manager(manager),
            ):
                assert await code_of(call) == 1009032

        await check(first)
        await check(second)


async def test_there_is_no_manager_without_a_login() -> None:
    async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:7700")) as engine:
        assert await code_of(lambda: engine.create_real_time_sequential_data_manager("r")) == 1009031


async def test_what_is_subscribed_to_ends_with_the_manager() -> None:
    async with town() as it, pushing() as source:
        alice, _ = await it.join("alice")
        bob, heard = await it.join("bob")
        await alice.start_publishing_stream("film", source)
        manager = it.engines[1].create_real_time_sequential_data_manager("r")
        await manager.start_subscribing("film")
        await it.engines[1].destroy_real_time_sequential_data_manager(manager)
        await bob.subscribe_data("film")  # which it is not any more
        await alice.send_data("film", b"still")
        await heard.until_call("data", "film", b"still")
