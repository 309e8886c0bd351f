"""What every bus must do. A test looks only when what it published has come: ``fence``."""

from __future__ import annotations

import asyncio
import itertools

import pytest
import structlog

from sanderling.server.bus import InProcessBus
from sanderling.server.bus.base import room_subject, session_subject, stream_subject

IMPLEMENTATIONS = [InProcessBus]


@pytest.fixture(params=IMPLEMENTATIONS)
async def bus(request):
    made = request.param()
    yield made
    await made.aclose()


fences = itertools.count()


async def fence(bus) -> None:
    """Return when what was published so far has been delivered, and what that caused."""
    for _ in range(2):
        subject, come = f"fence.{next(fences)}", asyncio.Event()
        subscription = bus.subscribe(subject, lambda _, come=come: come.set())
        bus.publish(subject, b"")
        async with asyncio.timeout(10):
            await come.wait()
        subscription.cancel()


async def test_payloads_reach_the_subscribers_of_their_subject_in_order(bus):
    seen: list[tuple[str, bytes]] = []
    bus.subscribe("a", lambda payload: seen.append(("first", payload)))
    bus.subscribe("a", lambda payload: seen.append(("second", payload)))
    bus.subscribe("b", lambda payload: seen.append(("other", payload)))
    bus.publish("a", b"1")
    bus.publish("a", b"2")
    await fence(bus)
    assert seen == [("first", b"1"), ("second", b"1"), ("first", b"2"), ("second", b"2")]


async def test_a_cancelled_subscription_is_silent(bus):
    seen: list[bytes] = []
    subscription = bus.subscribe("a", seen.append)
    subscription.cancel()
    subscription.cancel()
    bus.publish("a", b"1")
    await fence(bus)
    assert seen == []


async def test_what_a_handler_publishes_comes_after_what_is_being_delivered(bus):
    seen: list[bytes] = []

    def first(payload: bytes) -> None:
        if payload == b"1":
            bus.publish("a", b"2")

    bus.subscribe("a", first)
    bus.subscribe("a", seen.append)
    bus.publish("a", b"1")
    await fence(bus)
    assert seen == [b"1", b"2"]


async def test_a_failing_handler_is_logged_and_harms_nobody(bus):
    seen: list[bytes] = []

    def broken(payload: bytes) -> None:
        raise RuntimeError("no")

    bus.subscribe("a", broken)
    bus.subscribe("a", seen.append)
    with structlog.testing.capture_logs() as logs:
        bus.publish("a", b"1")
        await fence(bus)
    assert seen == [b"1"]
    assert [entry["event"] for entry in logs] == ["handler_failed"]


async def test_a_handler_that_cancels_another_stops_it_at_once(bus):
    seen: list[bytes] = []
    bus.subscribe("a", lambda _: second.cancel())
    second = bus.subscribe("a", seen.append)
    bus.publish("a", b"1")
    await fence(bus)
    assert seen == []


async def test_a_closed_bus_delivers_nothing(bus):
    seen: list[bytes] = []
    bus.subscribe("a", seen.append)
    await bus.aclose()
    await bus.aclose()
    bus.publish("a", b"1")
    assert seen == []


async def test_who_subscribes_during_a_delivery_hears_only_what_comes_later(bus):
    seen: list[bytes] = []

    def first(payload: bytes) -> None:
        if payload == b"1":
            bus.subscribe("a", seen.append)

    bus.subscribe("a", first)
    bus.publish("a", b"1")
    await fence(bus)
    bus.publish("a", b"2")
    await fence(bus)
    assert seen == [b"2"]


async def test_a_long_row_of_payloads_keeps_its_order_and_each_its_bytes(bus):
    seen: list[bytes] = []
    payloads = [bytes([number % 256]) * (number % 7) for number in range(1000)] + [b"x" * 256 * 1024]
    subject = room_subject(2**32 - 1, "r" * 128)
    bus.subscribe(subject, seen.append)
    for payload in payloads:
        bus.publish(subject, payload)
    await fence(bus)
    assert seen == payloads


async def test_of_many_subscribers_any_may_go_and_the_others_hear_in_the_order_they_came(bus):
    seen: list[int] = []
    subscriptions = [bus.subscribe("a", lambda _, at=at: seen.append(at)) for at in range(100)]
    for at in range(0, 100, 3):
        subscriptions[at].cancel()
    bus.publish("a", b"1")
    await fence(bus)
    assert seen == [at for at in range(100) if at % 3]


async def test_a_handler_that_ends_itself_is_not_called_again(bus):
    seen: list[bytes] = []

    def once(payload: bytes) -> None:
        seen.append(payload)
        subscription.cancel()

    subscription = bus.subscribe("a", once)
    bus.publish("a", b"1")
    bus.publish("a", b"2")
    await fence(bus)
    assert seen == [b"1"]


@pytest.mark.parametrize("name", ["a.b", "*", ">", "r oom", "ü"])
def test_no_name_can_reach_another_subject(name):
    subjects = {room_subject(1, name), stream_subject(1, name), session_subject("abc")}
    assert len(subjects) == 3
    assert all(subject.count(".") <= 2 and not set(subject) & set("*> ") for subject in subjects)
