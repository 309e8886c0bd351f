from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
import structlog

from sanderling.bridge.events import Done
from sanderling.bridge.pump import BATCH, Pump


class Source:
    """A queue with a pipe that is readable while something waits."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        self.waiting: list[tuple[Any, ...]] = []
        self.limits: list[int] = []

    def put(self, *events: tuple[Any, ...]) -> None:
        if not self.waiting:
            os.write(self.write_fd, b"\0")
        self.waiting += events

    def wake_fd(self) -> int:
        return self.read_fd

    def take_events(self, limit: int) -> list[tuple[Any, ...]]:
        self.limits.append(limit)
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        if not self.waiting:
            os.read(self.read_fd, 1)
        return taken


@pytest.fixture
def source():
    source = Source()
    yield source
    os.close(source.read_fd)
    os.close(source.write_fd)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_batch_costs_one_wake_up_and_the_rest_comes_with_the_next(source):
    seen: list[Any] = []
    pump = Pump(source, seen.append)
    pump.attach(asyncio.get_running_loop())
    source.put(*(("done", number) for number in range(BATCH + 10)))
    await turns()
    pump.detach()
    assert seen == [Done(number) for number in range(BATCH + 10)]
    assert source.limits == [BATCH, BATCH]
    assert (pump.wakeups_total, pump.events_total) == (2, BATCH + 10)


async def test_one_bad_event_or_handler_does_not_stop_the_rest(source):
    seen: list[Any] = []

    def route(event: Any) -> None:
        if event == Done(2):
            raise RuntimeError("no")
        seen.append(event)

    pump = Pump(source, route)
    pump.attach(asyncio.get_running_loop())
    source.put(("done", 1), ("dance",), ("done", 2), ("done", 3))
    with structlog.testing.capture_logs() as logs:
        await turns()
    pump.detach()
    assert seen == [Done(1), Done(3)]
    assert pump.errors_total == len(logs) == 2


async def test_a_detached_pump_is_silent_and_may_be_detached_again(source):
    seen: list[Any] = []
    pump = Pump(source, seen.append)
    pump.attach(asyncio.get_running_loop())
    with pytest.raises(RuntimeError):
        pump.attach(asyncio.get_running_loop())
    pump.detach()
    pump.detach()
    source.put(("done", 1))
    await turns()
    assert seen == []
