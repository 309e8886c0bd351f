"""Delivery of events to handlers and readers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import pytest

from sanderling import (
    EventHandler,
    EventsLost,
    PlayerState,
    PlayerStateUpdate,
    RoomStateChanged,
    RoomStateReason,
)
from sanderling.sdk.dispatch import REPLAY_LIMIT, Dispatcher
from unit.sdk.recorder import Recorder


def state(number: int) -> RoomStateChanged:
    return RoomStateChanged("r", RoomStateReason.LOGINED, number)


def dispatcher(handler: EventHandler | None = None) -> Dispatcher:
    return Dispatcher(asyncio.get_running_loop(), handler)


async def test_events_come_in_order_and_never_inside_the_call_that_made_them() -> None:
    recorder = Recorder()
    it = dispatcher(recorder)
    for number in range(100):
        it.emit(state(number))
    assert recorder.calls == []
    await it.drain()
    assert [call[2] for call in recorder.of("room")] == list(range(100))


async def test_an_async_handler_is_awaited_before_the_next_event() -> None:
    running: list[str] = []

    class Slow(EventHandler):
        async def on_room_state_changed(
            self, room_id: str, reason: RoomStateReason, error_code: int, extended_data: Mapping[str, object]
        ) -> None:
            running.append(f"begin {error_code}")
            await asyncio.sleep(0)
            running.append(f"end {error_code}")

    it = dispatcher(Slow())
    it.emit(state(1))
    it.emit(state(2))
    await it.drain()
    assert running == ["begin 1", "end 1", "begin 2", "end 2"]


async def test_a_handler_that_raises_is_reported_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Recorder):
        def on_player_state_update(
            self, stream_id: str, state: PlayerState, error_code: int, extended_data: Mapping[str, object]
        ) -> None:
            raise ValueError("a bug of the program")

    recorder = Faulty()
    it = dispatcher(recorder)
    with caplog.at_level(logging.ERROR):
        it.emit(PlayerStateUpdate("s", PlayerState.PLAYING))
        it.emit(state(1))
        await it.drain()
    assert recorder.of("room") == [("r", RoomStateReason.LOGINED, 1)]
    assert recorder.of("error") == [(1000099, "handler of PlayerStateUpdate")]
    assert "a bug of the program" in caplog.text


async def test_what_came_before_the_first_handler_is_replayed_up_to_a_bound() -> None:
    it = dispatcher()
    for number in range(REPLAY_LIMIT + 5):
        it.emit(state(number))
    recorder = Recorder()
    it.set_handler(recorder)
    await it.drain()
    assert [call[2] for call in recorder.of("room")] == list(range(REPLAY_LIMIT))
    assert len(recorder.of("error")) == 1


async def test_a_removed_handler_hears_nothing_and_what_it_missed_is_not_replayed() -> None:
    recorder = Recorder()
    it = dispatcher(recorder)
    it.set_handler(None)
    it.emit(state(1))
    it.set_handler(recorder)
    it.emit(state(2))
    await it.drain()
    assert [call[2] for call in recorder.of("room")] == [2]


async def test_the_newest_of_a_key_replaces_one_that_waits() -> None:
    recorder = Recorder()
    it = dispatcher(recorder)
    it.emit_newest("a", state(1))
    it.emit(state(2))
    it.emit_newest("a", state(3))
    await it.drain()
    assert [call[2] for call in recorder.of("room")] == [3, 2]


async def test_a_reader_gets_its_types_and_is_told_what_it_lost() -> None:
    it = dispatcher()
    reader = it.subscribe((RoomStateChanged,), 2)
    it.emit(PlayerStateUpdate("s", PlayerState.PLAYING))
    for number in range(5):
        it.emit(state(number))
    assert [(await anext(reader)).error_code for _ in range(2)] == [0, 1]
    with pytest.raises(EventsLost) as caught:
        await anext(reader)
    assert caught.value.context["lost"] == "3"
    it.emit(state(9))
    assert (await anext(reader)).error_code == 9
    it.close()
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def test_nothing_is_delivered_after_the_end() -> None:
    recorder = Recorder()
    it = dispatcher(recorder)
    it.emit(state(1))
    it.close()
    it.emit(state(2))
    await it.drain()
    assert recorder.calls == []


async def test_a_slow_handler_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanderling.sdk.dispatch.SLOW_HANDLER_SECONDS", -1.0)
    it = dispatcher(Recorder())
    with caplog.at_level(logging.WARNING):
        it.emit(state(1))
        await it.drain()
    assert "RoomStateChanged" in caplog.text
